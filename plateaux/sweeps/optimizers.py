"""Optimizers a specification may name: they need a step size only.

Those of optax, and three of this library that leave saddles: "noisy_sgd",
"normalised_sgd" and "saddle_free_newton".
"""

from collections.abc import Callable
from typing import Any

import optax

from ..dynamics.optimizer import gradient_descent
from ..dynamics.saddle_optimizers import (
    noisy_descent,
    normalised_descent,
    saddle_free_newton,
)

NAMES = (
    "sgd",
    "adabelief",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "amsgrad",
    "lamb",
    "lars",
    "lion",
    "nadam",
    "nadamw",
    "novograd",
    "radam",
    "rmsprop",
    "rprop",
    "sign_sgd",
    "sm3",
    "yogi",
)
OPTIMIZERS: dict[str, Callable] = {
    **{name: getattr(optax, name) for name in NAMES},
    "noisy_sgd": noisy_descent,
    "normalised_sgd": normalised_descent,
    "saddle_free_newton": saddle_free_newton,
}


def make_optimizer(name: str, step_size: Any, options: dict[str, Any]) -> Any:
    """The optimizer of that name; plain gradient descent for "sgd" without options.

    Args:
        name: A key of `OPTIMIZERS`.
        step_size: Step size h > 0; may be traced.
        options: Further arguments of the optax function.

    Returns:
        An optimizer for `px.descend`.

    Example:
        >>> make_optimizer("sgd", 0.5, {})
        GradientDescent(step_size=f64[])
    """
    if is_plain(name, options):
        return gradient_descent(step_size)
    return OPTIMIZERS[name](step_size, **options)


def is_plain(name: str, options: dict[str, Any]) -> bool:
    """Whether that is plain gradient descent, whose step size is no structure."""
    return name == "sgd" and not options
