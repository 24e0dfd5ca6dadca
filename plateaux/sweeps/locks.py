"""One writer a folder, or one a part of its chunks."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .errors import SweepError
from .parts import Part
from .store import one_sentence

FILE = ".lock"


@contextlib.contextmanager
def locked(directory: Path, part: Part | None = None) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of however the process ends.

    Parts share the folder's lock, and each has one of its own.

    Args:
        directory: The folder.
        part: The part that is to be trained, or None for all of it.

    Yields:
        Nothing.

    Raises:
        SweepError: If another process holds it.
    """
    busy = (
        f"Only one process at a time must write to {directory}, but another one is "
        "running this sweep; wait for it or stop it first."
    )
    if part is None:
        with _held(directory / FILE, busy):
            yield
        return
    twice = (
        f"Only one process at a time must train part {part} of {directory}, but "
        "another one is at it; wait for it or stop it first."
    )
    own = directory / f"{FILE}-{part.index}-of-{part.count}"
    with _held(directory / FILE, busy, shared=True), _held(own, twice):
        yield


@contextlib.contextmanager
def setting_up(directory: Path) -> Iterator[None]:
    """Wait for, then hold, the right to change the manifest and the layout."""
    with _held(directory / f"{FILE}-setup", None):
        yield


@contextlib.contextmanager
def _held(path: Path, busy: str | None, *, shared: bool = False) -> Iterator[None]:
    """Hold a file's lock; if it is taken refuse with these words, or wait for it."""
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with one_sentence(path.parent):
        file = open(path, "w")  # noqa: SIM115 - closed below
    with file:
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind if busy is None else kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SweepError(busy) from error
        except OSError:  # a file system without locks: writers of one chunk agree
            pass
        yield
