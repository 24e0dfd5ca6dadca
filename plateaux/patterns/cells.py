r"""Cells: the sets of parameters that share one activation pattern.

While the pattern A of a ReLU network with outputs f = Σ_i c_i φ(v_i·x̃) [+ p·x̃] stays,
f = Φ_A η is linear in η_i = c_i v_i (and p). So no training can get below the *floor*
L_A = min_η ½ Σ_k q_k (Φ_A η − y)_k² before the pattern changes, gradient flow comes
near it at rates between two bounds, and where the minimiser lies outside the cell the
flow has to leave.

Reference: the theory is derived after Ainsworth & Shin (2021), arXiv:2007.07213.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..networks.activations import ReLU
from ..networks.network import extended
from ..networks.two_layer import TwoLayer
from ..problems.losses import SquaredError
from ..problems.problem import Problem, check_data, check_match
from .least_squares import LeastSquares, least_squares
from .pattern import pattern


def design_matrix(
    active: Bool[Array, "n K"],
    x: Float[Array, "K d"],
    *,
    affine: bool,
    sliding: Bool[Array, "n K"] | None = None,
) -> Float[Array, "K p"]:
    r"""Φ_A = [D_1 X̃ … D_n X̃ (X̃)], D_i = diag(A_i), x̃ = (x, 1).

    While pairs (i, k) slide, the network stays linear in η with η_i·x̃_k = 0 held. The
    block of neuron i is then D_i X̃ Π_i, Π_i the projector onto the complement of the
    x̃_k it slides along; what the sliding pairs count as, on or off, does not matter.

    Args:
        active: The pattern A.
        x: Inputs.
        affine: Whether the network has an affine part; its columns come last.
        sliding: Which pairs slide; None for none.

    Returns:
        The matrix, p = n(d+1) columns, neuron by neuron, or (n+1)(d+1).

    Example:
        >>> active = jnp.array([[False, True]])
        >>> print(design_matrix(active, jnp.array([[1.0], [2.0]]), affine=True))
        [[0. 0. 1. 1.]
         [2. 1. 2. 1.]]

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    x1 = extended(x)
    blocks = jnp.where(active.T[:, :, None], x1[:, None, :], 0)
    if sliding is not None:
        blocks = jnp.einsum("knd,nde->kne", blocks, held_projectors(sliding, x1))
        blocks = jnp.where(sliding.T[:, :, None], 0, blocks)
    phi = blocks.reshape(x.shape[0], -1)
    return jnp.concatenate([phi, x1], axis=1) if affine else phi


def held_projectors(
    sliding: Bool[Array, "n K"], x1: Float[Array, "K D"]
) -> Float[Array, "n D D"]:
    """Π_i, onto the complement of the data that neuron i slides along."""
    num, dim = x1.shape
    rows = jnp.where(sliding[:, :, None], x1[None], 0)
    rows = jnp.pad(rows, ((0, 0), (0, max(dim - num, 0)), (0, 0)))
    _, values, right = jnp.linalg.svd(rows, full_matrices=False)
    largest = values[:, :1]
    held = values > max(num, dim) * jnp.finfo(x1.dtype).eps * largest
    right = jnp.where(held[:, :, None], right, 0)
    return jnp.eye(dim, dtype=x1.dtype)[None] - jnp.einsum("nsd,nse->nde", right, right)


def cell_fit(problem: Problem, network: TwoLayer) -> LeastSquares:
    """The best fit in the cell of a network; its `value` is the floor L_A.

    The floor bounds the loss of *any* training from below for as long as the pattern
    stays; whether the cell contains a network that reaches it is another question, see
    `violation`.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network; for many at once use `jax.vmap`.

    Returns:
        The fit, with coefficients η* as `design_matrix` orders them.

    Raises:
        ValueError: If the loss is not squared or the activation is not the ReLU.

    Example:
        >>> problem = Problem([[-1.0], [1.0], [2.0]], [1.0, 2.0, 5.0])
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> fit = cell_fit(problem, net)  # the datum at −1 is out of reach: 1²/2/3
        >>> print(f"{fit.value:.4f}")
        0.1667

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    return _cell_fit(problem, network)


@eqx.filter_jit
def _cell_fit(problem: Problem, network: TwoLayer) -> LeastSquares:
    active = pattern(network, problem.x)
    phi = design_matrix(active, problem.x, affine=network.p is not None)
    return least_squares(phi, problem.y, problem.sample_weights)


def check_cells(problem: Problem, network: TwoLayer) -> None:
    """Refuse what is not linear within a pattern."""
    check_data(problem)
    check_match(problem, network)
    if not isinstance(network, TwoLayer) or not isinstance(network.activation, ReLU):
        raise ValueError(
            "Argument `network` must be a TwoLayer with relu to have cells, but is a "
            f"{type(network).__name__} with {network.activation}."
        )
    if not isinstance(problem.loss, SquaredError):
        raise ValueError(
            "Argument `problem` must have the squared loss to have floors, but has "
            f"{type(problem.loss).__name__}."
        )


class CellRates(NamedTuple):
    r"""Bounds of the rate at which gradient flow approaches the floor, right now.

    (L − L_A)˙ lies between −fastest·(L − L_A) and −slowest·(L − L_A).

    Attributes:
        slowest: 2σ₋² min_i c_i² over neurons that are not dead.
        fastest: 2σ₊² max_i (c_i² + ‖v_i‖²).
        smallest: σ₋, the smallest singular value of √q Φ_A that is not zero.
        largest: σ₊, the largest.
    """

    slowest: Float[Array, ""]
    fastest: Float[Array, ""]
    smallest: Float[Array, ""]
    largest: Float[Array, ""]


def cell_rates(problem: Problem, network: TwoLayer) -> CellRates:
    r"""Two-sided rate of the excess L − L_A under gradient flow.

    From ½ d/dt‖P_A r‖² = −rᵀKr and c_i² I ⪯ c_i² I + v_i v_iᵀ ⪯ (c_i² + ‖v_i‖²) I.
    With an affine part, whose metric is I, minimum and maximum include 1.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network.

    Returns:
        The rates, per flow time; zero in a cell in which all neurons are dead.

    Example:
        >>> problem = Problem([[1.0]], [1.0])
        >>> rates = cell_rates(problem, TwoLayer(w=[[1.0]], b=[0.0], c=[1.0]))
        >>> print(f"{rates.slowest:.1f} {rates.fastest:.1f}")
        4.0 8.0

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    return _cell_rates(problem, network)


@eqx.filter_jit
def _cell_rates(problem: Problem, network: TwoLayer) -> CellRates:
    active = pattern(network, problem.x)
    phi = design_matrix(active, problem.x, affine=network.p is not None)
    fit = least_squares(phi, problem.y, problem.sample_weights)
    values = fit.singular_values
    cut = max(phi.shape) * jnp.finfo(phi.dtype).eps * values[0]
    smallest = jnp.min(jnp.where(values > cut, values, jnp.inf))
    smallest = jnp.where(jnp.isfinite(smallest), smallest, 0)
    alive = jnp.any(active, axis=1)
    outer = network.c**2
    both = outer + jnp.sum(network.w**2, axis=1) + network.b**2
    low = jnp.min(jnp.where(alive, outer, jnp.inf))
    high = jnp.max(jnp.where(alive, both, 0))
    if network.p is not None:
        low, high = jnp.minimum(low, 1), jnp.maximum(high, 1)
    low = jnp.where(jnp.isfinite(low), low, 0)
    return CellRates(
        2 * smallest**2 * low, 2 * values[0] ** 2 * high, smallest, values[0]
    )


def tangent_kernel(problem: Problem, network: TwoLayer) -> Float[Array, "K K"]:
    r"""Neural tangent kernel K of a two-layer ReLU network, ṙ = −K (q ∘ r).

    K = Σ_i D_i X̃ (c_i² I + v_i v_iᵀ) X̃ᵀ D_i (+ X̃X̃ᵀ with an affine part).

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network.

    Returns:
        The kernel, symmetric and positive semidefinite.

    Example:
        >>> problem = Problem([[-1.0], [1.0]], [0.0, 1.0])
        >>> print(tangent_kernel(problem, TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])))
        [[0. 0.]
         [0. 3.]]

    Reference: Jacot, Gabriel & Hongler (2018), arXiv:1806.07572.
    """
    check_cells(problem, network)
    return _tangent_kernel(problem, network)


@eqx.filter_jit
def _tangent_kernel(problem: Problem, network: TwoLayer) -> Float[Array, "K K"]:
    x = problem.x
    x1 = extended(x)
    z = network.w @ x.T + network.b[:, None]
    h = jnp.where(z > 0, z, 0)
    outer = jnp.where(z > 0, network.c[:, None], 0)
    gram = x1 @ x1.T
    kernel = h.T @ h + gram * (outer.T @ outer)
    return kernel if network.p is None else kernel + gram


def violation(problem: Problem, network: TwoLayer) -> Float[Array, "n K"]:
    r"""By how much the minimiser of the cell breaks the cell's own constraints.

    η* belongs to the cell, for the signs that c_i have now, if sign(c_i) η*_i·x̃_k > 0
    where neuron i is on and ≤ 0 where it is off. Where it does not the flow, if the
    signs of c stay, has to leave the pattern.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network.

    Returns:
        Positive where the constraint is broken, in units of f; at most 0 elsewhere.

    Example:
        >>> problem = Problem([[-1.0], [1.0], [2.0]], [0.0, 0.0, 3.0])
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(jnp.round(violation(problem, net)[0, ::2]))  # the best line is 3x − 3
        [-6. -3.]

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    return _violation(problem, network)


@eqx.filter_jit
def _violation(problem: Problem, network: TwoLayer) -> Float[Array, "n K"]:
    fit = _cell_fit(problem, network)
    num, dim = network.width, problem.in_dim + 1
    eta = fit.coefficients[: num * dim].reshape(num, dim)
    side = jnp.sign(network.c)[:, None] * (eta[:, :-1] @ problem.x.T + eta[:, -1:])
    return jnp.where(pattern(network, problem.x), -side, side)
