"""How wide and how deep: where a typical signal has vanished at initialisation."""

from collections.abc import Callable
from typing import Any, NamedTuple

from .. import _checks
from .log_products import LogProductLaw

ACTIVATIONS = ("linear", "relu")


class LeadingOrder(NamedTuple):
    """Mean and variance of log(‖h_L‖²/‖x‖²) to leading order in 1/width.

    Attributes:
        mean: −L/d, or −5L/(2d) for ReLU.
        variance: 2L/d, or 5L/d for ReLU.
    """

    mean: float
    variance: float


def leading_order(width: Any, depth: Any, activation: Any = "relu") -> LeadingOrder:
    """Mean and variance of `relu_law` or `linear_law` to leading order in 1/width.

    For narrow networks they are far off; the laws themselves are exact.

    Args:
        width: Units d of every layer.
        depth: Number of layers L.
        activation: "relu" or "linear".

    Returns:
        The two numbers.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If it is below 1, or the activation is another one.

    Example:
        >>> leading_order(16, 64)
        LeadingOrder(mean=-10.0, variance=20.0)

    Reference: derived after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    ratio = _checks.count("depth", depth) / _checks.count("width", width)
    if _checks.known("activation", activation, ACTIVATIONS) == "relu":
        return LeadingOrder(-2.5 * ratio, 5.0 * ratio)
    return LeadingOrder(-ratio, 2.0 * ratio)


def critical_width(depth: Any, decay: Any, activation: Any = "relu") -> float:
    """Width from which on the median of ‖h_L‖²/‖x‖² is at least e^{−s}.

    To leading order 5L/(2s) for ReLU and L/s for linear networks: the condition that
    the width grow like the depth.

    Args:
        depth: Number of layers L.
        decay: s > 0.
        activation: "relu" or "linear".

    Returns:
        The width, not rounded.

    Raises:
        TypeError: If the depth is not an integer.
        ValueError: If it is below 1, `decay` is not positive or the activation is
            another one.

    Example:
        >>> critical_width(64, 1.0), critical_width(64, 1.0, "linear")
        (160.0, 64.0)

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    decay = float(_checks.positive("decay", decay))
    return -leading_order(1, depth, activation).mean / decay


def vanishing_depth(law: Callable[[int], LogProductLaw], decay: Any) -> int:
    """The smallest depth at which the median falls below −s.

    Args:
        law: A law for every depth, such as `chain_law`, whose medians fall with it.
        decay: s > 0, in units of what the law is a law of: log|Π|, or log ‖h‖².

    Returns:
        The depth.

    Raises:
        ValueError: If `decay` is not positive, or a million layers do not suffice.

    Example:
        >>> from plateaux.statistics import chain_law, relu_law
        >>> vanishing_depth(chain_law, 10.0)
        23
        >>> vanishing_depth(lambda depth: relu_law(16, depth), 10.0)
        58

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    decay = float(_checks.positive("decay", decay))
    low, high = 0, 1
    while law(high).median >= -decay:
        low, high = high, 2 * high
        if high > 2**20:
            raise ValueError(
                f"The median of `law` must fall below {-decay} within a million "
                f"layers, but is {law(low).median} at depth {low}."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if law(middle).median < -decay else (middle, high)
    return high
