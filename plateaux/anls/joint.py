"""The joint method: all neurons at once, across patterns, with exchanges."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..networks.network import outputs
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem, loss
from .branching import Branching
from .coordinates import (
    Data,
    centred,
    damped_solve,
    outer_fit,
    rows,
    triangle_of,
    unit_columns,
)
from .line_search import line_search
from .moves import Move


class Joint(Branching):
    """All neurons at once, with exact line search, outer fit and exchanges.

    Attributes:
        dampings: Of the least-squares directions, relative to the sum of the squared
            singular values of Φ with unit columns; 0 is the floor of the pattern.
        limit: Largest step of the line search, in units of the direction.

    The others are those of `Branching`.
    """

    dampings: tuple[float, ...] = (0.0, 1e-6, 1e-4, 1e-2)
    limit: float = 4.0

    def data(self, problem: Problem, network: TwoLayer) -> Data:
        """The problem in centred coordinates."""
        return centred(problem)

    def improve(self, problem: Problem, data: Data, network: TwoLayer):
        """The best of all dampings, each with its line search and outer fit."""
        v, c = rows(data, network)
        ray = _Ray(data, v, c, outputs(network, problem.x), network.p is not None)
        scaled, length = unit_columns(jnp.sqrt(data.q)[:, None] * ray.design)
        triangle = triangle_of(scaled, jnp.sqrt(data.q) * (data.y - ray.f))
        total = jnp.sum(triangle[:, :-1] ** 2)
        finest = float(jnp.finfo(v.dtype).eps)

        def along(damping):
            tau = jnp.maximum(damping, finest) * total
            delta = damped_solve(triangle[:, :-1], triangle[:, -1], tau) / length
            fitted = outer_fit(data, network, ray.search(delta, self.limit))
            return fitted, loss(problem, fitted)

        networks, values = jax.vmap(along)(jnp.asarray(self.dampings, v.dtype))
        values = jnp.where(jnp.isfinite(values), values, jnp.inf)
        # of equal losses the least damped, whatever the rounding
        handicap = 1 + 1e-9 * jnp.arange(values.shape[0], dtype=v.dtype)
        best = jnp.argmin(values * handicap)
        damped = jnp.asarray(self.dampings)[best] > 0
        move = jnp.where(damped, Move.damped, Move.jump)
        return jax.tree.map(lambda leaf: leaf[best], networks), values[best], move


class _Ray(NamedTuple):
    """A network in η_i = c_i v_i, from which directions δ lead.

    Attributes:
        data: The centred data.
        v: Inner rows of unit length.
        c: Outer weights.
        f: Outputs.
        affine: Whether there is an affine part.
    """

    data: Data
    v: Array
    c: Array
    f: Array
    affine: bool

    @property
    def z(self) -> Float[Array, "n K"]:
        """v_i·x̃_k."""
        return self.data.preactivations(self.v)

    @property
    def design(self) -> Float[Array, "K p"]:
        """Φ_A in centred coordinates."""
        x1 = self.data.x1
        active = (self.z.T > 0)[:, :, None]
        phi = jnp.where(active, x1[:, None, :], 0).reshape(x1.shape[0], -1)
        return jnp.concatenate([phi, x1], axis=1) if self.affine else phi

    def search(self, delta: Float[Array, " p"], limit: Any) -> Float[Array, "n D"]:
        """The inner rows, of unit length, at the best point of η + tδ."""
        x1, (num, dim) = self.data.x1, self.v.shape
        signs = jnp.where(self.c < 0, -1, 1).astype(self.v.dtype)
        own = jnp.abs(self.c)[:, None] * self.v
        change = signs[:, None] * delta[: num * dim].reshape(num, dim)
        z = jnp.abs(self.c)[:, None] * self.z
        rest = self.f - self.data.y - signs @ jnp.where(z > 0, z, 0)
        slope = jnp.zeros_like(rest)
        slope = x1 @ delta[num * dim :] if self.affine else slope
        t = line_search(
            z, change @ x1.T, signs, rest, slope, self.data.q, limit=limit
        ).t
        moved = own + t * change
        size = jnp.sqrt(jnp.sum(moved**2, axis=1, keepdims=True))
        return jnp.where(t > 0, moved / jnp.where(size > 0, size, 1), self.v)
