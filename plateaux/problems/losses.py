r"""Losses of one datum, ℓ(f, y), with gradient and curvature in the output f.

A `Problem` adds them up: L = Σ_k q_k ℓ(f(x_k), y_k), with the sample weights q_k of
its normalisation. Every loss is a frozen, hashable dataclass without arrays.

| name | ℓ(f, y) | targets | infimum over f |
|---|---|---|---|
| `squared` | ½ ‖f − y‖² | any numbers | 0, reached at f = y |
| `logistic` | log(1 + exp(−y f)) | ±1 | 0, approached as y f → ∞ |
| `exponential` | exp(−y f) | ±1 | 0, approached as y f → ∞ |
| `cross_entropy` | −Σ_j y_j log softmax(f)_j | one-hot rows | 0, approached |
| `cross_entropy` | | probabilities > 0 | Σ_j y_j log(1/y_j), reached at f = log y |

The infimum is not subtracted. The first, second and last are computed without
overflow in between; the exponential loss itself overflows to infinity where −y f
exceeds 709 (88 in single precision), which ends a run as diverged.
"""

import abc
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import _checks


@dataclass(frozen=True)
class Loss(abc.ABC):
    """A loss of one datum.

    Attributes:
        formula: ℓ in words, for reports and the units of time.
    """

    formula: ClassVar[str]

    @abc.abstractmethod
    def __call__(
        self, output: Float[Array, "*o"], y: Float[Array, "*o"]
    ) -> Float[Array, ""]:
        """ℓ(f, y) for one datum."""

    @abc.abstractmethod
    def gradient(
        self, output: Float[Array, "*o"], y: Float[Array, "*o"]
    ) -> Float[Array, "*o"]:
        """∂ℓ/∂f for one datum."""

    @abc.abstractmethod
    def curvature(
        self, output: Float[Array, "*o"], y: Float[Array, "*o"]
    ) -> Float[Array, "..."]:
        """∂²ℓ/∂f² for one datum: a number for a scalar output, else an o×o matrix."""

    def gradient_series(
        self,
        output: Float[Array, "J K"],
        gradient: Float[Array, "J K"],
        y: Float[Array, " K"],
        j: Int[Array, ""],
    ) -> Float[Array, " K"]:
        """Taylor coefficient j of r = ∂ℓ/∂f along a path of scalar outputs.

        Args:
            output: Coefficients of f by rows, zero beyond row j.
            gradient: Coefficients of r by rows, zero from row j on.
            y: Targets.
            j: Which coefficient, at least 0.

        Returns:
            The coefficient, one entry a datum.
        """
        raise NotImplementedError(f"no Taylor series for {type(self).__name__}")

    def check_targets(self, y: Float[Array, "K ..."]) -> str | None:
        """What is wrong with these concrete targets, or None."""
        return None


@dataclass(frozen=True)
class SquaredError(Loss):
    """½ ‖f − y‖², summed over the outputs."""

    formula: ClassVar[str] = "½ r²"

    def __call__(self, output, y):
        return jnp.sum((output - y) ** 2) / 2

    def gradient(self, output, y):
        return output - y

    def curvature(self, output, y):
        return _diagonal(jnp.ones_like(output))

    def gradient_series(self, output, gradient, y, j):
        return output[j] - jnp.where(j == 0, y, 0)


@dataclass(frozen=True)
class Logistic(Loss):
    """log(1 + exp(−y f)) for labels y = ±1, summed over the outputs."""

    formula: ClassVar[str] = "log(1 + exp(−y f))"

    def __call__(self, output, y):
        return jnp.sum(jax.nn.softplus(-y * output))

    def gradient(self, output, y):
        return -y * jax.nn.sigmoid(-y * output)

    def curvature(self, output, y):
        margin = y * output
        return _diagonal(y**2 * jax.nn.sigmoid(margin) * jax.nn.sigmoid(-margin))

    def gradient_series(self, output, gradient, y, j):
        """From r' = −(y r + r²) f', since y² = 1."""
        slope = -y[None, :] * gradient - jnp.stack(
            [
                jnp.sum(gradient * reverse(gradient, i), axis=0)
                for i in range(len(gradient))
            ]
        )
        return jnp.where(j == 0, self.gradient(output[0], y), _chain(output, slope, j))

    def check_targets(self, y):
        """Labels must be −1 or +1."""
        return _check_signs("logistic", y)


@dataclass(frozen=True)
class Exponential(Loss):
    """exp(−y f) for labels y = ±1, summed over the outputs."""

    formula: ClassVar[str] = "exp(−y f)"

    def __call__(self, output, y):
        return jnp.sum(jnp.exp(-y * output))

    def gradient(self, output, y):
        return -y * jnp.exp(-y * output)

    def curvature(self, output, y):
        return _diagonal(y**2 * jnp.exp(-y * output))

    def gradient_series(self, output, gradient, y, j):
        """From r' = −y r f'."""
        following = _chain(output, -y[None, :] * gradient, j)
        return jnp.where(j == 0, self.gradient(output[0], y), following)

    def check_targets(self, y):
        """Labels must be −1 or +1."""
        return _check_signs("exponential", y)


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """−Σ_j y_j log softmax(f)_j for class probabilities y (one-hot labels)."""

    formula: ClassVar[str] = "−Σ y log softmax(f)"

    def __call__(self, output, y):
        return jnp.sum(-y * jax.nn.log_softmax(output))

    def gradient(self, output, y):
        return jax.nn.softmax(output) * jnp.sum(y) - y

    def curvature(self, output, y):
        s = jax.nn.softmax(output)
        return (jnp.diag(s) - s[:, None] * s[None, :]) * jnp.sum(y)

    def check_targets(self, y):
        """Every row must be a probability vector."""
        if y.ndim != 2:
            return f"be one-hot rows of shape (K, classes), but has shape {y.shape}"
        y = np.asarray(y)
        off = np.abs(y.sum(axis=1) - 1) > 8 * y.shape[1] * jnp.finfo(y.dtype).eps
        rows = np.flatnonzero(off | (y < 0).any(axis=1))
        if len(rows) == 0:
            return None
        return (
            "be rows of non-negative numbers that sum to one for the cross-entropy "
            f"loss, but {len(rows)} of {len(y)} rows are not, the first in row "
            f"{rows[0] + 1}"
        )


def _diagonal(entries: Array) -> Array:
    """The curvature of a loss that is a sum over outputs."""
    return entries if entries.ndim == 0 else jnp.diag(entries)


def reverse(rows: Float[Array, "J ..."], j) -> Array:
    """Rows j down to 0, then zeros; Σ_l a_l times row l of it is a Cauchy product."""
    size = rows.shape[0]
    twice = jnp.concatenate([rows[::-1], jnp.zeros_like(rows)])
    return jax.lax.dynamic_slice_in_dim(twice, size - 1 - j, size, 0)


def _chain(f: Float[Array, "J K"], slope: Float[Array, "J K"], j) -> Array:
    """Coefficient j of ∫ slope·f' dt, j ≥ 1: Σ_{l=1}^{j} l f_l slope_{j−l} / j."""
    weights = jnp.arange(f.shape[0], dtype=f.dtype)[:, None]
    return jnp.sum(weights * f * reverse(slope, j), axis=0) / jnp.maximum(j, 1)


def _check_signs(name: str, y: Array) -> str | None:
    others = np.ravel(y)[np.abs(np.ravel(y)) != 1]
    if len(others) == 0:
        return None
    return (
        f"be −1 or +1 for the {name} loss, but {len(others)} of {y.size} entries are "
        f"not, the first is {others[0]}; labels 0 and 1 become ±1 by 2y − 1"
    )


squared = SquaredError()
logistic = Logistic()
exponential = Exponential()
cross_entropy = CrossEntropy()

LOSSES: dict[str, Loss] = {
    "squared": squared,
    "logistic": logistic,
    "exponential": exponential,
    "cross_entropy": cross_entropy,
}


def loss_function(name: str | Loss) -> Loss:
    """The loss of that name; a loss passes through.

    Args:
        name: A key of `LOSSES`, or a `Loss`.

    Returns:
        The loss.

    Raises:
        ValueError: If no loss has that name; the message says the nearest.

    Example:
        >>> loss_function("squared").formula
        '½ r²'
    """
    if isinstance(name, Loss):
        return name
    return LOSSES[_checks.known("loss", name, LOSSES)]
