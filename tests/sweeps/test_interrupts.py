"""An interruption that a library swallows is raised at the next look."""

import contextlib
import signal
import threading

import pytest

from plateaux.sweeps.interrupts import heeded


def test_a_swallowed_interruption_is_raised_later():
    with heeded() as heed:
        heed()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            heed()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_that_is_not_swallowed_comes_at_once():
    with pytest.raises(KeyboardInterrupt), heeded():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_and_other_threads_are_left_alone():
    mine = lambda number, frame: None
    before = signal.signal(signal.SIGINT, mine)
    try:
        with heeded() as heed:
            assert signal.getsignal(signal.SIGINT) is mine
            signal.raise_signal(signal.SIGINT)
            heed()
    finally:
        signal.signal(signal.SIGINT, before)
    found = []

    def work():
        with heeded() as heed:
            heed()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
