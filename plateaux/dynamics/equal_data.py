"""Data with equal inputs: one boundary of every neuron, so one datum of the flow."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .. import _checks
from ..problems.losses import SquaredError
from ..problems.problem import Problem
from .trajectory import Trajectory


def merge_equal(problem: Problem) -> tuple[Problem, Int[Array, " K"] | None]:
    r"""The problem with equal inputs merged; its gradient flow is the same.

    Of the squared loss, Σ_j q_j ½(f − y_j)² = ½ Q (f − ȳ)² + constant with Q = Σ q_j
    and ȳ = Σ q_j y_j/Q. With other losses only data with equal targets too are merged.

    Args:
        problem: A problem with scalar targets.

    Returns:
        The problem and, of each of its data, the first of those it stands for. The
        problem itself and None if nothing is equal, or the data are traced.

    Example:
        >>> problem = Problem([[0.0], [1.0], [0.0]], [1.0, 5.0, 2.0])
        >>> merged, kept = merge_equal(problem)
        >>> print(merged.y, merged.weights, kept)
        [1.5 5. ] [2. 1.] [0 1]
    """
    data = (problem.x, problem.y, problem.weights)
    if not all(map(_checks.is_concrete, data)):
        return problem, None
    x, y, weights = map(np.asarray, data)
    squared = isinstance(problem.loss, SquaredError)
    rows = x if squared else np.concatenate([x, y[:, None]], axis=1)
    # Adding zero makes −0 and 0 one input.
    _, first, group = np.unique(
        rows + 0, axis=0, return_index=True, return_inverse=True
    )
    if len(first) == len(x):
        return problem, None
    order = np.argsort(first)  # data stay in their order
    kept, group = first[order], np.argsort(order)[group.ravel()]
    total = np.bincount(group, weights).astype(x.dtype)
    mean = np.bincount(group, weights * y) / np.where(total > 0, total, 1)
    targets = np.where(total > 0, mean, y[kept]) if squared else y[kept]
    merged = Problem(
        x[kept],
        targets.astype(y.dtype),
        weights=total,
        loss=problem.loss,
        normalisation=problem.normalisation,
        name=problem.name,
    )
    return merged, jnp.asarray(kept, jnp.int32)


def name_data(trajectory: Trajectory, kept: Int[Array, " K"] | None) -> Trajectory:
    """The trajectory with its events' data by their numbers in the problem as given."""
    if kept is None:
        return trajectory
    events: Any = trajectory.events
    datum = jnp.where(events.datum >= 0, kept[jnp.maximum(events.datum, 0)], -1)
    return eqx.tree_at(lambda t: t.events.datum, trajectory, datum)
