"""A word from time to time while an experiment runs."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SELDOM = 30.0


@contextmanager
def ticking(seconds: float | None, every: float = SELDOM) -> Iterator[None]:
    """Say on stderr how long it has been, and about how long it takes.

    Lines rather than one that is written over: results are printed in between.

    Args:
        seconds: How long it takes on two cores; None if that is not known.
        every: Seconds between two words; more where it takes long.
    """
    ended = threading.Event()
    every = max(every, (seconds or 0) / 20)
    some = f" of some {seconds:.0f}" if seconds else ""

    def tick() -> None:
        began = time.perf_counter()
        while not ended.wait(every):
            passed = time.perf_counter() - began
            print(f"... {passed:.0f}{some} s", file=sys.stderr, flush=True)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
