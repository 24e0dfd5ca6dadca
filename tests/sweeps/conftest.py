import copy

import pytest

from plateaux.sweeps import SweepSpec, sweep

TINY = {
    "name": "tiny",
    "problem": {"name": "sine", "num_data": 8},
    "network": {"width": 3},
    "initialiser": {"name": ["he", "pytorch"]},
    "method": {"step_size": 0.05, "num_steps": 20},
    "recording": {"num_times": 6, "max_events": 40},
    "plateaus": {"max_plateaus": 10},
    "sweep": {"lanes": 5, "chunk": 2, "seed": 7},
}


def tiny(**changes):
    """The tiny specification with some leaves changed, or left out if None."""
    entries = copy.deepcopy(TINY)
    for key, value in changes.items():
        if isinstance(value, dict):
            merged = entries.get(key, {}) | value
            value = {k: v for k, v in merged.items() if v is not None}
        entries[key] = value
    return SweepSpec.from_dict(entries)


@pytest.fixture(scope="session")
def spec():
    return tiny()


@pytest.fixture(scope="session")
def results(spec):
    """The tiny sweep, uninterrupted, in memory."""
    return sweep(spec)
