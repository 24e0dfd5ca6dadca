"""What confidence sequences share: when to look, and what was seen before."""

from typing import Any

import numpy as np

from . import _samples
from ._samples import Interval


def looks(at: Any, size: int) -> np.ndarray:
    """The sample sizes at which to look, all up to `size` if None."""
    if at is None:
        return np.arange(1, size + 1)
    n = _samples.integers("at", at)
    if n.ndim != 1 or not n.size or n[0] < 1 or n[-1] > size or np.any(np.diff(n) < 1):
        raise ValueError(
            f"Argument `at` must hold increasing sample sizes between 1 and {size}, "
            f"but is {n.tolist()}."
        )
    return n


def intersected(estimate, low, high) -> Interval:
    """The intersections of the intervals so far, looks along the first axis."""
    if np.ndim(low):
        low, high = np.maximum.accumulate(low, 0), np.minimum.accumulate(high, 0)
    return Interval(estimate, low, high)
