r"""Exact laws of the signal in deep networks at random initialisation.

| network of depth L, without biases | law of | one layer's factor |
|---|---|---|
| chain of width 1 | log\|w_1 ⋯ w_L\| | \|w\|, Var w = 1 |
| linear, width d, Var 1/d | log(‖h_L‖²/‖x‖²) | χ²_d/d |
| ReLU, width d, Var 2/d | the same, given alive | (2/d)χ²_K, K ~ Bin(d, ½), K ≥ 1 |
| residual chain, w ~ N(0, s²/L) | log\|Π_i (1 + w_i)\| | \|1 + w\| |

The factors of the layers are independent, so all four are `LogProductLaw`s. A law's
median, not the mean of the product (which is 1 for the first three), says what a
typical network does: it decays exponentially in L at fixed width, and like e^{−L/d} or
e^{−5L/(2d)} for wide networks. The norm of layer k's gradient in a linear network is a
product of L − 1 such factors whatever k.
"""

import math
from typing import Any

import numpy as np

from .. import _checks
from .log_products import LogProductLaw

CHAINS = ("uniform", "gaussian")


def chain_law(depth: Any, initialiser: Any = "uniform") -> LogProductLaw:
    r"""The law of log|w_1 ⋯ w_L| for independent weights of variance 1.

    * "uniform" on [−√3, √3]: L log √3 − log|Π| ~ Gamma(L, 1); mean L(log √3 − 1),
      variance L, median about −0.4507L + 1/3.
    * "gaussian": half a sum of log χ²_1; mean −L(γ + log 2)/2, variance Lπ²/8.

    With ReLU after the first L − 1 weights the law is that of an alive chain, which
    has probability `alive_probability(1, L - 1)`.

    Args:
        depth: Number of weights L.
        initialiser: "uniform" or "gaussian", what `px.networks` calls "lecun_uniform"
            and "lecun".

    Returns:
        The law.

    Raises:
        TypeError: If the depth is not an integer.
        ValueError: If it is below 1 or the initialiser is unknown.

    Example:
        >>> print(round(chain_law(64, "gaussian").mean, 2))
        -40.65

    Reference: derived after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth = _checks.count("depth", depth)
    if _checks.known("law of a chain's weights", initialiser, CHAINS) == "uniform":
        shift = math.log(3) / 2
        moment = lambda s: s * shift - np.log1p(s)
        return LogProductLaw(depth, shift - 1, 1.0, moment, -1.0, shift)
    # |w| is the square root of χ²_1.
    halved = lambda s: _log_chi_square(np.ones(1), s / 2)[0]
    mean, variance = -(np.euler_gamma + math.log(2)) / 2, math.pi**2 / 8
    return LogProductLaw(depth, float(mean), variance, halved, -1.0)


def linear_law(width: Any, depth: Any) -> LogProductLaw:
    r"""The law of log(‖h_L‖²/‖x‖²), h_l = W_l h_{l−1}, with entries N(0, 1/d).

    A product of L independent χ²_d/d: mean L(ψ(d/2) + log(2/d)), variance Lψ'(d/2), ψ
    and ψ' the digamma and trigamma functions. The input may have any dimension if the
    first matrix has variance 1/d, too.

    Args:
        width: Units d of every layer.
        depth: Number of layers L.

    Returns:
        The law.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If it is below 1.

    Example:
        >>> law = linear_law(16, 64)
        >>> print(round(law.mean, 3), round(law.variance, 3))
        -4.083 8.521

    Reference: derived after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth, d = _checks.count("depth", depth), _checks.count("width", width)
    mean, variance = (float(one[0]) for one in _digamma(np.array([d])))
    log_unit = math.log(d)
    moment = lambda s: _log_chi_square(np.array([d]), s)[0] - s * log_unit
    return LogProductLaw(depth, mean - log_unit, variance, moment, -d / 2)


def relu_law(width: Any, depth: Any) -> LogProductLaw:
    r"""The law of log(‖h_L‖²/‖x‖²) of an alive ReLU network with He's weights.

    h_l = max(W_l h_{l−1}, 0), entries N(0, 2/d). A layer's factor is (2/d)χ²_K, K ~
    Bin(d, ½) its active units; K ≥ 1 in every layer of an alive network. With
    expectations over this K, mean L(E ψ(K/2) + 2 log 2 − log d) and variance
    L(E ψ'(K/2) + Var ψ(K/2)).

    Args:
        width: Units d of every layer.
        depth: Number of layers L.

    Returns:
        The law; see `alive_probability` for what it is conditioned on.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If it is below 1.

    Example:
        >>> law = relu_law(16, 64)
        >>> print(round(law.mean, 2), round(law.variance, 1))
        -11.29 26.9

    Reference: Hanin & Nica (2020), arXiv:1812.05994, for the limit of wide networks.
    """
    depth, d = _checks.count("depth", depth), _checks.count("width", width)
    active = np.arange(1, d + 1)
    weights = _active_law(active, d)
    means, variances = _digamma(active)
    mean = float(weights @ means)
    variance = float(weights @ (variances + (means - mean) ** 2))
    log_unit = math.log(d / 2)
    moment = lambda s: _log_mixture(weights, _log_chi_square(active, s)) - s * log_unit
    return LogProductLaw(depth, mean - log_unit, variance, moment, -0.5)


def residual_chain_law(depth: Any, scale: Any) -> LogProductLaw:
    r"""The law of log|Π_i (1 + w_i)|, w_i ~ N(0, s²/L) independent.

    It tends to N(−s²/2, s²) as L → ∞: residual chains neither vanish nor explode. The
    moments E|1 + w|^s are computed by the trapezoidal rule in log|1 + w|.

    Args:
        depth: Number of layers L.
        scale: s > 0.

    Returns:
        The law.

    Raises:
        TypeError: If the depth is not an integer.
        ValueError: If it is below 1, or the scale is not positive.

    Example:
        >>> law = residual_chain_law(1000, 1.0)
        >>> print(round(law.mean, 3), round(law.variance, 3))
        -0.501 1.003

    Reference: derived after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth = _checks.count("depth", depth)
    y, weights = _log_folded_normal(
        float(_checks.positive("scale", scale)) / depth**0.5
    )
    mean = float(weights @ y)
    variance = float(weights @ (y - mean) ** 2)

    def moment(s: np.ndarray) -> np.ndarray:
        return np.log(np.exp(np.multiply.outer(s, y)) @ weights)

    return LogProductLaw(depth, mean, variance, moment, -1.0)


def alive_probability(width: Any, depth: Any) -> float:
    r"""P[no layer of a ReLU network is dead at one input] = (1 − 2^{−d})^L.

    Weights are symmetric and there are no biases. A chain of L weights with ReLU
    between them has L − 1 layers of width 1.

    Args:
        width: Units d of every layer.
        depth: Number of ReLU layers L; 0 gives 1.

    Returns:
        The probability.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If the width is below 1 or the depth below 0.

    Example:
        >>> print(round(1 - alive_probability(4, 30), 2))
        0.86

    Reference: after Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021),
    arXiv:2106.03763.
    """
    depth = _checks.count("depth", depth, at_least=0)
    return math.exp(depth * math.log1p(-(2.0 ** -_checks.count("width", width))))


def _log_chi_square(freedom: np.ndarray, s: np.ndarray) -> np.ndarray:
    """The log E (χ²_k)^s = s log 2 + log Γ(k/2 + s) − log Γ(k/2), shape (k, s)."""
    from scipy.special import loggamma  # heavy, and used only here

    half = freedom[:, None] / 2
    return s * math.log(2) + loggamma(half + s) - loggamma(half)


def _digamma(freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of log χ²_k: ψ(k/2) + log 2 and ψ'(k/2)."""
    from scipy.special import polygamma, psi  # heavy, and used only here

    return psi(freedom / 2) + math.log(2), polygamma(1, freedom / 2)


def _active_law(active: np.ndarray, width: int) -> np.ndarray:
    """P[K = k | K ≥ 1] of K ~ Bin(d, ½)."""
    from scipy.special import gammaln  # heavy, and used only here

    logs = -gammaln(active + 1) - gammaln(width - active + 1)
    weights = np.exp(logs - np.max(logs))
    return weights / np.sum(weights)


def _log_mixture(weights: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """The logarithm of Σ_k p_k e^{logs_k}, without overflow."""
    top = np.max(np.real(logs), axis=0)
    return top + np.log(weights @ np.exp(logs - top))


def _log_folded_normal(std: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes y and weights of the law of log|1 + w|, w ~ N(0, std²), on a fine grid.

    The density of y is smooth and falls exponentially, so the trapezoidal rule is
    exact to round-off.
    """
    low = math.log(max(1 - 12 * std, 1e-17))
    # Moments E|X|^{it} on a grid have a period in t, which must exceed all t in use.
    step = min(std, 1.0) / 32
    y = np.arange(low, math.log1p(12 * std) + step, step)
    gauss = lambda x: np.exp(-((x / std) ** 2) / 2)
    density = np.exp(y) * (gauss(np.exp(y) - 1) + gauss(np.exp(y) + 1))
    return y, density / np.sum(density)
