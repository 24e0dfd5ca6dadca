"""A scikit-learn regressor that trains by active-neuron least squares.

Needs scikit-learn: `pip install 'plateaux[data]'`.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from . import _checks
from .anls.anls import METHODS, anls
from .anls.moves import Method
from .dynamics.save import log_spaced
from .networks.designed import unit_kinks
from .networks.two_layer import TwoLayer
from .problems.problem import Problem, loss

try:
    from sklearn.base import BaseEstimator, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "plateaux.sklearn needs scikit-learn 1.6 or later; install it with "
        "pip install 'plateaux[data]'."
    ) from error


class ANLSRegressor(RegressorMixin, BaseEstimator):
    r"""Regression by a two-layer ReLU network, trained by `px.anls`.

    Inputs and targets are brought to mean 0 and standard deviation 1; `n_init` random
    starts are trained together, and the one of least loss is kept. Training is in
    float64 if JAX's 64-bit mode is on when `fit` is called, otherwise in float32;
    predictions are computed by NumPy in float64 from the parameters found. Fitting
    changes no setting of JAX.

    Args:
        n_neurons: Hidden neurons.
        n_init: Starts that are trained together.
        random_state: An integer for reproducible fits, a NumPy `RandomState`, or None.
        method: A key of `plateaux.anls.METHODS`, or a method with options.
        max_steps: Steps of every start, at most.
        affine: Whether the network has an affine part.
        validation_fraction: Share of the data kept aside to choose the start by; with
            None all data are trained on and the training loss chooses.
        tol: As for `px.anls`.
        patience: As for `px.anls`.

    Attributes:
        hidden_weights_: w in the units of the data, shape (n_neurons, d).
        hidden_biases_: b.
        outer_weights_: c.
        coef_: Slopes of the affine part, 0 without one.
        intercept_: Its intercept, which holds the mean of the targets.
        n_steps_: Steps that the chosen start took.
        losses_: Final ½ mean squared error of every start, in standard units, on the
            data that chose.
        best_init_: The chosen start.
        n_features_in_: Number of inputs.
        feature_names_in_: Names of the inputs, if they had any.

    Example:
        >>> x = np.linspace(-1.0, 1.0, 50)[:, None]
        >>> model = ANLSRegressor(n_neurons=4, n_init=2, random_state=0)
        >>> bool(model.fit(x, np.abs(x[:, 0])).score(x, np.abs(x[:, 0])) > 0.99)
        True

    Reference: after Ainsworth & Shin (2021), arXiv:2007.07213.
    """

    def __init__(
        self,
        n_neurons=20,
        *,
        n_init=8,
        random_state=None,
        method="joint",
        max_steps=100,
        affine=True,
        validation_fraction=None,
        tol=1e-6,
        patience=30,
    ):
        self.n_neurons = n_neurons
        self.n_init = n_init
        self.random_state = random_state
        self.method = method
        self.max_steps = max_steps
        self.affine = affine
        self.validation_fraction = validation_fraction
        self.tol = tol
        self.patience = patience

    def fit(self, X: Any, y: Any) -> "ANLSRegressor":  # noqa: N803 - scikit-learn's
        """Train all starts and keep the best.

        Args:
            X: Inputs, shape (K, d), an array or a data frame.
            y: Targets, shape (K,).

        Returns:
            The estimator itself.

        Raises:
            ValueError: If data or parameters are not as they must be.
        """
        X, y = validate_data(self, X, y, y_numeric=True, dtype=np.float64)
        plan = self._plan()
        rng = check_random_state(self.random_state)
        key = jax.random.key(int(rng.randint(2**31 - 1)))
        held = self._held_out(rng, len(y))
        trains = ~held
        judges = held if held.any() else trains
        x_mean, x_scale = _units(X[trains])
        y_mean, y_scale = _units(y[trains])
        columns = ((X - x_mean) / x_scale, (y - y_mean) / y_scale, trains, judges)
        x, target, trains, judges = _padded(columns)
        networks, losses, steps = _train(x, target, trains, judges, key, plan)
        losses = np.asarray(losses, np.float64)
        losses = np.where(np.isfinite(losses), losses, np.inf)
        best = int(np.argmin(losses))
        chosen = jax.tree.map(lambda leaf: np.asarray(leaf[best], np.float64), networks)
        self.losses_, self.best_init_ = losses, best
        self.n_steps_ = int(steps[best])
        self.hidden_weights_ = chosen.w / x_scale
        self.hidden_biases_ = chosen.b - self.hidden_weights_ @ x_mean
        self.outer_weights_ = y_scale * chosen.c
        affine = np.zeros(X.shape[1] + 1) if chosen.p is None else y_scale * chosen.p
        self.coef_ = affine[:-1] / x_scale
        self.intercept_ = float(affine[-1] - self.coef_ @ x_mean + y_mean)
        return self

    def predict(self, X: Any) -> np.ndarray:  # noqa: N803 - scikit-learn's name
        """Outputs of the network.

        Args:
            X: Inputs, shape (K, d).

        Returns:
            Shape (K,), float64.
        """
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64)
        z = X @ self.hidden_weights_.T + self.hidden_biases_
        hidden = np.where(z > 0, z, 0) @ self.outer_weights_
        return hidden + X @ self.coef_ + self.intercept_

    @property
    def network_(self) -> TwoLayer:
        """The network in the units of the data, always with an affine part.

        In JAX's present precision; the part that a fit without one needs is the
        intercept, from the mean of the targets.
        """
        check_is_fitted(self)
        dtype = np.dtype(jnp.result_type(float))
        affine = np.append(self.coef_, self.intercept_)
        parts = (self.hidden_weights_, self.hidden_biases_, self.outer_weights_, affine)
        return TwoLayer(*(part.astype(dtype) for part in parts))

    def _plan(self) -> "_Plan":
        """The parameters, checked."""
        if not isinstance(self.method, Method):
            _checks.known("method", self.method, METHODS)
        _checks.positive("tol", self.tol)
        return _Plan(
            _checks.count("n_neurons", self.n_neurons),
            _checks.count("n_init", self.n_init),
            bool(self.affine),
            self.method,
            _checks.count("max_steps", self.max_steps),
            float(self.tol),
            _checks.count("patience", self.patience),
        )

    def _held_out(self, rng: Any, num: int) -> np.ndarray:
        """Which data choose the start instead of training it."""
        held = np.zeros(num, bool)
        fraction = self.validation_fraction
        if fraction is None:
            return held
        if not 0 < fraction < 1:
            raise ValueError(
                "Parameter `validation_fraction` must lie between 0 and 1 or be None, "
                f"but is {fraction!r}."
            )
        count = max(round(fraction * num), 1)
        if count >= num:
            raise ValueError(
                f"Parameter `validation_fraction` must leave data to train on, but "
                f"{fraction!r} of {num} samples leaves none."
            )
        held[rng.permutation(num)[:count]] = True
        return held


class _Plan(NamedTuple):
    """What is fixed when the program is compiled."""

    width: int
    lanes: int
    affine: bool
    method: Any
    num_steps: int
    tol: float
    patience: int


def _units(values: np.ndarray) -> tuple[Any, Any]:
    """Mean and standard deviation of columns; 1 for a constant one."""
    mean, scale = np.mean(values, axis=0), np.std(values, axis=0)
    rounding = 10 * np.finfo(np.float64).eps * np.abs(mean)
    return mean, np.where(scale > rounding, scale, 1.0)


def _padded(columns: tuple[np.ndarray, ...]) -> list[jax.Array]:
    """Rows repeated up to a power of two, so that few sizes are compiled.

    Repeated rows neither train nor judge.
    """
    num = len(columns[1])
    size = max(2 ** (num - 1).bit_length(), 32)
    dtype = np.dtype(jnp.result_type(float))
    x, y = (np.resize(part, (size, *part.shape[1:])) for part in columns[:2])
    masks = [np.pad(mask, (0, size - num)) for mask in columns[2:]]
    return [jnp.asarray(part.astype(dtype)) for part in (x, y, *masks)]


@eqx.filter_jit
def _train(x, y, trains, judges, key, plan: _Plan):
    """Networks, judged losses and steps of all starts."""
    problem = Problem(x, y, weights=trains)
    judge = Problem(x, y, weights=judges)
    lo, hi = jnp.min(x, axis=0), jnp.max(x, axis=0)
    hi = jnp.where(hi > lo, hi, lo + 1)

    def one(lane):
        start_key, run_key = jax.random.split(jax.random.fold_in(key, lane))
        start = unit_kinks(
            start_key,
            width=plan.width,
            in_dim=x.shape[1],
            affine=plan.affine,
            dtype=x.dtype,
            lo=lo,
            hi=hi,
        )
        run = anls(
            problem,
            start,
            num_steps=plan.num_steps,
            method=plan.method,
            key=run_key,
            save=log_spaced(2),
            tol=plan.tol,
            patience=plan.patience,
        )
        return run.network, loss(judge, run.network), run.stats.num_steps

    return jax.vmap(one)(jnp.arange(plan.lanes))
