"""The neuron-wise methods: one neuron after another, the others held."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..networks.network import outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .coordinates import (
    Data,
    affine_row,
    assemble,
    centred,
    choose,
    least_squares,
    outer_fit,
    random_rows,
    rows,
    uniform_draws,
)
from .line_search import line_search
from .moves import Method, Move
from .univariate import Sorted, best_hinge_in_order, hinge_values, sort_data


class Neurons(Method):
    """A sweep over the neurons, each by least squares on its pattern and near ones.

    The partial residual is fitted on the neuron's active data, and again with single
    data flipped; every fit is tried as it is and by an exact line search towards it.
    A neuron with fewer active data than unknowns is put at the best of random
    hyperplanes. The outer fit ends the sweep.

    Attributes:
        num_flips: Patterns tried besides the present one; for d = 1 these are one more
            and one less active datum, for d > 1 the flips of the nearest data.
        num_candidates: Random hyperplanes for a useless neuron.
        limit: Largest step of the line search, in units of the direction.
    """

    num_flips: int = 2
    num_candidates: int = 200
    limit: float = 4.0

    def start(self, problem: Problem, network: TwoLayer) -> None:
        """Nothing is remembered."""

    def step(self, problem: Problem, network: TwoLayer, memory: None, key: Array):
        """One sweep and the outer fit."""
        data = centred(problem)
        v, c = rows(data, network)
        residual = outputs(network, problem.x) - problem.y
        keys = jax.random.split(key, v.shape[0])
        one = lambda r, neuron: self._neuron(data, r, *neuron)
        _, (v, c, reseeded) = jax.lax.scan(one, residual, (v, c, keys))
        move = jnp.where(jnp.any(reseeded), Move.reseed, Move.neurons)
        return swept(problem, data, network, v, c), None, move

    def _neuron(self, data: Data, residual, v, c, key):
        """The best candidate for one neuron, kept if the loss falls."""
        h = data.columns(v[None, :])[:, 0]
        rho = c * h - residual
        z = data.x1 @ v
        near = self._directions(data, rho, z)
        towards = jax.vmap(lambda eta: self._search(data, rho, v, c, eta))(near)
        columns = data.x1.shape[1] + 2
        draws = uniform_draws(key, v, self.num_candidates * columns)
        random = random_rows(draws.reshape(self.num_candidates, columns), data)
        candidates = jnp.concatenate([near, -near, towards, random])
        features = data.columns(candidates).T
        square = features**2 @ data.q
        inner = features @ (data.q * rho)
        there = square > 0
        score = jnp.where(there, inner**2 / jnp.where(there, square, 1), -1)
        useless = jnp.sum(z > 0) < data.x1.shape[1]
        is_random = jnp.arange(score.shape[0]) >= 3 * near.shape[0]
        score = jnp.where(is_random & ~useless, -1, score)
        best = jnp.argmax(score)
        new_c = inner[best] / jnp.where(there[best], square[best], 1)
        new_residual = new_c * features[best] - rho
        better = data.q @ new_residual**2 < data.q @ residual**2
        keep = lambda new, old: jnp.where(better, new, old)
        size = jnp.sqrt(jnp.sum(candidates[best] ** 2))
        size = jnp.where(size > 0, size, 1)
        new = (keep(candidates[best] / size, v), keep(new_c * size, c))
        return keep(new_residual, residual), (*new, better & is_random[best])

    def _directions(self, data: Data, rho, z) -> Float[Array, "m D"]:
        """Least-squares fits of ρ on the present pattern and on those near it."""
        root = jnp.sqrt(data.q)
        fit = lambda active: least_squares(
            jnp.where(active, root, 0)[:, None] * data.x1,
            jnp.where(active, root * rho, 0),
        )
        return jax.vmap(fit)(near_patterns(data, z, self.num_flips))

    def _search(self, data: Data, rho, v, c, eta) -> Float[Array, " D"]:
        """The best inner row on the way from η_i = c v to η and beyond."""
        sign = jnp.where(c < 0, -1, 1).astype(v.dtype)
        own, change = jnp.abs(c) * v, sign * eta - jnp.abs(c) * v
        best = line_search(
            (data.x1 @ own)[None, :],
            (data.x1 @ change)[None, :],
            sign[None],
            -rho,
            jnp.zeros_like(rho),
            data.q,
            limit=self.limit,
        )
        return own + best.t * change


def near_patterns(data: Data, z: Float[Array, " K"], num: int) -> Bool[Array, "m K"]:
    """The pattern of one neuron, and with single data flipped."""
    active = z > 0
    if num == 0:
        return active[None, :]
    if data.x1.shape[1] == 2:
        last = jnp.argmin(jnp.where(active, z, jnp.inf))
        first = jnp.argmax(jnp.where(active, -jnp.inf, z))
        nearest = jnp.stack([last, first])[:num]
    else:
        length = jnp.sqrt(jnp.sum(data.x1**2, axis=1))
        _, nearest = jax.lax.top_k(-jnp.abs(z) / length, min(num, z.shape[0]))
    flip = nearest[:, None] == jnp.arange(z.shape[0], dtype=nearest.dtype)[None, :]
    return jnp.concatenate([active[None, :], active[None, :] ^ flip])


def swept(problem: Problem, data: Data, network: TwoLayer, v: Any, c: Any) -> TwoLayer:
    """The network after a sweep: with the outer fit if that lowers the loss."""
    outer = c
    if network.p is not None:
        outer = jnp.concatenate([c, affine_row(data, network.p)])
    plain = assemble(data, network, v, outer)
    fitted = outer_fit(data, network, v)
    return choose(loss(problem, fitted) < loss(problem, plain), fitted, plain)


class ExactNeurons(Method):
    """A sweep in which every neuron gets its best kink of all; one input only.

    Block-coordinate descent with the exact solve of one neuron, `best_hinge`. The outer
    fit ends the sweep.

    Attributes:
        outer: Whether the outer fit is made; without it a step costs O(nK).
    """

    outer: bool = eqx.field(default=True, static=True)

    def start(self, problem: Problem, network: TwoLayer) -> Sorted:
        """The sorted inputs."""
        if problem.in_dim != 1:
            raise ValueError(
                "The method 'exact' must have one input, but the problem has "
                f"{problem.in_dim}; use 'neuron' or 'joint'."
            )
        return sort_data(problem.x[:, 0], problem.sample_weights)

    def step(self, problem: Problem, network: TwoLayer, memory: Sorted, key: Array):
        """One sweep, and the outer fit."""
        del key
        moved = exact_sweep(problem, network, memory)
        if self.outer:
            data = centred(problem)
            moved = swept(problem, data, moved, *rows(data, moved))
        return moved, memory, jnp.asarray(Move.neurons, jnp.int32)


def exact_sweep(problem: Problem, network: TwoLayer, data: Sorted) -> TwoLayer:
    """Every neuron in turn at its best kink, the others held.

    Args:
        problem: Data with one input and the squared loss.
        network: A two-layer ReLU network.
        data: The sorted inputs, from `sort_data`.

    Returns:
        The network after the sweep, of no higher loss up to rounding; time O(nK).

    Example:
        >>> x = jnp.array([0.0, 1.0, 2.0, 3.0])
        >>> problem = Problem(x[:, None], jnp.array([0.0, 0.0, 1.0, 3.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(exact_sweep(problem, net, sort_data(x, problem.sample_weights)).c)
        [2.]
    """
    x, q = data.x[0], data.q[0]
    residual = (outputs(network, problem.x) - problem.y)[data.order]

    def one(residual, neuron):
        w, b, c = neuron
        z = w * x + b
        rho = c * jnp.where(z > 0, z, 0) - residual
        hinge = best_hinge_in_order(data, rho)
        new = hinge.c * hinge_values(hinge, x) - rho
        better = q @ new**2 < q @ residual**2
        keep = lambda new, old: jnp.where(better, new, old)
        there = (hinge.side, -hinge.side * hinge.kink, hinge.c)
        return keep(new, residual), tuple(map(keep, there, neuron))

    start = (network.w[:, 0], network.b, network.c)
    _, (w, b, c) = jax.lax.scan(one, residual, start)
    return eqx.tree_at(lambda net: (net.w, net.b, net.c), network, (w[:, None], b, c))
