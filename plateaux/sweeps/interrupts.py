"""An interruption that is not lost."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def heeded() -> Iterator[Callable[[], None]]:
    """A function that raises an interruption which came before and was swallowed.

    Python raises KeyboardInterrupt wherever the main thread is at the moment. In a
    finaliser or a callback of a library it is reported, or not, and forgotten.

    Yields:
        What to call between two pieces of work.

    Example:
        >>> with heeded() as heed:
        ...     heed()
    """
    handler = signal.getsignal(signal.SIGINT)
    alone = threading.current_thread() is threading.main_thread()
    if not alone or handler is not signal.default_int_handler:
        yield lambda: None
        return
    seen = threading.Event()

    def remember(number, frame):
        seen.set()
        signal.default_int_handler(number, frame)

    def heed():
        if seen.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, remember)
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, handler)
