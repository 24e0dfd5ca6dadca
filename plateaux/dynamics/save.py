"""When a run is saved: schedules of saved times."""

import abc
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .. import _checks


@dataclass(frozen=True)
class Save(abc.ABC):
    """A schedule of saved steps; every schedule includes the start and the end."""

    @abc.abstractmethod
    def steps(self, num_steps: int, step_size: float | None) -> np.ndarray:
        """Increasing step numbers from 0 to `num_steps`, both included."""

    @abc.abstractmethod
    def flow_times(self, end: Any, dtype: Any) -> Array:
        """Increasing flow times from 0 to `end`, both included."""


@dataclass(frozen=True)
class LogSpaced(Save):
    """`num` distinct steps, spaced evenly in log time as far as integers allow."""

    num: Any

    def __post_init__(self):
        _checks.count("num", self.num, at_least=2)

    def steps(self, num_steps: int, step_size: float | None) -> np.ndarray:
        """0, 1, 2, … while the even spacing is below one step, then geometric."""
        num = min(self.num, num_steps + 1)
        steps = [0] if num == 2 else [0, 1]
        for left in range(num - len(steps), 1, -1):
            even = round(steps[-1] * (num_steps / steps[-1]) ** (1 / left))
            steps.append(min(max(even, steps[-1] + 1), num_steps - left + 1))
        steps.append(num_steps)
        return np.array(steps)

    def flow_times(self, end: Any, dtype: Any) -> Array:
        """0, then geometric from 1/100 of the smaller of 1 and the end."""
        end = jnp.asarray(end, dtype)
        first = jnp.minimum(end, 1) / 100
        share = jnp.linspace(0, 1, self.num - 1, dtype=dtype)
        times = first * (end / first) ** share
        return jnp.concatenate([jnp.zeros(1, dtype), times.at[-1].set(end)])


@dataclass(frozen=True)
class Every(Save):
    """Every `k`-th step, and the last."""

    k: Any

    def __post_init__(self):
        _checks.count("k", self.k)

    def steps(self, num_steps: int, step_size: float | None) -> np.ndarray:
        """0, k, 2k, …, and `num_steps`."""
        return np.union1d(np.arange(0, num_steps + 1, self.k), [num_steps])

    def flow_times(self, end: Any, dtype: Any) -> Array:
        """Refused: the steps of a flow are chosen as it goes."""
        raise ValueError(
            "Argument `save` must hold times for a flow, whose steps are chosen as it "
            f"goes, but is {self!r}; use px.at(times) or px.log_spaced(num)."
        )


@dataclass(frozen=True)
class At(Save):
    """The given `times`, each rounded to the nearest step, and the start and end."""

    times: tuple[float, ...]

    def __post_init__(self):
        times = np.asarray(self.times, dtype=float)
        if times.ndim != 1 or times.size < 1 or not np.all(np.isfinite(times)):
            raise ValueError(
                "Argument `times` must be a non-empty list of finite numbers, but is "
                f"{self.times!r}."
            )
        if times[0] < 0 or np.any(np.diff(times) <= 0):
            raise ValueError(
                "Argument `times` must start at 0 or later and increase strictly, "
                f"but is {self.times!r}."
            )

    def steps(self, num_steps: int, step_size: float | None) -> np.ndarray:
        """The steps nearest the times (times count steps if there is no step size)."""
        steps = np.rint(np.asarray(self.times) / (step_size or 1.0)).astype(int)
        if steps[-1] > num_steps:
            raise ValueError(
                f"Argument `times` must end by the end of the run, step {num_steps}, "
                f"but its last time is step {steps[-1]}; raise `num_steps`."
            )
        return np.union1d(steps, [0, num_steps])

    def flow_times(self, end: Any, dtype: Any) -> Array:
        """The times, the start and the end."""
        if not _checks.is_concrete(end):
            raise ValueError(
                "Argument `t1` must not be traced if the saved times are given; save "
                "with px.log_spaced."
            )
        if self.times[-1] > float(end):
            raise ValueError(
                f"Argument `times` must end by the end of the flow, {float(end)}, but "
                f"its last time is {self.times[-1]}; raise `t1`."
            )
        return jnp.asarray(np.union1d(self.times, [0.0, float(end)]), dtype)


def log_spaced(num: Any) -> LogSpaced:
    """Save `num` times, evenly spaced in log time, the start and the end included.

    Args:
        num: How many saved times, at least 2.

    Returns:
        A schedule for `save=`.

    Raises:
        ValueError: If `num` is below 2.

    Example:
        >>> print(log_spaced(6).steps(1000, None))
        [   0    1    6   33  182 1000]
    """
    return LogSpaced(num)


def every(k: Any) -> Every:
    """Save every `k`-th step, and the last one.

    Args:
        k: Steps between saved times, at least 1.

    Returns:
        A schedule for `save=`.

    Example:
        >>> print(every(4).steps(10, None))
        [ 0  4  8 10]
    """
    return Every(k)


def at(times: Any) -> At:
    """Save at given times, besides the start and the end.

    Args:
        times: Strictly increasing times (flow time, or steps for optimisers without
            a step size); each is rounded to the nearest step.

    Returns:
        A schedule for `save=`.

    Raises:
        ValueError: If the times do not increase strictly.

    Example:
        >>> print(at([0.1, 0.5]).steps(100, 0.01))
        [  0  10  50 100]
    """
    return At(tuple(float(t) for t in times))
