"""All initialisers of two-layer networks by name.

An initialiser is a function `f(key, *, width, in_dim, scale=1.0, affine=False,
activation=…, dtype=None, …)` that draws a `TwoLayer`. Randomness of lane i of a batch
is `jax.random.fold_in(key, i)` or one key of `jax.random.split`; `jax.vmap` over keys
draws what a loop draws. Numbers are drawn in float32 and cast, so that one key gives
one network in both precisions, up to rounding.
"""

from collections.abc import Callable
from typing import Any

from .. import _checks
from .classical import (
    he,
    he_uniform,
    lecun,
    lecun_uniform,
    orthogonal,
    pytorch,
    small,
    xavier,
    xavier_uniform,
)
from .designed import balanced, unit_kinks, zero_bias
from .featured import (
    local_features,
    multi_scale,
    random_fourier,
    structured,
    uniform_kinks,
)
from .teachers import teacher
from .two_layer import TwoLayer

INITIALISERS: dict[str, Callable[..., TwoLayer]] = {
    "he": he,
    "he_uniform": he_uniform,
    "xavier": xavier,
    "xavier_uniform": xavier_uniform,
    "lecun": lecun,
    "lecun_uniform": lecun_uniform,
    "orthogonal": orthogonal,
    "pytorch": pytorch,
    "small": small,
    "balanced": balanced,
    "uniform_kinks": uniform_kinks,
    "unit_kinks": unit_kinks,
    "structured": structured,
    "random_fourier": random_fourier,
    "multi_scale": multi_scale,
    "local_features": local_features,
    "zero_bias": zero_bias,
    "teacher": teacher,
}


def initialiser(name: Any) -> Callable[..., TwoLayer]:
    """The initialiser of that name; a function passes through.

    Args:
        name: A key of `INITIALISERS`, or a function with the arguments of `he`.

    Returns:
        The initialiser.

    Raises:
        ValueError: If no initialiser has that name; the message says the nearest.

    Example:
        >>> initialiser("he") is he
        True
    """
    if isinstance(name, Callable):
        return name
    return INITIALISERS[_checks.known("initialiser", name, INITIALISERS)]
