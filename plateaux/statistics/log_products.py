r"""Laws of S = log|X_1 ⋯ X_L| for independent, equally distributed factors."""

import functools as ft
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _samples

# Half a unit in the last place of 1: what is smaller cannot be seen in a cdf.
ROUND_OFF = 1e-16
# Moments computed by quadrature have an error of 1e-16; the terms left out are below.
SMALLEST_TERM = 1e-14
MOST_NODES = 2**18
# A block of e^{−itx} of this many entries takes 64 MB.
BLOCK = 2**22


@dataclass(frozen=True)
class LogProductLaw:
    r"""The law of S = Y_1 + … + Y_L, Y_l = log|X_l| independent and alike.

    It is given by the moments of one factor, M(s) = E|X|^s = E e^{sY} for complex s,
    so S has the characteristic function M(it)^L. Its distribution function is the
    Fourier series of Gil-Pelaez's integral,

        P[S ≤ x] = ½ − Σ_{k≥0} Im(M(it_k)^L e^{−it_k x})/(π(k + ½)), t_k = (k + ½)h.

    The error of the series is below the probability of [x − 2π/h, x + 2π/h]'s
    complement; h is such that Chernoff's bounds put at most 1e-16 outside of an
    interval of that length, and the series ends where |M(it)|^L < 1e-14. Where the
    law is a Gamma law that closed form is used instead.

    Attributes:
        depth: Number of factors L.
        layer_mean: E Y.
        layer_variance: Var Y.
        log_moment: log M(s) (any branch) at an array of complex s, Re s > `lowest`.
        lowest: Infimum, below 0, of the real s with M(s) finite.
        gamma_shift: If not None, Y = gamma_shift − E, E standard exponential, and
            L·gamma_shift − S has the law Gamma(L, 1).

    Example:
        >>> from plateaux.statistics import chain_law
        >>> law = chain_law(64)
        >>> print(round(law.median, 2), law.variance)
        -28.51 64.0

    Reference: Gil-Pelaez (1951), Biometrika 38, 481-482; Davies (1973), Biometrika 60,
    415-417, for the series and its error.
    """

    depth: int
    layer_mean: float
    layer_variance: float
    log_moment: Callable[[np.ndarray], np.ndarray]
    lowest: float
    gamma_shift: float | None = None

    @property
    def mean(self) -> float:
        """E S."""
        return self.depth * self.layer_mean

    @property
    def variance(self) -> float:
        """Var S."""
        return self.depth * self.layer_variance

    @property
    def median(self) -> float:
        """The median of S, so e^median is that of the product."""
        return float(self.quantile(0.5))

    def cdf(self, x: Any) -> np.ndarray:
        """P[S ≤ x].

        Args:
            x: Logarithms, of any shape; −inf and inf are allowed.

        Returns:
            Probabilities of that shape, to about 1e-13 absolutely.

        Raises:
            ValueError: If an x is NaN, or the characteristic function decays too
                slowly for the series.
        """
        x = _numbers("x", x)
        if self.gamma_shift is not None:
            from scipy.special import gammaincc  # heavy, and used only where needed

            rest = np.maximum(self.depth * self.gamma_shift - x, 0.0)
            return np.asarray(gammaincc(self.depth, rest))
        low, high = self._support
        inside = np.clip(x, low, high)
        wave = self._series(inside.ravel(), self._nodes).reshape(x.shape)
        probability = np.clip(0.5 - wave, 0.0, 1.0)
        return np.where(x <= low, 0.0, np.where(x >= high, 1.0, probability))

    def quantile(self, probabilities: Any) -> np.ndarray:
        """The x with P[S ≤ x] = p.

        Args:
            probabilities: Probabilities between 0 and 1, of any shape; below 1e-12 or
                above 1 − 1e-12 the error of the cdf shows.

        Returns:
            Quantiles of that shape.

        Raises:
            ValueError: If a probability is outside of (0, 1).
        """
        p = _numbers("probabilities", probabilities)
        if np.any((p <= 0) | (p >= 1)):
            raise ValueError(
                "Argument `probabilities` must lie strictly between 0 and 1, but is "
                f"{p.tolist()}."
            )
        if self.gamma_shift is not None:
            from scipy.special import gammainccinv  # heavy, and used only where needed

            shift = self.depth * self.gamma_shift
            return np.asarray(shift - gammainccinv(self.depth, p))
        return np.asarray(np.vectorize(self._one_quantile, otypes=[float])(p))

    def _one_quantile(self, p: float) -> float:
        from scipy.optimize import brentq  # heavy, and used only where needed

        low, high = self._support
        miss = lambda x: float(self.cdf(x)) - p
        return float(brentq(miss, low, high, xtol=1e-13))  # pyright: ignore[reportArgumentType]

    @ft.cached_property
    def _support(self) -> tuple[float, float]:
        """Ends outside of which there is at most 1e-16 on either side (Chernoff)."""
        size = np.geomspace(0.05, 10.0, 60) / math.sqrt(self.variance)
        tilts = np.concatenate([-np.minimum(size, -0.98 * self.lowest), size])
        moments = self.depth * np.real(self.log_moment(tilts.astype(complex)))
        ends = (moments - math.log(ROUND_OFF)) / tilts
        return float(np.max(ends[:60])), float(np.min(ends[60:]))

    @ft.cached_property
    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """The t_k, and the M(it_k)^L/(π(k + ½))."""
        low, high = self._support
        step = 2 * math.pi / (high - low)
        number = math.ceil(self._last_frequency() / step)
        if number > MOST_NODES:
            raise ValueError(
                "The characteristic function of a law must fall to 1e-14 within "
                f"{MOST_NODES} nodes, but needs {number}; take more layers."
            )
        half = np.arange(number) + 0.5
        return half * step, self._characteristic(half * step) / (math.pi * half)

    def _last_frequency(self) -> float:
        """A t beyond which |M(it)|^L is below 1e-14."""
        last, ahead = 1 / math.sqrt(self.variance), np.linspace(1, 2, 9)
        while np.max(abs(self._characteristic(last * ahead))) > SMALLEST_TERM:
            last *= 1.25
        return last

    def _characteristic(self, t: np.ndarray) -> np.ndarray:
        return np.exp(self.depth * self.log_moment(1j * t))

    def _series(self, x: np.ndarray, nodes: tuple[np.ndarray, ...]) -> np.ndarray:
        """Im Σ_k a_k e^{−it_k x}, by blocks of x."""
        t, a = nodes
        rows = max(1, BLOCK // len(t))
        blocks = [x[i : i + rows] for i in range(0, len(x), rows)]
        waves = [np.imag(np.exp(-1j * np.outer(block, t)) @ a) for block in blocks]
        return np.concatenate(waves) if waves else np.zeros(0)


def _numbers(name: str, value: Any) -> np.ndarray:
    """The value as float64 numbers of any shape, without NaN, else a refusal."""
    array = np.asarray(_samples.host(name, value), float)
    if np.any(np.isnan(array)):
        raise ValueError(f"Argument `{name}` must not hold NaN, but does.")
    return array
