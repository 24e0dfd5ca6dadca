"""What is recorded of the saved networks besides the loss."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

from ..networks.network import Network

# of (problem, network)
Record = Callable[[Any, Network], Any]


def recorded(
    problem: Any,
    like: Network,
    networks: Any,
    record: tuple[tuple[str, Record], ...],
) -> dict[str, Any]:
    """The recorded functions at the saved networks, one saved time after another.

    Args:
        problem: Their first argument.
        like: A network with the static parts of all.
        networks: Parameters with a leading axis of saved times.
        record: Names and functions.

    Returns:
        What they return, with that axis, by name.
    """
    if not record:
        return {}
    static = eqx.filter(like, eqx.is_inexact_array, inverse=True)
    look = lambda params: {
        name: eqx.filter(fn(problem, eqx.combine(params, static)), eqx.is_array)
        for name, fn in record
    }
    return jax.lax.map(look, networks)
