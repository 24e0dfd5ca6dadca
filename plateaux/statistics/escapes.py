"""What a paper says about how a group of lanes left its plateau."""

from typing import Any, NamedTuple

import numpy as np

from ..stages.escape import EscapeCause, EscapeTime
from ._samples import Interval
from .proportions import wilson
from .survival import SurvivalCurve, kaplan_meier, median_survival


class EscapeSummary(NamedTuple):
    """Numbers of one group of lanes.

    Attributes:
        lanes: Number of lanes in the group.
        causes: Lanes by cause, the name of every `px.stages.EscapeCause`, none left
            out.
        escaped: Share of all lanes that descended, with its Wilson interval.
        survival: Kaplan-Meier curve of the time on the plateau. A lane that died or
            ran to its end on the plateau is censored there.
        median: Median escape time with its interval; inf if it was not reached.
    """

    lanes: int
    causes: dict[str, int]
    escaped: Interval
    survival: SurvivalCurve
    median: Interval


def escape_summary(
    found: Any, *, leave_out: tuple[str, ...] = (), confidence: float = 0.95
) -> EscapeSummary:
    """Escape statistics of a group of lanes.

    Lanes that diverged or are dead will never leave by descending, so to censor them
    at their last time is to keep them on the plateau: dead ones for as long as anybody
    looks, diverged ones for as long as they were seen. `leave_out` takes them out of
    share, curve and median instead; the causes count all lanes. For two groups compare
    `px.statistics.log_rank(durations, censored, groups)`.

    Args:
        found: Escape times with a leading axis of lanes, of `px.stages.escape`.
        leave_out: Causes whose lanes are left out, such as ("diverged", "dead").
        confidence: Two-sided coverage of every interval.

    Returns:
        The numbers.

    Raises:
        TypeError: If `found` is not escape times with one axis of lanes.
        ValueError: If a cause is unknown, or no lane is left.

    Example:
        >>> import jax
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0]], [1.0])
        >>> chains = jax.vmap(lambda key: px.networks.chain(key, depth=4))(
        ...     jax.random.split(jax.random.key(0), 16)
        ... )
        >>> train = lambda chain: px.descend(
        ...     problem, chain, px.gradient_descent(0.01), num_steps=400,
        ...     save=px.every(1),
        ... )
        >>> found = px.stages.escape(
        ...     jax.vmap(train)(chains), problem, criterion="loss", level=0.125
        ... )
        >>> summary = escape_summary(found)
        >>> summary.lanes, sum(summary.causes.values()), summary.causes["dead"]
        (16, 16, 0)
    """
    if not isinstance(found, EscapeTime) or np.ndim(found.time) != 1:
        raise TypeError(
            "Argument `found` must be escape times with one leading axis of lanes, as "
            f"px.stages.escape gives them of many runs, but is {_came(found)}."
        )
    names = np.array([EscapeCause(code).name for code in np.asarray(found.cause)])
    kept = ~np.isin(names, _known_causes(leave_out))
    if not kept.any():
        raise ValueError(
            f"Argument `leave_out` must leave at least one lane, but {leave_out} takes "
            f"out all {names.size}."
        )
    durations, censored = (
        np.asarray(column)[kept] for column in (found.duration, found.censored)
    )
    curve = kaplan_meier(durations, censored, confidence=confidence)
    return EscapeSummary(
        lanes=int(names.size),
        causes={cause.name: int(np.sum(names == cause.name)) for cause in EscapeCause},
        escaped=wilson(int(np.sum(~censored)), censored.size, confidence=confidence),
        survival=curve,
        median=median_survival(curve),
    )


def _known_causes(names: tuple[str, ...]) -> list[str]:
    """The names if all are of causes, else a refusal."""
    known = [cause.name for cause in EscapeCause]
    unknown = [name for name in names if name not in known]
    if unknown or "descended" in names:
        raise ValueError(
            f"Argument `leave_out` must hold causes of {known[1:]}, but is {names}."
        )
    return list(names)


def _came(found: Any) -> str:
    if isinstance(found, EscapeTime):
        return f"escape times with {np.ndim(found.time)} leading axes"
    return f"a {type(found).__name__}"
