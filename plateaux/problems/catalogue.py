"""Problems by name, for specifications and the command line."""

import inspect
from collections.abc import Callable
from typing import Any

from .. import _checks
from .files import from_file
from .grids import disk, product_of_sines
from .problem import Problem
from .real import breast_cancer, diabetes, digits
from .sampled import single_index, spiral, teacher_student
from .standardised import hyperbolic_tangent, odd_cubic, sine_and_square
from .synthetic import (
    absolute_value,
    gaussian_bump,
    polynomial,
    runge,
    sine,
    step,
)

PROBLEMS: dict[str, Callable[..., Problem]] = {
    "sine": sine,
    "polynomial": polynomial,
    "step": step,
    "runge": runge,
    "absolute_value": absolute_value,
    "gaussian_bump": gaussian_bump,
    "sine_and_square": sine_and_square,
    "hyperbolic_tangent": hyperbolic_tangent,
    "odd_cubic": odd_cubic,
    "disk": disk,
    "product_of_sines": product_of_sines,
    "teacher_student": teacher_student,
    "single_index": single_index,
    "spiral": spiral,
    "diabetes": diabetes,
    "digits": digits,
    "breast_cancer": breast_cancer,
    "file": from_file,
}


def problem(name: str, /, **options: Any) -> Problem:
    """The problem of that name.

    Args:
        name: A key of `PROBLEMS`.
        **options: Arguments of the function of that name, say `num_data`.

    Returns:
        The problem.

    Raises:
        ValueError: If no problem has that name, it has no such option, or an option
            is out of range; the message says the nearest known name.
        TypeError: If a required option is missing or one is of the wrong kind.

    Example:
        >>> problem("step", num_data=4).y
        Array([0., 0., 1., 1.], dtype=float64)
    """
    function = PROBLEMS[_checks.known("problem", name, PROBLEMS)]
    parameters = inspect.signature(function).parameters
    for option in options:
        _checks.known(f"option of problem {name!r}", option, parameters)
    required = [
        k for k, p in parameters.items() if p.default is inspect.Parameter.empty
    ]
    missing = [option for option in required if option not in options]
    if missing:
        raise TypeError(
            f"Problem {name!r} must be given {', '.join(f'`{k}`' for k in required)}, "
            f"but {', '.join(f'`{k}`' for k in missing)} did not come."
        )
    return function(**options)
