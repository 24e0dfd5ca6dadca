"""Branches: improve a network until it stalls, then exchange a neuron and go on.

What is accepted is decided elsewhere: a branch that began with an exchange may be worse
than the best network for some steps before it is better.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.two_layer import TwoLayer
from ..problems.problem import loss
from .coordinates import Data, choose, outer_fit, rows
from .exchange import exchange
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


class Branching(Method):
    """A method that improves branches.

    Attributes:
        exchange: Whether neurons are exchanged when a branch stalls.
        num_candidates: Random neurons an exchange chooses from.
        stall: Relative decrease below which a branch counts as stalled.
        trial_steps: Steps a branch gets after an exchange to beat the best loss.
    """

    exchange: bool = True
    num_candidates: int = 200
    stall: float = 1e-4
    trial_steps: int = 8

    @abc.abstractmethod
    def data(self, problem: Any, network: TwoLayer) -> Data:
        """The problem as the solves of a step see it."""

    @abc.abstractmethod
    def improve(
        self, problem: Any, data: Data, network: TwoLayer
    ) -> tuple[TwoLayer, Float[Array, ""], Int[Array, ""]]:
        """A better network, its loss and the `Move`; it need not be better."""

    def start(self, problem: Any, network: TwoLayer) -> Branch:
        """The branch at the network as it is.

        An outer fit here would choose the signs of c by the first pattern, and costs
        a good start: measured on sin 5πx, n = 10, the median end is 1.4 times worse.
        """
        value = loss(problem, network)
        return Branch(network, value, jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def step(self, problem: Any, network: TwoLayer, memory: Branch, key: Array):
        """Improve the branch; end it if it stalls, and begin one at an exchange."""
        data = self.data(problem, network)
        moved, value, move = self.improve(problem, data, memory.network)
        better = value < memory.value
        stalled = ~(memory.value - value > self.stall * memory.value)
        work = choose(better, moved, memory.network)
        work_value = jnp.where(better, value, memory.value)
        age, exchanged = memory.age + 1, memory.exchanged
        move = jnp.where(exchanged, Move.exchange, jnp.where(better, move, Move.outer))
        if not self.exchange:
            return work, Branch(work, work_value, age, exchanged), move
        best_value = loss(problem, network)
        leads = work_value < best_value
        over = stalled | (exchanged & (age > self.trial_steps) & ~leads)
        goes_on = Branch(work, work_value, age, exchanged & ~leads)
        begun = self._begin(problem, data, choose(leads, work, network), key)
        return work, choose(over, begun, goes_on), move

    def _begin(self, problem: Any, data: Data, base: TwoLayer, key: Array):
        """The branch that begins where one neuron of a network is exchanged."""
        v, _ = rows(data, base)
        v = exchange(key, data, v, base.p is not None, self.num_candidates)
        fresh = outer_fit(data, base, v)
        value = loss(problem, fresh)
        usable = jnp.isfinite(value)
        return Branch(
            choose(usable, fresh, base),
            jnp.where(usable, value, loss(problem, base)),
            jnp.zeros((), jnp.int32),
            jnp.ones((), bool),
        )
