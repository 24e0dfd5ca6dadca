"""From raw numbers to a problem: options, precision, seeds, subsets, standard units."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .. import _checks
from .problem import Problem


def number(name: str, value: Any) -> float:
    """The option as a finite Python float, else a refusal."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise TypeError(f"Argument `{name}` must be a number, but is {value!r}.")
    if not np.isfinite(value):
        raise ValueError(f"Argument `{name}` must be finite, but is {value}.")
    return float(value)


def numbers(name: str, values: Any) -> tuple[float, ...]:
    """The option as a non-empty tuple of finite floats, else a refusal."""
    if isinstance(values, str) or not np.iterable(values) or len(tuple(values)) == 0:
        raise TypeError(
            f"Argument `{name}` must be a non-empty list of numbers, but is {values!r}."
        )
    return tuple(number(name, value) for value in values)


def interval(domain: Any) -> tuple[float, float]:
    """The option `domain` as two increasing floats, else a refusal."""
    ends = numbers("domain", domain)
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(
            "Argument `domain` must be two increasing numbers, left end and right "
            f"end, but is {domain!r}."
        )
    return ends


def flag(name: str, value: Any) -> bool:
    """The option as true or false, else a refusal."""
    if not isinstance(value, bool):
        raise TypeError(f"Argument `{name}` must be true or false, but is {value!r}.")
    return value


def float_dtype(dtype: Any) -> np.dtype:
    """The option `dtype`; None means JAX's default, float64 exactly if x64 is on."""
    widest = np.dtype(jnp.result_type(float))
    try:
        chosen = widest if dtype is None else np.dtype(jnp.dtype(dtype))
    except TypeError:
        chosen = None
    if chosen is None or not jnp.issubdtype(chosen, jnp.floating):
        raise TypeError(
            "Argument `dtype` must name a floating-point type such as 'float32', but "
            f"is {dtype!r}."
        )
    if chosen.itemsize > widest.itemsize:
        raise ValueError(
            f"Argument `dtype` must be at most {widest} as JAX is configured, but is "
            f"{chosen}; for float64 call jax.config.update('jax_enable_x64', True)."
        )
    return chosen


def generator(seed: Any, stream: int = 0) -> np.random.Generator:
    """Independent random numbers for every pair of seed (or key) and stream."""
    if isinstance(seed, jax.Array) and jnp.issubdtype(seed.dtype, jax.dtypes.prng_key):
        if not _checks.is_concrete(seed):
            raise TypeError(
                "Argument `seed` must be known when the data are drawn, but is traced; "
                "draw the problem outside of jax.jit and jax.vmap."
            )
        words = np.ravel(jax.random.key_data(seed)).tolist()
    elif (
        isinstance(seed, int | np.integer) and not isinstance(seed, bool) and seed >= 0
    ):
        words = [int(seed)]
    else:
        raise TypeError(
            "Argument `seed` must be an integer from 0 up or a key of jax.random.key, "
            f"but is {seed!r}."
        )
    return np.random.default_rng([stream, *words])


def subset(available: int, num_data: Any, seed: Any) -> np.ndarray:
    """Rows of a subset: all in order, or the first `num_data` after a shuffle."""
    if num_data is None:
        return np.arange(available)
    if _checks.count("num_data", num_data) > available:
        raise ValueError(
            f"Argument `num_data` must be at most the {available} data there are, "
            f"but is {num_data}."
        )
    return generator(seed).permutation(available)[:num_data]


def constant_columns(columns: Float[np.ndarray, "K ..."]) -> np.ndarray:
    """Which columns hold one value only."""
    return np.asarray(columns.min(axis=0) == columns.max(axis=0))


def standardised(columns: Float[np.ndarray, "K ..."]) -> np.ndarray:
    """(x − mean)/std of every column, population std; a constant column becomes 0."""
    centred = columns - columns.mean(axis=0)
    constant = constant_columns(columns)
    std = np.where(constant, 1.0, columns.std(axis=0))
    return np.where(constant, 0.0, centred / std)


def signs(positive: np.ndarray) -> np.ndarray:
    """Labels +1 where true and −1 elsewhere."""
    return np.where(positive, 1.0, -1.0)


def one_hot(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """One-hot rows of the class numbers 0, 1, …."""
    return np.eye(num_classes)[labels]


def curve(
    target: Callable[[np.ndarray], np.ndarray],
    points: Callable[[int], np.ndarray],
    num_data: Any,
    dtype: Any,
    normalisation: Any,
    name: str,
) -> Problem:
    """A target of one input at so many points, taken as the dtype rounds them."""
    num_data = _checks.count("num_data", num_data, at_least=2)
    dtype = float_dtype(dtype)
    x = points(num_data).astype(dtype)
    y = target(x.astype(np.float64))
    return to_problem(x[:, None], y, dtype, normalisation=normalisation, name=name)


def to_problem(x: Any, y: Any, dtype: np.dtype, **options: Any) -> Problem:
    """A `Problem` of these data in that dtype; too large numbers are refused there."""
    with np.errstate(over="ignore"):
        x, y = jnp.asarray(x, dtype), jnp.asarray(y, dtype)
        if options.get("weights") is not None:
            options["weights"] = jnp.asarray(options["weights"], dtype)
    return Problem(x, y, **options)
