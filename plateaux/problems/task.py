"""What every problem is: a loss of networks, made of values at points."""

import abc

import equinox as eqx
from jaxtyping import Array, Float

from ..networks.network import Network


class Task(eqx.Module):
    """A loss of networks with d inputs: data, an equation or a functional.

    Attributes:
        x: The points at which it looks at a network, shape (K, d).
        sample_weights: q_k of the losses of the points.
        name: A word for reports.
    """

    x: eqx.AbstractVar[Float[Array, "K d"]]
    sample_weights: eqx.AbstractVar[Float[Array, " K"]]
    name: eqx.AbstractVar[str]

    @property
    def num_data(self) -> int:
        """Number of points K."""
        return self.x.shape[-2]

    @property
    def in_dim(self) -> int:
        """Number of inputs d."""
        return self.x.shape[-1]

    @property
    @abc.abstractmethod
    def out_dim(self) -> int | None:
        """Number of outputs a network needs; None for a scalar."""

    @property
    @abc.abstractmethod
    def time_unit(self) -> str:
        """What one unit of flow time belongs to, in words."""

    @abc.abstractmethod
    def loss_of(self, network: Network) -> Float[Array, ""]:
        """The loss L(θ) of a network that fits."""
