r"""When gradient flow has to leave a cell, and when it never does.

On a cell (or in a sliding mode) the excess L − L_A falls at least like e^{−2λt} with
λ = σ₋² min_i c_i², σ₋ the smallest non-zero singular value of √q Φ_A; with an affine
part the minimum includes 1. So η_i·x̃_k comes near its value at the minimiser,
and if that value is on the wrong side the flow has to leave in time. If, on the other
hand, the way to the minimiser is short against the distances to the boundaries, the
pattern never changes.

Both need a lower bound of c_i² over the motion. The imbalance C_i = c_i² − ‖v_i‖² is
conserved, so c_i² ≥ C_i, and where C_i > 0 the sign of c_i is conserved as well.

Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..networks.network import extended, outputs, preactivations
from ..networks.two_layer import TwoLayer, imbalance
from ..problems.problem import Problem
from ._factors import Factors, distance, factorise, least_metric
from .cells import check_cells, held_projectors
from .pattern import pattern


class ExitBounds(NamedTuple):
    """Latest times, from now, at which gradient flow leaves its cell.

    Attributes:
        latest: The bound that each pair (neuron, datum) forces; inf where nothing
            does.
        first: The smallest of them: the cell is left by then.
        neuron: The neuron that forces it; −1 for none.
        datum: The datum; −1 for none.
        rate: λ, at which ‖P_A √q r‖ decays at least; 0 if no positive lower bound of
            c_i² is known, and then all times are inf.
    """

    latest: Float[Array, "n K"]
    first: Float[Array, ""]
    neuron: Int[Array, ""]
    datum: Int[Array, ""]
    rate: Float[Array, ""]


def exit_bounds(
    problem: Problem, network: TwoLayer, *, least_outer: Any = None
) -> ExitBounds:
    r"""How long gradient flow can stay in its cell at most.

    Let the least-squares solution η* of the cell break the constraint of pair (i, k),
    sign(c_i) η_i·x̃_k > 0 (on) or ≤ 0 (off), by d > 0. The flow leaves the cell within

        (1/λ) ln(a_ik ‖P_A √q r‖ / d),  a_ik = ‖(√q Φ_A)⁺ᵀ e_ik‖ ≤ ‖x̃_k‖/σ₋,

    e_ik the vector with e_ik·η = η_i·x̃_k, because |(η_i − η*_i)·x̃_k| is at most
    a_ik ‖P_A √q r‖, which decays at rate λ, and at least d while the cell holds. This
    needs e_ik in the row space of Φ_A: always so at full column rank; elsewhere
    η_i·x̃_k is not determined by the fit and the pair forces nothing. Dead neurons
    force nothing. The bound can be very loose.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network; for many at once use `jax.vmap`.
        least_outer: Lower bounds of |c_i| over the motion, shape (n,), ≥ 0; None means
            the proven √max(C_i, 0). A neuron with 0 that is not dead forbids all
            bounds, as neither its pace nor its sign is known.

    Returns:
        The bounds.

    Raises:
        ValueError: If the loss is not squared, the activation is not the ReLU, or
            `least_outer` has another shape.

    Example:
        >>> x = jnp.arange(1.0, 21.0)[:, None] / 20
        >>> problem = Problem(x, x[:, 0] ** 2, normalisation="sum")
        >>> network = TwoLayer(w=[[1.0]], b=[-4.5 / 20], c=[1.2], p=[0.0, 0.0])
        >>> bounds = exit_bounds(problem, network)
        >>> print(bounds.neuron, bounds.datum, bool(jnp.isfinite(bounds.first)))
        0 4 True

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    return _exit_bounds(problem, network, outer_bounds(network, least_outer))


@eqx.filter_jit
def _exit_bounds(
    problem: Problem, network: TwoLayer, least: Float[Array, " n"]
) -> ExitBounds:
    active = pattern(network, problem.x)
    factors = factorise(problem, active, None, network.p is not None)
    away = distance(factors, problem, outputs(network, problem.x) - problem.y)
    return bounds_of(problem, network, factors, active, None, least, away)


def outer_bounds(network: TwoLayer, least_outer: Any = None) -> Float[Array, " n"]:
    """Lower bounds of |c_i| over the motion: those given, or √max(C_i, 0)."""
    if least_outer is None:
        return jnp.sqrt(jnp.clip(imbalance(network), 0))
    least_outer = _checks.floating("least_outer", least_outer)
    if least_outer.shape != network.c.shape:
        raise ValueError(
            f"Argument `least_outer` must have one entry a neuron, shape "
            f"{network.c.shape}, but has shape {least_outer.shape}."
        )
    return least_outer


def bounds_of(
    problem: Problem,
    network: TwoLayer,
    factors: Factors,
    active: Bool[Array, "n K"],
    sliding: Bool[Array, "n K"] | None,
    least: Float[Array, " n"],
    away: Float[Array, ""],
) -> ExitBounds:
    """The bounds of a cell, or of a sliding mode, whose pairs that slide are held."""
    num, dim, count = network.width, problem.in_dim + 1, problem.num_data
    x1 = extended(problem.x)
    rate = factors.smallest**2 * least_metric(network, jnp.any(active, 1), least)
    eta = factors.minimiser[: num * dim].reshape(num, dim)
    side = jnp.sign(network.c)[:, None] * (eta @ x1.T)
    broken = jnp.where(active, -side, side)
    # Coordinates of e_ik in the right singular vectors.
    basis = factors.right[:, : num * dim].reshape(-1, num, dim)
    if sliding is not None:  # η_i stays where the projector leaves it
        basis = jnp.einsum("pnd,nde->pne", basis, held_projectors(sliding, x1))
        broken = jnp.where(sliding, -jnp.inf, broken)
    along = jnp.einsum("pnd,kd->pnk", basis, x1)
    null = (factors.values == 0)[:, None, None]
    hidden = jnp.sqrt(jnp.sum(jnp.where(null, along, 0) ** 2, axis=0))
    length = jnp.sqrt(jnp.sum(x1**2, axis=1))[None, :]
    seen = hidden <= jnp.sqrt(jnp.finfo(x1.dtype).eps) * length
    amplify = factors.inverse[:, None, None] * along
    reach = jnp.sqrt(jnp.sum(amplify**2, axis=0))
    # Rounding of η*: what is broken by less than it is not broken.
    grain = 64 * jnp.finfo(x1.dtype).eps * length * jnp.max(jnp.abs(factors.minimiser))
    forces = (broken > grain) & seen & (rate > 0)
    ratio = reach * away / jnp.where(forces, broken, 1)
    wait = jnp.log(jnp.clip(ratio, 1)) / jnp.where(rate > 0, rate, 1)
    latest = jnp.where(forces, wait, jnp.inf)
    first = jnp.min(latest)
    index = jnp.argmin(latest).astype(jnp.int32)
    found = jnp.isfinite(first)
    return ExitBounds(
        latest,
        first,
        jnp.where(found, index // count, -1),
        jnp.where(found, index % count, -1),
        rate,
    )


class Confinement(NamedTuple):
    """Whether the pattern is proven never to change under gradient flow.

    Attributes:
        holds: Whether `way` is below `room` for every neuron that is not dead.
        way: Upper bound of how far v_i moves, ever.
        room: How far v_i would have to move to change the pattern.
    """

    holds: Bool[Array, ""]
    way: Float[Array, " n"]
    room: Float[Array, " n"]


def never_leaves(
    problem: Problem, network: TwoLayer, *, least_outer: Any = None
) -> Confinement:
    r"""Whether gradient flow provably stays in its cell for ever.

    With λ as for `exit_bounds` and Γ_i = ‖√q D_i X̃‖ ‖P_A √q r‖/λ, v_i moves by at
    most √(c_i² + ‖v_i‖²) Γ_i e^{Γ_i}. If that is below min_k |z_ik|/‖x̃_k‖ for every i,
    the pattern never changes and the loss converges to the floor exponentially. It is
    a sufficient condition: the mechanism of lazy training.

    Args:
        problem: Data with the squared loss.
        network: A two-layer ReLU network.
        least_outer: As for `exit_bounds`; a bound that is merely observed proves
            nothing beyond the time at which it was.

    Returns:
        The condition and its two sides. A dead neuron does not move: its `way` is 0.

    Raises:
        ValueError: As `exit_bounds`.

    Example:
        >>> problem = Problem([[0.0], [1.0], [2.0]], [0.0, 1.0, 2.001])
        >>> network = TwoLayer(w=[[0.1]], b=[0.1], c=[10.0], p=[0.0, -1.0])
        >>> never_leaves(problem, network).holds
        Array(True, dtype=bool)

    Reference: derived after Ainsworth & Shin (2021), arXiv:2007.07213.
    """
    check_cells(problem, network)
    return _never_leaves(problem, network, outer_bounds(network, least_outer))


@eqx.filter_jit
def _never_leaves(
    problem: Problem, network: TwoLayer, least: Float[Array, " n"]
) -> Confinement:
    active = pattern(network, problem.x)
    factors = factorise(problem, active, None, network.p is not None)
    away = distance(factors, problem, outputs(network, problem.x) - problem.y)
    return confinement_of(problem, network, factors, active, least, away)


def confinement_of(
    problem: Problem,
    network: TwoLayer,
    factors: Factors,
    active: Bool[Array, "n K"],
    least: Float[Array, " n"],
    away: Float[Array, ""],
) -> Confinement:
    """The condition for a cell that is known."""
    x1 = extended(problem.x)
    alive = jnp.any(active, axis=1)
    rate = factors.smallest**2 * least_metric(network, alive, least)
    root = jnp.sqrt(problem.sample_weights)
    rows = jnp.where(active[:, :, None], (root[:, None] * x1)[None], 0)
    strength = jnp.linalg.norm(rows, ord=2, axis=(1, 2))
    moves = alive & (away > 0)
    gamma = strength * away / jnp.where(rate > 0, rate, 1)
    gamma = jnp.where(moves, jnp.where(rate > 0, gamma, jnp.inf), 0)
    size = jnp.sqrt(network.c**2 + jnp.sum(network.w**2, axis=1) + network.b**2)
    way = jnp.where(moves, size * gamma * jnp.exp(gamma), 0)
    (z,) = preactivations(network, problem.x)
    room = jnp.min(jnp.abs(z) / jnp.sqrt(jnp.sum(x1**2, axis=1))[None, :], axis=1)
    return Confinement(jnp.all((way < room) | ~alive), way, room)
