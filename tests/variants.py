"""Variants of one claim, of which the most telling are fast."""

from collections.abc import Iterable

import pytest


def most_slow(cases: Iterable, fast) -> list:
    """Parameters of a test, a tuple being several; slow if they are not in `fast`."""
    values = lambda case: case if isinstance(case, tuple) else (case,)
    slow = lambda case: pytest.param(*values(case), marks=pytest.mark.slow)
    return [case if case in fast else slow(case) for case in cases]
