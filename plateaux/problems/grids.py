r"""Synthetic targets on a tensor grid, each a function that returns a `Problem`.

Targets are computed in double precision at the inputs of the chosen dtype and rounded
once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from . import _prepare
from .problem import Problem

# A tensor grid beyond this does not fit a computer's memory.
MAX_GRID = 10_000_000


def disk(
    *,
    radius: Any = 0.5,
    num_side: Any = 30,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = 1 for ‖x‖ < radius, else 0 (0 on the circle), on a square grid.

    Args:
        radius: Radius of the disk, positive.
        num_side: Grid points along a side, at least 2; K = num_side².
        domain: Left and right end of both sides.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, two inputs, squared loss; x_2 varies fastest.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> print(disk(radius=1.0, num_side=3, domain=(-1.0, 1.0)).y)
        [0. 0. 0. 0. 1. 0. 0. 0. 0.]
    """
    radius = _checks.positive("radius", _prepare.number("radius", radius))
    target = lambda x: np.where(np.linalg.norm(x, axis=1) < radius, 1.0, 0.0)
    return _on_grid(target, 2, num_side, domain, dtype, normalisation, "disk")


def product_of_sines(
    *,
    frequency: Any = 0.5,
    in_dim: Any = 2,
    num_side: Any = 30,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = Π_j sin(2π·frequency·x_j) on a tensor grid.

    Args:
        frequency: Periods per unit length, the same for every input; one half is
            Π sin(πx_j).
        in_dim: Number of inputs d.
        num_side: Grid points along a side, at least 2; K = num_side^d.
        domain: Left and right end of every side.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, squared loss; the last input varies fastest.

    Raises:
        ValueError: If an argument is out of range, or the grid does not fit memory.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = product_of_sines(num_side=5)
        >>> print(problem.x[8], round(float(problem.y[8]), 6))
        [-0.5  0.5] -1.0
    """
    frequency = _prepare.number("frequency", frequency)
    target = lambda x: np.prod(np.sin(2 * np.pi * frequency * x), axis=1)
    return _on_grid(
        target, in_dim, num_side, domain, dtype, normalisation, "product_of_sines"
    )


def _on_grid(
    target: Callable[[np.ndarray], np.ndarray],
    in_dim: Any,
    num_side: Any,
    domain: Any,
    dtype: Any,
    normalisation: Any,
    name: str,
) -> Problem:
    in_dim = _checks.count("in_dim", in_dim)
    num_side = _checks.count("num_side", num_side, at_least=2)
    if num_side**in_dim > MAX_GRID:
        raise ValueError(
            f"The grid must have at most {MAX_GRID} points, but num_side^in_dim is "
            f"{num_side}^{in_dim}; lower one of them."
        )
    dtype = _prepare.float_dtype(dtype)
    side = np.linspace(*_prepare.interval(domain), num_side).astype(dtype)
    x = np.stack(np.meshgrid(*[side] * in_dim, indexing="ij"), axis=-1)
    x = x.reshape(-1, in_dim)
    y = target(x.astype(np.float64))
    return _prepare.to_problem(x, y, dtype, normalisation=normalisation, name=name)
