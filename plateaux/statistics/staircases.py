"""What a paper says about the staircases of a group of lanes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..stages.staircase import Staircase
from . import _samples
from ._samples import Interval
from .proportions import wilson
from .summary import PlateauSummary, plateau_summary, quartiles


class StaircaseSummary(NamedTuple):
    """Numbers of one group of lanes; quartiles have intervals, shape (3,) each.

    Attributes:
        treads: Numbers, dwells (waiting times between steps, with censoring) and
            losses, over the pooled lanes as in `plateau_summary`.
        num_steps: Quartiles of the number of steps of a pooled lane; None, like all
            below, if no lane is pooled.
        height: Quartiles of the heights of all their steps, or None if there is none.
            Steps of one lane are not independent: the interval is that of independent
            ones.
        matched: Share of these steps at which the loss drops, with its Wilson
            interval, or None; the same holds of it.
        spearman: Quartiles of the Spearman correlation of log L and the rank.
        last_rank: Quartiles of the rank of the last tread.
    """

    treads: PlateauSummary
    num_steps: Interval | None
    height: Interval | None
    matched: Interval | None
    spearman: Interval | None
    last_rank: Interval | None


def staircase_summary(
    found: Any,
    losses: Any,
    *,
    outcomes: Any,
    pool: Sequence[str] = ("completed",),
    confidence: float = 0.95,
) -> StaircaseSummary:
    """Staircase statistics of a group of lanes.

    Args:
        found: Staircases with a leading lane axis, of `jax.vmap(px.stages.staircase)`.
        losses: Losses at the saved times, shape (B, t).
        outcomes: The outcome of each lane, a word each, shape (B,).
        pool: Outcomes whose lanes enter the numbers; as in `plateau_summary`.
        confidence: Two-sided coverage of every interval.

    Returns:
        The numbers.

    Raises:
        TypeError: If `found` is not staircases with one axis of lanes.
        ValueError: If shapes disagree.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import plateaux as px
        >>> problem = px.problems.sine(num_data=16)
        >>> draw = lambda key: px.networks.xavier(
        ...     key, width=8, in_dim=1, activation="tanh"
        ... )
        >>> train = lambda network: px.descend(
        ...     problem, network, px.gradient_descent(0.1), num_steps=500,
        ...     record={"spectrum": px.diagnostics.spectrum},
        ... )
        >>> nets = jax.vmap(draw)(jax.random.split(jax.random.key(0), 4))
        >>> runs = jax.vmap(train)(nets)
        >>> ranks = px.diagnostics.epsilon_rank(runs.saved["spectrum"], 1e-3)
        >>> found = jax.vmap(px.stages.staircase)(runs, ranks)
        >>> summary = staircase_summary(
        ...     found, runs.losses, outcomes=["completed"] * 4
        ... )
        >>> summary.treads.lanes, summary.num_steps.estimate.shape
        (4, (3,))

    Reference: after Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    treads = _batched(found).treads
    summary = plateau_summary(
        np.asarray(treads.dwell),
        np.asarray(treads.censored),
        np.asarray(treads.count),
        np.asarray(losses),
        outcomes=outcomes,
        overflow=np.asarray(treads.overflow),
        pool=pool,
        confidence=confidence,
    )
    pooled = np.isin(_samples.words("outcomes", outcomes), list(pool))
    of = lambda column: np.asarray(column)[pooled]
    count, rank = of(treads.count), of(found.rank)
    used = np.arange(rank.shape[1])[None, :] < count[:, None]
    ended = used & ~of(treads.censored)
    matched = of(found.matched)[ended]
    return StaircaseSummary(
        treads=summary,
        num_steps=quartiles(of(found.num_steps), confidence),
        height=quartiles(of(found.height)[ended], confidence),
        matched=wilson(int(matched.sum()), matched.size, confidence=confidence)
        if matched.size
        else None,
        spearman=quartiles(of(found.spearman), confidence),
        last_rank=quartiles(rank[np.arange(len(rank)), count - 1], confidence),
    )


def _batched(found: Any) -> Staircase:
    """The staircases if they have one lane axis, else a refusal."""
    if isinstance(found, Staircase) and np.ndim(found.num_steps) == 1:
        return found
    came = f"a {type(found).__name__}"
    if isinstance(found, Staircase):
        came = f"staircases with {np.ndim(found.num_steps)} leading axes"
    raise TypeError(
        "Argument `found` must be staircases with one leading axis of lanes, as "
        f"jax.vmap(px.stages.staircase) gives them, but is {came}."
    )
