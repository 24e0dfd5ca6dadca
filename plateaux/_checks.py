"""The door: refusals of bad input, all in one grammar.

A refusal is one sentence: what must hold, and what came. Traced values cannot be
looked at; for them the checks pass and the end of the run says what happened.
"""

import difflib
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array


def is_concrete(value: Any) -> bool:
    """Whether the value can be looked at now (it is not traced by jit or vmap)."""
    return not isinstance(value, Tracer)


def floating(name: str, value: Any) -> Array:
    """The value as a JAX array of floats, else a refusal.

    Args:
        name: The argument's name, for the message.
        value: An array or nested list of floats.

    Returns:
        The array, in its own floating dtype (float32 unless x64 is on).

    Raises:
        TypeError: If the dtype is not a floating one.
    """
    array = value if isinstance(value, jax.Array) else np.asarray(value)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"Argument `{name}` must hold floating-point numbers, but has dtype "
            f"{array.dtype}; convert it with `.astype(float)`."
        )
    return jnp.asarray(array)


def finite(name: str, array: Array) -> Array:
    """The array if all its entries are finite (or traced), else a refusal."""
    if is_concrete(array) and not bool(np.all(np.isfinite(np.asarray(array)))):
        count = int(np.sum(~np.isfinite(np.asarray(array))))
        raise ValueError(
            f"Argument `{name}` must be finite, but {count} of its {array.size} "
            "entries are NaN or infinite; remove or impute them first."
        )
    return array


def positive(name: str, value: Any) -> Any:
    """The number if it is finite and above zero (or traced), else a refusal."""
    if is_concrete(value) and not (
        np.all(np.isfinite(value)) and np.all(np.asarray(value) > 0)
    ):
        raise ValueError(f"Argument `{name}` must be positive, but is {value}.")
    return value


def count(name: str, value: Any, *, at_least: int = 1) -> int:
    """The integer if it is at least `at_least`, else a refusal."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"Argument `{name}` must be an integer, but is {value!r}.")
    if value < at_least:
        raise ValueError(
            f"Argument `{name}` must be at least {at_least}, but is {value}."
        )
    return int(value)


def known(what: str, name: Any, names: Collection[str]) -> str:
    """The name if it is one of `names`, else a refusal that says the nearest one."""
    if isinstance(name, str) and name in names:
        return name
    near = difflib.get_close_matches(str(name), list(names), n=1, cutoff=0.0)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(
        f"The {what} must be one of {', '.join(sorted(names))}, but is {name!r}{hint}"
    )
