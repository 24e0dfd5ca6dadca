"""Networks as flat vectors, in the order of `jax.flatten_util.ravel_pytree`."""

from typing import Any

import equinox as eqx
import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from ...problems.problem import loss


def flat(network: Any) -> Float[Array, " p"]:
    """The parameters."""
    return ravel_pytree(eqx.filter(network, eqx.is_inexact_array))[0]


def flat_gradient(problem: Any, network: Any) -> Float[Array, " p"]:
    """∇L(θ); `evaluate` would look at the pre-activations of every layer as well."""
    params, static = eqx.partition(network, eqx.is_inexact_array)
    return flat(jax.grad(lambda at: loss(problem, eqx.combine(at, static)))(params))
