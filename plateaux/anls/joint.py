"""The joint method: all neurons at once, across patterns, with exchanges."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .coordinates import (
    Data,
    centred,
    choose,
    damped_solve,
    inward,
    outer_fit,
    rows,
    unit_columns,
)
from .exchange import exchange
from .line_search import line_search
from .moves import Method, Move


class Branch(eqx.Module):
    """The network that is being improved, perhaps not yet the best.

    Attributes:
        network: Where the branch is.
        value: Its loss.
        age: Steps since it began.
        exchanged: Whether it began with an exchange and is not the best yet.
    """

    network: TwoLayer
    value: Float[Array, ""]
    age: Int[Array, ""]
    exchanged: Bool[Array, ""]


class Joint(Method):
    """All neurons at once, with exact line search, outer fit and exchanges.

    Attributes:
        dampings: Of the least-squares directions, relative to the sum of the squared
            singular values of Φ with unit columns; 0 is the floor of the pattern.
        limit: Largest step of the line search, in units of the direction.
        exchange: Whether neurons are exchanged when a branch stalls.
        num_candidates: Random neurons an exchange chooses from.
        stall: Relative decrease below which a branch counts as stalled.
        trial_steps: Steps a branch gets after an exchange to beat the best loss.
    """

    dampings: tuple[float, ...] = (0.0, 1e-6, 1e-4, 1e-2)
    limit: float = 4.0
    exchange: bool = True
    num_candidates: int = 200
    stall: float = 1e-4
    trial_steps: int = 8

    def start(self, problem: Problem, network: TwoLayer) -> Branch:
        value = loss(problem, network)
        return Branch(network, value, jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def step(self, problem, network, memory: Branch, key):
        data = centred(problem)
        moved, value, move = self._improve(problem, data, memory)
        better = value < memory.value
        fall = jnp.where(better, memory.value - value, 0)
        stalled = fall <= self.stall * memory.value
        pick = lambda new, old: jax.tree.map(
            lambda a, b: jnp.where(better, a, b), new, old
        )
        work, work_value = pick((moved, value), (memory.network, memory.value))
        move = jnp.where(memory.exchanged, Move.exchange, move)
        if not self.exchange:
            return work, Branch(work, work_value, memory.age + 1, memory.exchanged), move
        # --- a branch that stalls or is too old ends; the next begins at the best ---
        best_value = loss(problem, network)
        leads = work_value < best_value
        over = stalled | (memory.exchanged & (memory.age >= self.trial_steps) & ~leads)
        base = choose(leads, work, network)
        v, _ = rows(data, base)
        v = exchange(key, data, v, network.p is not None, self.num_candidates)
        fresh = outer_fit(data, network, v)
        fresh_value = loss(problem, fresh)
        usable = jnp.isfinite(fresh_value)
        begun = Branch(
            choose(usable, fresh, base),
            jnp.where(usable, fresh_value, jnp.minimum(work_value, best_value)),
            jnp.zeros((), jnp.int32),
            jnp.ones((), bool),
        )
        goes_on = Branch(work, work_value, memory.age + 1, memory.exchanged & ~leads)
        branch = jax.tree.map(lambda a, b: jnp.where(over, a, b), begun, goes_on)
        return work, branch, move

    def _improve(self, problem, data, memory: Branch):
        """The best of all dampings, each with its line search and outer fit."""
        network = memory.network
        v, c = rows(data, network)
        z = v @ data.x1.T
        affine = network.p is not None
        num, dim = v.shape
        root = jnp.sqrt(data.q)
        f = jax.vmap(network)(problem.x)
        # --- directions δ of η and p ---
        blocks = jnp.where((z.T > 0)[:, :, None], data.x1[:, None, :], 0)
        phi = blocks.reshape(z.shape[1], -1)
        phi = jnp.concatenate([phi, data.x1], axis=1) if affine else phi
        scaled, length = unit_columns(root[:, None] * phi)
        triangle = jnp.linalg.qr(
            jnp.concatenate([scaled, (root * (data.y - f))[:, None]], axis=1), mode="r"
        )
        total = jnp.sum(triangle[:, :-1] ** 2)
        finest = float(jnp.finfo(z.dtype).eps)
        signs = jnp.where(c < 0, -1, 1).astype(z.dtype)

        def along(damping):
            tau = jnp.maximum(damping, finest) * total
            delta = damped_solve(triangle[:, :-1], triangle[:, -1], tau) / length
            dv = delta[: num * dim].reshape(num, dim)
            rest = f - data.y - jnp.where(z > 0, c[:, None] * z, 0).sum(axis=0)
            slope = (
                data.x1 @ delta[num * dim :] if affine else jnp.zeros_like(data.y)
            )
            own, change = jnp.abs(c)[:, None] * z, signs[:, None] * (dv @ data.x1.T)
            t = line_search(
                own, change, signs, rest, slope, data.q, limit=self.limit
            ).t
            moved = jnp.abs(c)[:, None] * v + t * signs[:, None] * dv
            size = jnp.sqrt(jnp.sum(moved**2, axis=1, keepdims=True))
            moved = moved / jnp.where(size > 0, size, 1)
            fitted = outer_fit(data, network, jnp.where(t > 0, moved, v))
            return fitted, loss(problem, fitted)

        dampings = jnp.asarray(self.dampings, z.dtype)
        networks, values = jax.vmap(along)(dampings)
        values = jnp.where(jnp.isfinite(values), values, jnp.inf)
        best = jnp.argmin(values)
        move = jnp.where(dampings[best] > 0, Move.damped, Move.jump)
        return jax.tree.map(lambda a: a[best], networks), values[best], move
