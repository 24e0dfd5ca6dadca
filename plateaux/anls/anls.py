"""Active-neuron least squares: the public function."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from ..dynamics.recording import Record
from ..dynamics.save import Every, Save
from ..dynamics.trajectory import Trajectory
from ..networks.two_layer import TwoLayer
from ..patterns.cells import check_cells
from ..problems.equations import LinearEquation
from ..problems.problem import Problem, check_match
from .collocation import Collocation, check_collocation
from .gauss_newton import GaussNewton
from .joint import Joint
from .levenberg_marquardt import LevenbergMarquardt
from .moves import Method
from .neuron_wise import ExactNeurons, Neurons
from .training import Course, Plan, train
from .variable_projection import VariableProjection

METHODS: dict[str, Method] = {
    "joint": Joint(),
    "neuron": Neurons(),
    "exact": ExactNeurons(),
    "gauss_newton": GaussNewton(),
    "variable_projection": VariableProjection(),
    "levenberg_marquardt": LevenbergMarquardt(),
}


def anls(
    problem: Problem | LinearEquation,
    network: TwoLayer,
    *,
    num_steps: Any,
    method: Any = None,
    key: Any = None,
    save: Any = Every(1),  # noqa: B008 - frozen
    record: Mapping[str, Record] | None = None,
    tol: Any = 1e-9,
    patience: Any = 60,
) -> Trajectory:
    r"""Train a two-layer ReLU network by least squares across activation patterns.

    While its pattern stays a network is linear in η_i = c_i v_i, so one linear
    least-squares problem gives the best it can do there; these methods solve it, adjust
    the pattern, and so leave plateaus in a few steps. A step is accepted only if the
    loss falls: losses never rise. The method is of the type of active neuron least
    squares, after Ainsworth & Shin.

    A `px.problems.LinearEquation` is solved by collocation, with relu2 or relu3
    features (relu, if it has no second derivatives): its residual is linear in the
    outer weights likewise, see `plateaux.anls.Collocation`.

    `times` counts steps. A run ends with `Outcome.converged` once the loss has not
    fallen by more than `tol`, relative, for `patience` steps, or is that of an exact
    fit up to rounding; the network then stays, and so do the later losses. A start
    whose loss is not finite and cannot be lowered ends with `Outcome.diverged`.

    Args:
        problem: Data with the squared loss, or a linear equation; sample weights
            count.
        network: A two-layer network with relu (or, for an equation, a power of it),
            with or without an affine part; for many at once use `jax.vmap`, over keys
            as well.
        num_steps: Most steps, at least 1.
        method: A name in `plateaux.anls.METHODS`, or a method with options of your
            own, such as `plateaux.anls.Joint(num_candidates=500)`. None means
            "joint" for data and `Collocation()` for an equation.
        key: Of the random candidates; None means `jax.random.key(0)`. The same key
            gives the same run in batches of one shape; in a batch of another shape
            numbers are rounded differently, and where two choices are nearly as good
            the run may take the other.
        save: When to save: `px.log_spaced(num)`, `px.every(k)` or `px.at(steps)`.
        record: What to save besides the loss: functions of (problem, network) by
            name, e.g. `{"pattern": lambda p, net: px.patterns.pattern(net, p.x)}`.
        tol: Relative decrease of the loss below which a step counts as calm.
        patience: Calm steps in a row that end a run.

    Returns:
        The trajectory; `moves` says what every step did, see `Move`. It has no
        derivatives in reverse mode.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If the loss is not squared, the network not a two-layer ReLU
            network, the method not for such a problem, shapes disagree, or a number is
            out of range.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1.0, 1.0, 40)[:, None]
        >>> problem = px.Problem(x, jnp.where(x[:, 0] > 0, 1.0, 0.0))
        >>> draw = px.networks.unit_kinks
        >>> start = draw(jax.random.key(0), width=2, in_dim=1, affine=True)
        >>> run = px.anls(problem, start, num_steps=100)
        >>> bool(run.losses[-1] < 1e-20)
        True

    Reference: after Ainsworth & Shin (2021), arXiv:2007.07213, and (2022), SIAM J.
    Sci. Comput. 44(4).
    """
    course = checked_course(
        problem, network, num_steps, method, save, record, tol, patience
    )
    return train(course, network, _checked_key(key))


def checked_course(
    problem, network, num_steps, method, save, record, tol, patience
) -> Course:
    """What the steps of `anls` share, or a refusal."""
    chosen = _chosen(method, problem, network)
    for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_array)):
        _checks.finite("network", leaf)
    num_steps = _checks.count("num_steps", num_steps)
    if not isinstance(save, Save):
        raise TypeError(
            f"Argument `save` must be a schedule such as px.every(1), but is {save!r}."
        )
    steps = save.steps(num_steps, None)
    slots = np.full(num_steps + 1, len(steps), np.int32)
    slots[steps] = np.arange(len(steps))
    return Course(
        problem=problem,
        method=chosen,
        slots=jnp.asarray(slots),
        steps=jnp.asarray(steps, jnp.int32),
        tol=jnp.asarray(_checks.positive("tol", tol), problem.x.dtype),
        patience=jnp.asarray(_checks.count("patience", patience), jnp.int32),
        plan=Plan(num_steps, len(steps), tuple((record or {}).items())),
    )


def _chosen(method: Any, problem: Any, network: Any) -> Method:
    """The method, or a refusal of a problem that it is not for."""
    equation = isinstance(problem, LinearEquation)
    if method is None:
        method = Collocation() if equation else "joint"
    if not isinstance(method, Method):
        method = METHODS[_checks.known("method", method, METHODS)]
    if equation != isinstance(method, Collocation):
        raise ValueError(
            "Argument `method` must be a Collocation for a linear equation, and for "
            f"that alone, but is {type(method).__name__} for a "
            f"{type(problem).__name__}; leave it out."
        )
    if equation:
        check_match(problem, network)
        check_collocation(problem, network)
    else:
        check_cells(problem, network)
    return method


def is_key(value: Any) -> bool:
    """Whether it is one key of `jax.random`, or an array of them."""
    return isinstance(value, jax.Array) and jnp.issubdtype(
        value.dtype, jax.dtypes.prng_key
    )


def _checked_key(key: Any) -> Any:
    """A scalar key; None is the key of the seed 0."""
    key = jax.random.key(0) if key is None else key
    if not is_key(key) or key.shape != ():
        raise TypeError(
            "Argument `key` must be one key made by jax.random.key, but is "
            f"{key!r}; for many runs use jax.vmap over keys."
        )
    return key
