"""What a step of training may be, and what every method is to the driver."""

import abc
import enum
from typing import Any

import equinox as eqx
from jaxtyping import Array, Int

from ..networks.two_layer import TwoLayer


class Move(enum.IntEnum):
    """The change of the network that a step accepted.

    `none`: the loss did not fall, the network stayed. `outer`: outer weights and affine
    part alone. `jump`: along the undamped least-squares direction of the pattern.
    `damped`: along a damped direction. `exchange`: a branch that began by replacing a
    neuron fell below the best loss so far. `neurons`: a sweep over the neurons.
    `reseed`: a sweep that put a useless neuron elsewhere. `step`: a step of a baseline.
    """

    none = 0
    outer = 1
    jump = 2
    damped = 3
    exchange = 4
    neurons = 5
    reseed = 6
    step = 7


class Method(eqx.Module):
    """A way to propose the next network; the driver accepts it if the loss falls."""

    @abc.abstractmethod
    def start(self, problem: Any, network: TwoLayer) -> Any:
        """What the method remembers, a pytree of arrays."""

    @abc.abstractmethod
    def step(
        self, problem: Any, network: TwoLayer, memory: Any, key: Array
    ) -> tuple[TwoLayer, Any, Int[Array, ""]]:
        """A proposal, the new memory, and which `Move` the proposal is."""
