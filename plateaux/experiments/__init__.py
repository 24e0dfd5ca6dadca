"""Experiments: what the scripts of experiments/ share, and the shelf they stand on."""

from .agreement import (
    as_json as as_json,
    disagreements as disagreements,
    plain as plain,
)
from .running import main as main
from .shelf import find as find, names as names
