"""plateaux: how neural networks train, and why the loss stands still.

The names at the top level are a table of contents. Rooms load when they are first
used: `plot`, `report` and `sweeps` need optional packages, and the command line says
its help without waiting for JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import (
        diagnostics as diagnostics,
        dynamics as dynamics,
        networks as networks,
        patterns as patterns,
        plot as plot,
        problems as problems,
        report as report,
        sklearn as sklearn,
        stages as stages,
        statistics as statistics,
        sweeps as sweeps,
    )
    from .anls import anls as anls, anls_many as anls_many
    from .dynamics import (
        EventKind as EventKind,
        Outcome as Outcome,
        Trajectory as Trajectory,
        at as at,
        compare as compare,
        descend as descend,
        every as every,
        flow as flow,
        flow_many as flow_many,
        gradient_descent as gradient_descent,
        log_spaced as log_spaced,
    )
    from .networks import MLP as MLP, TwoLayer as TwoLayer, outputs as outputs
    from .problems import Problem as Problem, loss as loss
    from .stages import explain as explain, plateaus as plateaus
    from .sweeps import sweep as sweep

__version__ = "0.1.0"

_CONTENTS = {
    "anls": ("anls_many",),
    "diagnostics": (),
    "dynamics": (
        "EventKind",
        "Outcome",
        "Trajectory",
        "at",
        "compare",
        "descend",
        "every",
        "flow",
        "flow_many",
        "gradient_descent",
        "log_spaced",
    ),
    "networks": ("MLP", "TwoLayer", "outputs"),
    "patterns": (),
    "plot": (),
    "problems": ("Problem", "loss"),
    "report": (),
    "sklearn": (),
    "stages": ("explain", "plateaus"),
    "statistics": (),
    "sweeps": ("sweep",),
}
_HOMES = {name: room for room, names in _CONTENTS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _CONTENTS:
        return importlib.import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_CONTENTS, *_HOMES})
