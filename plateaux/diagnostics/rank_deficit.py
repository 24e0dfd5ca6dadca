r"""A loss that falls as the ε-rank of a layer rises, to train that layer beforehand.

Each eigenvalue λ_i of the Gram matrix of the n neuron functions counts smoothly,

    L = (1/n) Σ_i ε/(λ_i + ε),

near 1 where λ_i ≪ ε and near 0 where λ_i ≫ ε: n (1 − L) is a smooth ε-rank. The scheme
of Yang, Zhao & Zhu for the first layer is not public in detail; this one is derived
here.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..networks.network import Network, features
from ..problems.quadrature import Quadrature
from ..problems.task import Task


class RankDeficit(Task):
    r"""L = (1/n) Σ_i ε/(λ_i + ε), the share of a layer's neurons that are ε-dependent.

    A problem for `px.descend`: only the parameters that the layer depends on move. A
    network whose first layer was trained on it goes on to its own problem.

    Args:
        quadrature: Points and weights of the inner product.
        epsilon: ε > 0, absolute.
        layer: Number of the hidden layer, from 0.
        out_dim: Number of outputs of the networks; None for a scalar.
        name: A word for reports.

    Raises:
        ValueError: If ε is not positive or the layer below 0.
        TypeError: If the layer is not an integer.

    Example:
        >>> import plateaux as px
        >>> rule = px.problems.gauss_legendre(50)
        >>> deficit = RankDeficit(rule, epsilon=1e-3)
        >>> network = px.networks.mlp(
        ...     jax.random.key(0), widths=(10, 10), in_dim=1, activation="tanh"
        ... )
        >>> run = px.descend(deficit, network, px.gradient_descent(1.0), num_steps=50)
        >>> bool(run.losses[-1] < run.losses[0])
        True
        >>> bool((run.network.weights[1] == network.weights[1]).all())
        True

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144, version 3.
    """

    quadrature: Quadrature
    epsilon: Float[Array, ""]
    layer: int = eqx.field(static=True)
    outputs: int | None = eqx.field(static=True)
    name: str = eqx.field(static=True)

    def __init__(
        self,
        quadrature: Quadrature,
        *,
        epsilon: Any,
        layer: Any = 0,
        out_dim: Any = None,
        name: str = "rank deficit",
    ):
        self.quadrature = quadrature
        epsilon = _checks.positive("epsilon", epsilon)
        self.epsilon = jnp.asarray(epsilon, quadrature.points.dtype)
        self.layer = _checks.count("layer", layer, at_least=0)
        self.outputs = out_dim
        self.name = name

    @property
    def x(self) -> Float[Array, "Q d"]:
        """The points of the quadrature."""
        return self.quadrature.points

    @property
    def sample_weights(self) -> Float[Array, " Q"]:
        """Its weights."""
        return self.quadrature.weights

    @property
    def out_dim(self) -> int | None:
        """As given."""
        return self.outputs

    @property
    def time_unit(self) -> str:
        """What one unit of flow time belongs to, in words."""
        return "flow time of L = Σ ε/(λ + ε) / n"

    def loss_of(self, network: Network) -> Float[Array, ""]:
        """The share of neurons that are not ε-independent, between 0 and 1."""
        found = features(network, self.quadrature.points)
        if self.layer >= len(found):
            raise ValueError(
                f"Argument `layer` must be below {len(found)}, the number of hidden "
                f"layers of the network, but is {self.layer}."
            )
        phi = found[self.layer]
        weighted = jnp.sqrt(self.quadrature.weights)[:, None] * phi
        return _deficit(weighted, self.epsilon)


@jax.custom_jvp
def _deficit(a: Float[Array, "Q n"], epsilon: Float[Array, ""]) -> Float[Array, ""]:
    """(1/n) Σ ε/(σ_i² + ε) over n columns; singular values that are missing are 0."""
    values = jnp.linalg.svd(a, compute_uv=False)
    return (a.shape[1] - jnp.sum(values**2 / (values**2 + epsilon))) / a.shape[1]


@_deficit.defjvp
def _deficit_tangent(primals, tangents):
    # dσ_i = u_iᵀ dA v_i: unlike those of the vectors it stays finite where values meet.
    (a, epsilon), (da, de) = primals, tangents
    left, values, right = jnp.linalg.svd(a, full_matrices=False)
    count = a.shape[1]
    total = values**2 + epsilon
    slopes = -2 * epsilon * values / total**2 / count
    moved = jnp.sum(slopes * jnp.sum(left * (da @ right.T), axis=0))
    share = jnp.sum(values**2 / total)
    moved = moved + de * jnp.sum(values**2 / total**2) / count
    return (count - share) / count, moved
