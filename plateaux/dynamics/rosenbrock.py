r"""One step of Rodas5P, a Rosenbrock method for stiff systems.

A Rosenbrock method solves ẏ = f(y) with linear systems only: no Newton iteration, no
convergence to fear. With W = I − γhJ, J = ∂f/∂y at y, its stages are

    W u_i = γ [h f(y + Σ_{j<i} a_ij u_j) + Σ_{j<i} c_ij u_j],   y⁺ = y + Σ_i b_i u_i.

Rodas5P has 8 stages, order 5 (`ORDER`) with an embedded method of order 4, is
stiffly accurate and L-stable, and its dense output has order 4.

The coefficients are those of Steinebach (2023), "Construction of Rosenbrock–Wanner
method Rodas5P and numerical benchmarks within the Julia Differential Equations
package", BIT Numer. Math. 63:27; the tests prove order and stability.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._factorisations import solver

ORDER = 5
GAMMA = 0.21193756319429014
# a_ij; stage 8 is evaluated at the embedded solution: b = (a_8, 1), the error is u_8.
_LAST = (
    -7.502846399306121,
    2.561846144803919,
    -11.627539656261098,
    -0.18268767659942256,
    0.030198172008377946,
)
STAGES = (
    (),
    (3.0,),
    (2.849394379747939, 0.45842242204463923),
    (-6.954028509809101, 2.489845061869568, -10.358996098473584),
    (
        2.8029986275628964,
        0.5072464736228206,
        -0.3988312541770524,
        -0.04721187230404641,
    ),
    _LAST,
    (*_LAST, 1.0),
    (*_LAST, 1.0, 1.0),
)
COUPLINGS = (  # c_ij
    (),
    (-14.155112264123755,),
    (-17.97296035885952, -2.859693295451294),
    (147.12150275711716, -1.41221402718213, 71.68940251302358),
    (
        165.43517024871676,
        -0.4592823456491126,
        42.90938336958603,
        -5.961986721573306,
    ),
    (
        24.854864614690072,
        -3.0009227002832186,
        47.4931110020768,
        5.5814197821558125,
        -0.6610691825249471,
    ),
    (
        30.91273214028599,
        -3.1208243349937974,
        77.79954646070892,
        34.28646028294783,
        -19.097331116725623,
        -28.087943162872662,
    ),
    (
        37.80277123390563,
        -3.2571969029072276,
        112.26918849496327,
        66.9347231244047,
        -40.06618937091002,
        -54.66780262877968,
        -9.48861652309627,
    ),
)
# y(τ) = y + τ (y⁺ − y) + τ(1 − τ) (d_1 + τ d_2 + τ² d_3), d = INTERPOLATION u.
INTERPOLATION = (
    (
        25.948786856663858,
        -2.5579724845846235,
        10.433815404888879,
        -2.3679251022685204,
        0.524948541321073,
        1.1241088310450404,
        0.4272876194431874,
        -0.17202221070155493,
    ),
    (
        -9.91568850695171,
        -0.9689944594115154,
        3.0438037242978453,
        -24.495224566215796,
        20.176138334709044,
        15.98066361424651,
        -6.789040303419874,
        -6.710236069923372,
    ),
    (
        11.419903575922262,
        2.8879645146136994,
        72.92137995996029,
        80.12511834622643,
        -52.072871366152654,
        -59.78993625266729,
        -0.15582684282751913,
        4.883087185713722,
    ),
)

Vector = Float[Array, " p"]


class RosenbrockStep(NamedTuple):
    """What one step gives.

    Attributes:
        value: y⁺, of order 5.
        error: y⁺ minus the embedded solution of order 4.
        dense: Coefficients of the polynomial in the fraction τ ∈ [0, 1] of the step,
            Σ_j dense[j] τ^j, of order 4; it is y at 0 and y⁺ at 1.
    """

    value: Vector
    error: Vector
    dense: Float[Array, "5 p"]


def rosenbrock_step(
    field: Callable[[Vector], Vector],
    matrix: Float[Array, "p p"],
    y: Vector,
    h: Any,
) -> RosenbrockStep:
    r"""One step of Rodas5P for the autonomous system ẏ = f(y).

    One LU factorisation and eight evaluations of f. The Jacobian must be exact, or
    the order is lost.

    Args:
        field: f.
        matrix: The Jacobian ∂f/∂y at `y`.
        y: Where the step starts.
        h: Step size.

    Returns:
        The step.

    Example:
        >>> field = lambda y: -(y**3)  # y(t) = 1/√(1 + 2t)
        >>> y = jnp.array([1.0])
        >>> step = rosenbrock_step(field, jax.jacobian(field)(y), y, jnp.array(0.1))
        >>> bool(abs(step.value[0] - 1.2**-0.5) < 1e-6)
        True

    Reference: Steinebach (2023), BIT Numer. Math. 63:27.
    """
    return rosenbrock_stages(field, lu_solver(matrix, h), y, h)


def lu_solver(matrix: Float[Array, "p p"], h: Any) -> Callable[[Vector], Vector]:
    """The solver v ↦ (I − γhJ)⁻¹ v by one LU factorisation, γ = `GAMMA`.

    Args:
        matrix: The Jacobian J.
        h: Step size.

    Returns:
        The solver.

    Example:
        >>> print(lu_solver(jnp.array([[-1 / GAMMA]]), 1.0)(jnp.array([3.0])))
        [1.5]
    """
    whole = jnp.eye(matrix.shape[0], dtype=matrix.dtype) - GAMMA * h * matrix
    return solver(whole)


def rosenbrock_stages(
    field: Callable[[Vector], Vector],
    solve: Callable[[Vector], Vector],
    y: Vector,
    h: Any,
) -> RosenbrockStep:
    """The step of `rosenbrock_step` with the linear solver given.

    Args:
        field: f.
        solve: v ↦ (I − γhJ)⁻¹ v, with γ = `GAMMA`.
        y: Where the step starts.
        h: Step size.

    Returns:
        The step.

    Example:
        >>> y, h = jnp.array([1.0]), jnp.array(0.1)
        >>> step = rosenbrock_stages(lambda y: -y, lambda v: v / (1 + GAMMA * h), y, h)
        >>> bool(abs(step.value[0] - jnp.exp(-0.1)) < 1e-8)
        True
    """
    a, c = (jnp.asarray(_square(rows), y.dtype) for rows in (STAGES, COUPLINGS))

    def stage(i, u):
        slope = h * field(y + a[i] @ u)
        return u.at[i].set(solve(GAMMA * (slope + c[i] @ u)))

    # A loop: written out, eight copies of the field take long to compile.
    u = jax.lax.fori_loop(
        0, len(STAGES), stage, jnp.zeros((len(STAGES), *y.shape), y.dtype)
    )
    dense = jnp.asarray(_dense_weights(), y.dtype) @ u
    return RosenbrockStep(
        value=y + jnp.asarray([*STAGES[-1], 1.0], y.dtype) @ u,
        error=u[-1],
        dense=jnp.concatenate([y[None, :], dense]),
    )


def _square(rows: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """The coefficients as a square matrix, zero on and above the diagonal."""
    return np.array([[*row, *[0.0] * (len(rows) - len(row))] for row in rows])


def _dense_weights() -> np.ndarray:
    """Weights of the stages in the coefficients of τ, τ², τ³, τ⁴."""
    change = np.array([*STAGES[-1], 1.0])
    d1, d2, d3 = np.array(INTERPOLATION)
    return np.stack([change + d1, d2 - d1, d3 - d2, -d3])
