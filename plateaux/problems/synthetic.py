r"""Synthetic targets of one input, each a function that returns a `Problem`.

All arguments are keyword-only and have defaults, so that a table of a TOML file can
call them (see `PROBLEMS`). Targets are computed in double precision at the inputs of
the chosen dtype and rounded once.

Arguments with one meaning everywhere:

* `num_data`: number of data K, equispaced.
* `domain`: (left end, right end) of the interval, both of them data.
* `dtype`: of the data; None is float64 if x64 is on, else float32.
* `normalisation`: "mean" or "sum", see `Problem`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _checks
from . import _prepare
from .problem import Problem


def sine(
    *,
    num_data: Any = 50,
    frequency: Any = 1.0,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = sin(2π·frequency·x) on equispaced x, both ends included.

    Args:
        num_data: Number of data K, at least 2.
        frequency: Periods per unit length.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = sine(num_data=9)
        >>> print(problem.x[5], round(float(problem.y[5]), 6))
        [0.25] 1.0
    """
    frequency = _prepare.number("frequency", frequency)
    target = lambda x: np.sin(2 * np.pi * frequency * x)
    return _on_interval(target, num_data, domain, dtype, normalisation, "sine")


def polynomial(
    *,
    coefficients: Any = (0.0, 0.0, 1.0),
    num_data: Any = 50,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = a_0 + a_1 x + a_2 x² + … on equispaced x, both ends included.

    Args:
        coefficients: a_0, a_1, …, lowest power first.
        num_data: Number of data K, at least 2.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> print(polynomial(coefficients=[1.0, 2.0], num_data=3).y)
        [-1.  1.  3.]
    """
    coefficients = _prepare.numbers("coefficients", coefficients)
    target = lambda x: np.polynomial.polynomial.polyval(x, coefficients)
    return _on_interval(target, num_data, domain, dtype, normalisation, "polynomial")


def step(
    *,
    at: Any = 0.0,
    num_data: Any = 50,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = 1 for x > at, else 0 (0 at the jump), on equispaced x.

    Args:
        at: Where the jump is.
        num_data: Number of data K, at least 2.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> print(step(num_data=5).y)
        [0. 0. 0. 1. 1.]
    """
    at = _prepare.number("at", at)
    target = lambda x: np.where(x > at, 1.0, 0.0)
    return _on_interval(target, num_data, domain, dtype, normalisation, "step")


def runge(
    *,
    num_data: Any = 50,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Runge's function y = 1/(1 + 25x²) on equispaced x.

    Args:
        num_data: Number of data K, at least 2.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> print(runge(num_data=3, domain=(-0.2, 0.2)).y)
        [0.5 1.  0.5]

    Reference: Runge (1901), Z. Math. Phys. 46, 224-243.
    """
    target = lambda x: 1 / (1 + 25 * x**2)
    return _on_interval(target, num_data, domain, dtype, normalisation, "runge")


def absolute_value(
    *,
    num_data: Any = 50,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = |x| on equispaced x.

    Args:
        num_data: Number of data K, at least 2.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> print(absolute_value(num_data=4, domain=(-1.0, 2.0)).y)
        [1. 0. 1. 2.]
    """
    return _on_interval(
        np.abs, num_data, domain, dtype, normalisation, "absolute_value"
    )


def gaussian_bump(
    *,
    centre: Any = 0.0,
    width: Any = 0.2,
    num_data: Any = 50,
    domain: Any = (-1.0, 1.0),
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = exp(−(x − centre)²/(2·width²)) on equispaced x.

    Args:
        centre: Where the bump is 1.
        width: Its standard deviation, positive.
        num_data: Number of data K, at least 2.
        domain: Left and right end.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = gaussian_bump(num_data=3, width=0.5)
        >>> round(float(problem.y[0] / problem.y[1]), 6)  # exp(-2)
        0.135335
    """
    centre = _prepare.number("centre", centre)
    width = _checks.positive("width", _prepare.number("width", width))
    target = lambda x: np.exp(-(((x - centre) / width) ** 2) / 2)
    return _on_interval(target, num_data, domain, dtype, normalisation, "gaussian_bump")


def _on_interval(
    target: Callable[[np.ndarray], np.ndarray],
    num_data: Any,
    domain: Any,
    dtype: Any,
    normalisation: Any,
    name: str,
) -> Problem:
    points = lambda num: np.linspace(*_prepare.interval(domain), num)
    return _prepare.curve(target, points, num_data, dtype, normalisation, name)
