"""The numbers on board are of the configurations the scripts have."""

import dataclasses
import json

import pytest

from plateaux.experiments import as_json, names
from plateaux.experiments.shelf import expected

from ..experiment_files import load

# One page of plain JAX, with no configuration of its own.
CONFIGURED = [name for name in names() if name != "tiny"]


@pytest.mark.parametrize("name", CONFIGURED)
def test_expected_configurations_are_those_of_the_script(name):
    """Otherwise a run at that size would be compared with nothing."""
    script, found = load(name), expected(name)
    for size, config in {"full": script.Config(), "smoke": script.SMOKE}.items():
        ours = json.loads(as_json(dataclasses.asdict(config)))
        assert found[size]["config"] == ours, size
