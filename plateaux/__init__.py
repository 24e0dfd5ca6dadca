"""plateaux: how neural networks train, and why the loss stands still.

The names at the top level are a table of contents; `plot`, `report` and `sweeps`
load when they are first used, because they need optional packages.
"""

import importlib
from typing import Any

from . import (
    dynamics as dynamics,
    networks as networks,
    patterns as patterns,
    problems as problems,
    stages as stages,
    statistics as statistics,
)
from .dynamics import (
    EventKind as EventKind,
    Outcome as Outcome,
    Trajectory as Trajectory,
    at as at,
    descend as descend,
    every as every,
    gradient_descent as gradient_descent,
    log_spaced as log_spaced,
)
from .networks import MLP as MLP, TwoLayer as TwoLayer, outputs as outputs
from .problems import Problem as Problem, loss as loss
from .stages import plateaus as plateaus

__version__ = "0.1.0"

_LAZY_ROOMS = ("plot", "report", "sweeps")


def __getattr__(name: str) -> Any:
    if name == "sweep":
        return importlib.import_module(".sweeps", __name__).sweep
    if name in _LAZY_ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY_ROOMS, "sweep"])
