r"""Taylor series of gradient flow inside a mode.

Inside a mode the flow of a two-layer network with a piecewise linear activation is a
polynomial (or, for other losses than the squared one, analytic) differential equation,
so the Taylor coefficients of its solution follow from one another: with u_i = c_i v_i,

    f_k = Σ_i s_ik x̃_k·u_i (+ x̃_k·p),   e_k = q_k ∂ℓ_k/∂f,   g_i = Σ_k s_ik e_k x̃_k,
    v̇_i = −P_i(c_i g_i),   ċ_i = −v_i·g_i,   ṗ = −Σ_k e_k x̃_k,

and products become Cauchy products. One order costs as much as one evaluation of the
gradient; the series is step and dense output at once.

Reference: Jorba & Zou (2005), "A software package for the numerical integration of
ODEs by means of high-order Taylor methods", Experimental Mathematics 14, 99-117.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..problems.losses import reverse
from ..problems.problem import Problem
from .modes import Basis, Data, Parameters

_WRITE_OUT = 4  # inputs, the constant one included


class Series(NamedTuple):
    """Taylor coefficients of one step, the leading axis counts powers of time.

    Attributes:
        parameters: Coefficients 0 … N+1 of v, c and p.
        g: Coefficients 0 … N of g_i.
        e: Coefficients 0 … N of e_k.
    """

    parameters: Parameters
    g: Float[Array, "j n D"]
    e: Float[Array, "j K"]


def taylor_series(
    problem: Problem,
    data: Data,
    slope: Float[Array, "n K"],
    sliding: Basis,
    start: Parameters,
    order: int,
) -> Series:
    """Taylor coefficients of the flow in the present mode.

    Args:
        problem: Data and loss.
        data: Inputs and slopes, for the vector field.
        slope: s_ik.
        sliding: Basis of the data each neuron slides along.
        start: Parameters now.
        order: N; coefficient N+1 of the parameters measures the truncation.

    Returns:
        The series.
    """
    num, dim = start.v.shape
    num_data = data.x1.shape[0]
    room = lambda *shape: jnp.zeros((order + 2, *shape), start.v.dtype)
    first = _Rows(
        v=room(num, dim).at[0].set(start.v),
        c=room(num).at[0].set(start.c),
        p=None if start.p is None else room(dim).at[0].set(start.p),
        f=room(num_data),
        r=room(num_data),
        g=room(num, dim),
    )

    def next_order(j, rows: _Rows) -> _Rows:
        u = jnp.sum(rows.c[:, :, None] * reverse(rows.v, j), axis=0)
        f = jnp.sum(slope * inner_products(u, data.x1), axis=0)
        if rows.p is not None:
            f = f + data.x1 @ rows.p[j]
        f = put(rows.f, f, j)
        r = problem.loss.gradient_series(f, rows.r, problem.y, j)
        e = problem.sample_weights * r
        g = put(rows.g, weighted_sums(slope, e, data.x1), j)
        g_back = reverse(g, j)
        v = -sliding.project_out(jnp.sum(rows.c[:, :, None] * g_back, axis=0))
        c = -jnp.sum(rows.v * g_back, axis=(0, 2))
        return _Rows(
            v=put(rows.v, v / (j + 1), j + 1),
            c=put(rows.c, c / (j + 1), j + 1),
            p=None if rows.p is None else put(rows.p, -e @ data.x1 / (j + 1), j + 1),
            f=f,
            r=put(rows.r, r, j),
            g=g,
        )

    rows = jax.lax.fori_loop(0, order + 1, next_order, first)
    e = problem.sample_weights[None, :] * rows.r[:-1]
    return Series(Parameters(rows.v, rows.c, rows.p), rows.g[:-1], e)


class _Rows(NamedTuple):
    """Coefficients by order, zero where not yet known."""

    v: Array
    c: Array
    p: Array | None
    f: Array
    r: Array
    g: Array


def put(rows: Array, row: Array, j) -> Array:
    """The rows with row j replaced."""
    return jax.lax.dynamic_update_index_in_dim(rows, row, j, 0)


def inner_products(vectors: Float[Array, "*j n D"], x1: Float[Array, "K D"]):
    """v_i·x̃_k. Written out for few inputs: such a product is no work for a dot."""
    if x1.shape[1] > _WRITE_OUT:
        return vectors @ x1.T
    lift = lambda row: row.reshape(*[1] * (vectors.ndim - 1), -1)
    total = vectors[..., 0, None] * lift(x1[:, 0])
    for d in range(1, x1.shape[1]):
        total = total + vectors[..., d, None] * lift(x1[:, d])
    return total


def weighted_sums(
    slope: Float[Array, "n K"], e: Float[Array, " K"], x1: Float[Array, "K D"]
) -> Float[Array, "n D"]:
    """g_i = Σ_k s_ik e_k x̃_k."""
    if x1.shape[1] > _WRITE_OUT:
        return slope @ (e[:, None] * x1)
    columns = [slope * (e * x1[:, d])[None, :] for d in range(x1.shape[1])]
    return jnp.stack([jnp.sum(column, axis=1) for column in columns], axis=1)
