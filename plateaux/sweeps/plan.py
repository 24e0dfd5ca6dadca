"""What is fixed when the program of a grid point is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from jaxtyping import Array

from .methods import MethodTable
from .optimizers import is_plain


class Start(NamedTuple):
    """Where lanes start.

    Attributes:
        network: Networks with a leading lane axis.
        key: Keys of what the method draws.
    """

    network: Any
    key: Array


@dataclass(frozen=True)
class Plan:
    """The static half of a training program: two points of one plan share it.

    Attributes:
        method: "descent", "flow", "anls" or "initialisation".
        optimizer: Of descent: its name.
        options: Of the method or the optimizer; the step size too, unless it is that
            of plain gradient descent.
        num_steps: Number of steps; 0 for the flow.
        chatter_window: See `px.descend`.
        num_times: Saved times.
        max_events: Rows of the table of events.
        by: Definitions of a plateau.
        plateaus: Arguments of `px.plateaus`, "definition.option" for one alone.
        keep_events: Whether the table of events is stored.
        accuracy: Of the histograms stored instead of curves; None for curves.
        keep_networks: Whether networks are saved along the way.
    """

    method: str
    optimizer: str
    options: tuple[tuple[str, Any], ...]
    num_steps: int
    chatter_window: int
    num_times: int
    max_events: int
    by: tuple[str, ...]
    plateaus: tuple[tuple[str, Any], ...]
    keep_events: bool = False
    accuracy: float | None = None
    keep_networks: bool = False

    @property
    def queued(self) -> bool:
        """Whether lanes queue for places in a batch, and end one by one."""
        return self.method in ("flow", "anls")

    @property
    def trains(self) -> bool:
        """Whether lanes are trained, and not only looked at as they are drawn."""
        return self.method != "initialisation"


def make_plan(settings: Mapping[str, Mapping[str, Any]]) -> Plan:
    """The static half of the program of a point's settings."""
    method, recording = settings["method"], settings["recording"]
    finder = dict(settings["plateaus"])
    names = set(MethodTable.keys()) - {"t1"}
    options = {k: v for k, v in method.items() if k not in names}
    optimizer = method.get("optimizer", "")
    if optimizer and not is_plain(optimizer, options):
        options = {"step_size": method["step_size"]} | options
    return Plan(
        method=method["name"],
        optimizer=optimizer,
        options=tuple(options.items()),
        num_steps=method.get("num_steps", 0),
        chatter_window=method.get("chatter_window", 0),
        num_times=recording["num_times"],
        max_events=recording["max_events"],
        by=finder.pop("by"),
        plateaus=tuple(finder.items()),
        keep_events=recording["keep_events"],
        accuracy=recording["accuracy"] if recording["curves"] == "histogram" else None,
    )
