r"""Synthetic targets of one input in standard units, each returned as a `Problem`.

The inputs are equispaced with mean 0 and population variance 1, so that the extended
inputs (x, 1) are white: mean x̃ x̃ᵀ = I. These are the problems of the stages of small
networks, see `plateaux.dynamics.reduced`. Arguments are as in
`plateaux.problems.synthetic`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import _prepare
from .problem import Problem


def sine_and_square(
    *, num_data: Any = 64, dtype: Any = None, normalisation: Any = "mean"
) -> Problem:
    """Target y = sin 2x + 0.3 x² − 0.1 on equispaced x with mean 0 and variance 1.

    The reference problem of the stages of training: with 64 data and (x, 1) as inputs
    ‖mean y x̃‖ = 0.472975, and the best affine predictor has the loss 0.172362.

    Args:
        num_data: Number of data K, at least 2.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = sine_and_square()
        >>> print(problem.x.mean().round(12), (problem.x**2).mean().round(12))
        0.0 1.0

    Reference: after Chen, Luo & Wang (2024), arXiv:2410.20119.
    """
    target = lambda x: np.sin(2 * x) + 0.3 * x**2 - 0.1
    return _in_units(target, num_data, dtype, normalisation, "sine_and_square")


def hyperbolic_tangent(
    *,
    steepness: Any = 2.0,
    num_data: Any = 64,
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = tanh(steepness·x) on equispaced x with mean 0 and variance 1.

    An odd target that bends towards 0: networks with tanh leave the plateau at the
    best affine predictor.

    Args:
        steepness: Slope at x = 0.
        num_data: Number of data K, at least 2.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = hyperbolic_tangent(num_data=3)
        >>> print(problem.x[:, 0].round(6), problem.y[1])
        [-1.224745  0.        1.224745] 0.0
    """
    steepness = _prepare.number("steepness", steepness)
    target = lambda x: np.tanh(steepness * x)
    return _in_units(target, num_data, dtype, normalisation, "hyperbolic_tangent")


def odd_cubic(
    *,
    linear: Any = 0.3,
    cubic: Any = 0.1,
    num_data: Any = 64,
    dtype: Any = None,
    normalisation: Any = "mean",
) -> Problem:
    """Target y = linear·x + cubic·x³ on equispaced x with mean 0 and variance 1.

    With both numbers positive it bends away from 0: networks with tanh that have
    condensed stay on the plateau at the best affine predictor for ever.

    Args:
        linear: Coefficient of x.
        cubic: Coefficient of x³.
        num_data: Number of data K, at least 2.
        dtype: Of the data.
        normalisation: "mean" or "sum".

    Returns:
        The problem, one input, squared loss.

    Raises:
        ValueError: If an argument is out of range.
        TypeError: If an argument is of the wrong kind.

    Example:
        >>> problem = odd_cubic(linear=1.0, cubic=2.0, num_data=2)
        >>> print(problem.x[:, 0], problem.y)
        [-1.  1.] [-3.  3.]
    """
    linear = _prepare.number("linear", linear)
    cubic = _prepare.number("cubic", cubic)
    target = lambda x: linear * x + cubic * x**3
    return _in_units(target, num_data, dtype, normalisation, "odd_cubic")


def _in_units(
    target: Callable[[np.ndarray], np.ndarray],
    num_data: Any,
    dtype: Any,
    normalisation: Any,
    name: str,
) -> Problem:
    points = lambda num: _prepare.standardised(np.linspace(-1, 1, num))
    return _prepare.curve(target, points, num_data, dtype, normalisation, name)
