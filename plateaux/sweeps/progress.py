"""How a sweep is getting on: counts of lanes, rate, time left."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from .spec import SweepSpec
from .store import lanes_of
from .summary import at_end, counted


class Tally:
    """Counts of a sweep's lanes.

    Attributes:
        total: Lanes of all grid points.
        stored: Lanes stored by earlier runs.
        finished: Lanes of this run that reached the end.
        censored: Lanes of this run whose last plateau was still running at the end.
        failed: Lanes of this run that did not.
    """

    def __init__(self, spec: SweepSpec, done: np.ndarray):
        """A tally that knows what earlier runs have stored, marks (point, chunk)."""
        lanes = [lanes_of(spec, chunk) for chunk in range(done.shape[1])]
        sizes = np.array([part.stop - part.start for part in lanes])
        self.total = int(done.shape[0] * sizes.sum())
        self.stored = int((done * sizes[None, :]).sum())
        self.finished = self.censored = self.failed = 0
        self._names = counted(spec)
        self._begun = time.monotonic()

    def add(self, values: Mapping[str, np.ndarray]) -> None:
        """Count the lanes of one more chunk."""
        outcome, *censored = (values[name] for name in self._names)
        ended = at_end(outcome)
        self.finished += int(np.sum(ended))
        self.failed += int(np.sum(~ended))
        self.censored += sum(int(np.sum(np.any(rows, axis=1))) for rows in censored)

    @property
    def lanes(self) -> int:
        """Lanes stored so far, earlier runs included."""
        return self.stored + self.finished + self.failed

    @property
    def rate(self) -> float:
        """Lanes a second of this run."""
        return (self.finished + self.failed) / (time.monotonic() - self._begun)


@contextlib.contextmanager
def meter(tally: Tally, shown: bool) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr for the time of a run.

    Args:
        tally: The counts to show.
        shown: Whether to show anything.

    Yields:
        A function that brings the bar up to date.
    """
    if not shown:
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(total=tally.total, initial=tally.stored, unit="lane") as bar:

        def show() -> None:
            bar.set_postfix(
                finished=tally.finished, censored=tally.censored, failed=tally.failed
            )
            bar.update(tally.lanes - bar.n)

        yield show
