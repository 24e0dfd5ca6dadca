"""What the statistics accept: concrete arrays on the host, checked once."""

import statistics
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import _checks


class Interval(NamedTuple):
    """An estimate with its confidence interval; all three share one shape.

    Attributes:
        estimate: The estimate.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    estimate: Any
    low: Any
    high: Any


def host(name: str, value: Any) -> np.ndarray:
    """The value as a NumPy array; traced values are refused."""
    if not _checks.is_concrete(value):
        raise TypeError(
            f"Argument `{name}` must be a concrete array, but is traced; call "
            "statistics outside of `jax.jit` and `jax.vmap`."
        )
    return np.asarray(value)


def floats(name: str, value: Any, shape: tuple[str, ...]) -> np.ndarray:
    """The value as a float64 array without NaN of that rank, else a refusal."""
    array = host(name, value)
    if array.size and not jnp.issubdtype(array.dtype, jnp.floating):
        raise TypeError(
            f"Argument `{name}` must hold floating-point numbers, but has dtype "
            f"{array.dtype}; convert it with `.astype(float)`."
        )
    _rank(name, array, shape)
    if np.any(np.isnan(array)):
        raise ValueError(
            f"Argument `{name}` must not hold NaN, but {np.sum(np.isnan(array))} of "
            f"its {array.size} entries are; a loss that diverged is inf."
        )
    return array.astype(np.float64)


def booleans(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The value as a Boolean array of that shape, else a refusal."""
    array = host(name, value)
    if array.size and array.dtype != bool:
        raise TypeError(
            f"Argument `{name}` must hold Booleans, but has dtype {array.dtype}; "
            "convert it with `.astype(bool)`."
        )
    same_shape(name, array, shape)
    return array.astype(bool)


def integers(name: str, value: Any) -> np.ndarray:
    """The value as an array of integers, none negative, else a refusal."""
    array = host(name, value)
    if array.size and not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(
            f"Argument `{name}` must hold integers, but has dtype {array.dtype}."
        )
    if np.any(array < 0):
        raise ValueError(
            f"Argument `{name}` must not be negative, but its smallest entry is "
            f"{array.min()}."
        )
    return array.astype(np.int64)


def durations(value: Any) -> np.ndarray:
    """Durations of shape (m,), finite and non-negative, else a refusal."""
    array = floats("durations", value, ("m",))
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise ValueError(
            "Argument `durations` must be finite and non-negative, but spans "
            f"{array.min()} to {array.max()}; a duration without an end is "
            "the observed part with `censored` true."
        )
    return array


def labels(name: str, value: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct labels, in order, and the number of each entry's among them."""
    array = host(name, value)
    same_shape(name, array, (size,))
    if array.dtype.kind not in "biuUT":
        raise TypeError(
            f"Argument `{name}` must hold words, integers or Booleans, but has dtype "
            f"{array.dtype}."
        )
    return np.unique(array, return_inverse=True)


def words(name: str, value: Any) -> np.ndarray:
    """One word a lane as an array of shape (B,), else a refusal."""
    array = np.asarray(value)
    _rank(name, array, ("B",))
    if array.dtype.kind not in "UOT":
        raise TypeError(
            f"Argument `{name}` must hold one word a lane, but has dtype "
            f"{array.dtype}; translate codes to their names first."
        )
    return array.astype(str)


def rows_used(name: str, count: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse counts above the size P of a table of shape (B, P)."""
    if count.max() > shape[1]:
        raise ValueError(
            f"Argument `{name}` must not exceed the size of the table, {shape[1]}, but "
            f"reaches {count.max()}."
        )


def same_shape(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape."""
    if array.shape != shape:
        raise ValueError(
            f"Argument `{name}` must have shape {shape}, but has shape {array.shape}."
        )


def confidence_level(confidence: float) -> float:
    """The confidence if it lies strictly between 0 and 1, else a refusal."""
    return open_unit("confidence", confidence)


def open_unit(name: str, value: float) -> float:
    """The number if it lies strictly between 0 and 1, else a refusal."""
    if not 0 < value < 1:
        raise ValueError(
            f"Argument `{name}` must lie strictly between 0 and 1, but is {value}."
        )
    return float(value)


def normal_quantile(confidence: float) -> float:
    """The z with P[|Z| ≤ z] = confidence for a standard normal Z."""
    level = confidence_level(confidence)
    return statistics.NormalDist().inv_cdf((1 + level) / 2)


def student_quantile(confidence: float, degrees_of_freedom: int) -> float:
    """The t with P[|T| ≤ t] = confidence for Student's T; inf without freedom."""
    from scipy.special import stdtrit  # heavy, and used only here

    level = confidence_level(confidence)
    if degrees_of_freedom <= 0:
        return float("inf")
    return float(stdtrit(degrees_of_freedom, (1 + level) / 2))


def mean_interval(values: np.ndarray, confidence: float) -> Interval:
    """Mean of m values with Student's interval, infinite for a single one."""
    mean, freedom = float(np.mean(values)), values.size - 1
    if freedom == 0:
        return Interval(mean, -np.inf, np.inf)
    error = float(np.std(values, ddof=1)) / np.sqrt(values.size)
    half = student_quantile(confidence, freedom) * error
    return Interval(mean, mean - half, mean + half)


def cut(of: Interval, highest: float) -> Interval:
    """The interval within [0, highest]."""
    return Interval(of.estimate, max(of.low, 0.0), min(of.high, highest))


def _rank(name: str, array: np.ndarray, shape: tuple[str, ...]) -> None:
    if array.ndim != len(shape) or array.size == 0:
        raise ValueError(
            f"Argument `{name}` must have shape ({', '.join(shape)}) with at least "
            f"one entry, but has shape {array.shape}."
        )
