"""Parts of a sweep, for a job array: part i of n trains every n-th chunk."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """Every n-th chunk, from the i-th on.

    Attributes:
        index: Number of the part i, from 0.
        count: Number of parts n.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, done: np.ndarray) -> np.ndarray:
        """Which chunks (point, chunk) are this part's."""
        numbers = np.arange(done.size).reshape(done.shape)
        return numbers % self.count == self.index


def as_part(part: Any) -> Part | None:
    """The part of "i/n" or a pair (i, n), else a refusal; None stays None.

    Args:
        part: The text or pair.

    Returns:
        The part.

    Raises:
        ValueError: If it is no part, or i is not one of 0, …, n − 1.

    Example:
        >>> as_part("2/10")
        Part(index=2, count=10)
    """
    if part is None:
        return None
    numbers = _numbers(part)
    if numbers is None or not 0 <= numbers[0] < numbers[1]:
        raise ValueError(
            "Argument `part` must be I/N with a whole number I from 0 to N − 1, such "
            f"as 0/10, but is {part!r}."
        )
    return Part(*numbers)


def _numbers(part: Any) -> tuple[int, int] | None:
    if isinstance(part, str):
        found = re.fullmatch(r"(\d+)/(\d+)", part)
        return (int(found[1]), int(found[2])) if found else None
    pair = isinstance(part, Sequence) and len(part) == 2
    if pair and all(type(n) is int for n in part):
        return part[0], part[1]
    return None
