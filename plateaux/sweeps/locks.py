"""One writer a folder."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .errors import SweepError
from .store import one_sentence


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go of however the process ends.

    Args:
        directory: The folder.

    Yields:
        Nothing.

    Raises:
        SweepError: If another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # no such locks on this system
        yield
        return
    with one_sentence(directory):
        file = open(directory / ".lock", "w")  # noqa: SIM115 - closed below
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SweepError(
                f"Only one process at a time must write to {directory}, but another "
                "one is running this sweep; wait for it or stop it first."
            ) from error
        yield
