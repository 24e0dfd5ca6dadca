"""A problem: data, and the loss that is to fall."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _checks
from ..networks.network import Network, outputs
from .losses import Loss, loss_function
from .task import Task

NORMALISATIONS = ("mean", "sum")


class Problem(Task):
    r"""Data (x_k, y_k), weights and a loss: L(θ) = Σ_k q_k ℓ(f(x_k; θ), y_k).

    q_k = μ_k/Σ_j μ_j for `normalisation="mean"` (the default: with the squared loss
    and equal weights, L = (1/2K) Σ r_k²) and q_k = μ_k for `"sum"`. The choice only
    rescales time: one unit of flow time of the mean is 1/Σμ units of that of the sum.

    Args:
        x: Inputs, shape (K, d), K, d ≥ 1, finite floats.
        y: Targets, shape (K,) for scalar networks, (K, o) for o outputs. Class
            labels are ±1 (logistic, exponential) or one-hot rows (cross-entropy).
        weights: Sample weights μ_k ≥ 0, not all zero; ones if None.
        loss: ℓ, a `Loss` or its name.
        normalisation: "mean" or "sum".
        name: A word for reports.

    Raises:
        TypeError: If data are not floating-point.
        ValueError: If shapes disagree, data are empty or not finite, weights are
            negative, labels do not fit the loss, or a name is unknown.

    Example:
        >>> problem = Problem(jnp.array([[0.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> problem.time_unit
        'flow time of L = Σ ½ r² / K'
    """

    x: Float[Array, "K d"]
    y: Float[Array, "K ..."]
    weights: Float[Array, " K"]
    loss: Loss = eqx.field(static=True)
    normalisation: Literal["mean", "sum"] = eqx.field(static=True)
    name: str = eqx.field(static=True)
    weighted: bool = eqx.field(static=True)

    def __init__(
        self,
        x: Any,
        y: Any,
        *,
        weights: Any = None,
        loss: str | Loss = "squared",
        normalisation: str = "mean",
        name: str = "data",
    ):
        x = _checks.finite("x", _checks.floating("x", x))
        y = _checks.finite("y", _checks.floating("y", y))
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(
                "Argument `x` must have shape (K, d) with at least one datum and one "
                f"input, but has shape {x.shape}; one input is a column, `x[:, None]`."
            )
        if y.ndim not in (1, 2) or y.shape[0] != x.shape[0] or 0 in y.shape:
            raise ValueError(
                f"Argument `y` must have one row per row of `x`, shape ({x.shape[0]},) "
                f"or ({x.shape[0]}, o), but has shape {y.shape}."
            )
        if y.dtype != x.dtype:
            raise TypeError(
                f"Arguments `x` and `y` must have one dtype, but have {x.dtype} and "
                f"{y.dtype}."
            )
        self.loss = loss_function(loss)
        complaint = self.loss.check_targets(y) if _checks.is_concrete(y) else None
        if complaint:
            raise ValueError(f"Argument `y` must {complaint}.")
        self.x, self.y = x, y
        self.weights = _sample_weights(weights, x)
        self.normalisation = _checks.known(  # pyright: ignore[reportAttributeAccessIssue]
            "normalisation", normalisation, NORMALISATIONS
        )
        self.name = name
        self.weighted = weights is not None

    @property
    def out_dim(self) -> int | None:
        """Number of outputs a network needs; None for a scalar."""
        return None if self.y.ndim == 1 else self.y.shape[-1]

    @property
    def sample_weights(self) -> Float[Array, " K"]:
        """The q_k of L = Σ_k q_k ℓ_k."""
        if self.normalisation == "sum":
            return self.weights
        return self.weights / jnp.sum(self.weights)

    @property
    def time_unit(self) -> str:
        """What one unit of flow time belongs to, in words."""
        mass, total = ("μ ", "Σ μ") if self.weighted else ("", "K")
        per = f" / {total}" if self.normalisation == "mean" else ""
        return f"flow time of L = Σ {mass}{self.loss.formula}{per}"

    def loss_of(self, network: Network) -> Float[Array, ""]:
        """Σ_k q_k ℓ(f(x_k; θ), y_k)."""
        return self.sample_weights @ pointwise_losses(self, network)


def _sample_weights(weights: Any, x: Array) -> Array:
    if weights is None:
        return jnp.ones(x.shape[0], x.dtype)
    weights = _checks.finite("weights", _checks.floating("weights", weights))
    if weights.shape != x.shape[:1] or weights.dtype != x.dtype:
        raise ValueError(
            f"Argument `weights` must have shape {x.shape[:1]} and dtype {x.dtype}, "
            f"but has shape {weights.shape} and dtype {weights.dtype}."
        )
    if _checks.is_concrete(weights) and not (
        np.all(np.asarray(weights) >= 0) and np.any(np.asarray(weights) > 0)
    ):
        raise ValueError(
            "Argument `weights` must be non-negative and not all zero, but its "
            f"smallest entry is {float(jnp.min(weights))} and its largest is "
            f"{float(jnp.max(weights))}."
        )
    return weights


def check_data(problem: Any) -> None:
    """Refuse what is not data with a loss, but an equation or a functional."""
    if not isinstance(problem, Problem):
        raise TypeError(
            "Argument `problem` must be a Problem, data with a loss, but is a "
            f"{type(problem).__name__}."
        )


def check_match(problem: Task, network: Network) -> None:
    """Refuse a network that does not fit the problem's shapes or dtype.

    Args:
        problem: The problem.
        network: The network, unbatched.

    Raises:
        ValueError: If input or output dimensions differ.
        TypeError: If dtypes differ.

    Example:
        >>> from plateaux.networks import TwoLayer
        >>> problem = Problem([[0.0, 1.0]], [1.0])
        >>> check_match(problem, TwoLayer(w=[[1.0, 0.0]], b=[0.0], c=[1.0]))
    """
    for what, ours, theirs in (
        ("inputs", problem.in_dim, network.in_dim),
        ("outputs", problem.out_dim, network.out_dim),
    ):
        if ours != theirs:
            raise ValueError(
                f"The network must have as many {what} as the problem, "
                f"{'a scalar' if ours is None else ours}, but has "
                f"{'a scalar' if theirs is None else theirs}; "
                "for many networks at once use jax.vmap."
            )
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array))}
    if dtypes != {problem.x.dtype}:
        raise TypeError(
            f"The network must have the problem's dtype, {problem.x.dtype}, but has "
            f"{', '.join(sorted(map(str, dtypes)))}."
        )
    expected = () if problem.out_dim is None else (problem.out_dim,)
    try:
        shape = eqx.filter_eval_shape(outputs, network, problem.x).shape[1:]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The network must take one datum of shape ({problem.in_dim},), but fails "
            f"on it ({_first_line(error)}); for many networks at once use jax.vmap."
        ) from error
    if shape != expected:
        raise ValueError(
            f"The network must give an output of shape {expected} for one datum, but "
            f"gives {shape}; for many networks at once use jax.vmap."
        )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def pointwise_losses(problem: Problem, network: Network) -> Float[Array, " K"]:
    """The losses ℓ(f(x_k), y_k) of the data, without weights.

    Args:
        problem: Data and loss.
        network: The network.

    Returns:
        One loss a datum, in the unit of ℓ; `loss` is their weighted sum.

    Example:
        >>> from plateaux.networks import TwoLayer
        >>> problem = Problem([[1.0], [2.0]], [1.0, 0.0])
        >>> print(pointwise_losses(problem, TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])))
        [0. 2.]
    """
    return jax.vmap(problem.loss)(outputs(network, problem.x), problem.y)


def loss(problem: Task, network: Network) -> Float[Array, ""]:
    r"""The loss L(θ) that training lowers.

    Of data Σ_k q_k ℓ(f(x_k; θ), y_k), of an equation `equation_loss`, of a functional
    the sum of its parts.

    Args:
        problem: Data and loss, an equation or a functional.
        network: A network that fits them.

    Returns:
        A scalar, not negative but for functionals.

    Example:
        >>> from plateaux.networks import TwoLayer
        >>> problem = Problem(jnp.array([[-1.0], [1.0]]), jnp.array([0.0, 3.0]))
        >>> print(loss(problem, TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])))
        1.0
    """
    return problem.loss_of(network)
