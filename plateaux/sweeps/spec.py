"""What a sweep is to do: problem, network, initialiser, method, lanes, recording."""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import _checks
from . import tables, toml
from .methods import MethodTable
from .spec_tables import (
    InitialiserTable,
    LanesTable,
    NetworkTable,
    PlateausTable,
    ProblemTable,
    RecordingTable,
)
from .stopping import StopTable

PRECISIONS = ("float32", "float64")
TABLES: dict[str, type[tables.Table]] = {
    "problem": ProblemTable,
    "network": NetworkTable,
    "initialiser": InitialiserTable,
    "method": MethodTable,
    "recording": RecordingTable,
    "plateaus": PlateausTable,
    "sweep": LanesTable,
}
HEAD = ("name", "precision")
QUICK = Path(__file__).parent / "quick.toml"


@dataclass(frozen=True, kw_only=True)
class SweepSpec:
    """The specification of a sweep: frozen, checked, comparable.

    Every leaf of a table may be a list; the sweep then runs the grid, the Cartesian
    product of all lists with the last varying fastest (tables in the order below,
    leaves in the order of their class, options by name). `plateaus.by` is a plain
    list, and `plateaus.max_plateaus`, `sweep.lanes` and `sweep.chunk` are single
    numbers, since they are the shape of the store.

    Args:
        name: A word for reports.
        precision: "float64" or "float32".
        problem: A `ProblemTable`, or a mapping of its keys; likewise below.
        network: `NetworkTable`.
        initialiser: `InitialiserTable`.
        method: `MethodTable`.
        recording: `RecordingTable`.
        plateaus: `PlateausTable`.
        sweep: `LanesTable`.
        stop: `StopTable`: when a point has lanes enough; None trains all of them.

    Raises:
        ValueError: If a key or name is unknown (the nearest known one is said), a
            key is missing, a list is empty or a number is out of range.
        TypeError: If a value has the wrong type.

    Example:
        >>> spec = SweepSpec(
        ...     name="two scales",
        ...     problem={"name": "sine", "num_data": 20},
        ...     network={"width": 5},
        ...     initialiser={"name": "he", "scale": [0.5, 1.0]},
        ...     method={"step_size": 0.01, "num_steps": 100},
        ...     sweep={"lanes": 4},
        ... )
        >>> spec.initialiser.scale
        (0.5, 1.0)
        >>> SweepSpec.from_toml(spec.to_toml()) == spec
        True
    """

    name: Any
    precision: Any = "float64"
    problem: Any
    network: Any
    initialiser: Any
    method: Any
    recording: Any = field(default_factory=dict)
    plateaus: Any = field(default_factory=dict)
    sweep: Any
    stop: Any = None

    def __post_init__(self):
        tables.word("name", self.name)
        _checks.known("precision", tables.word("precision", self.precision), PRECISIONS)
        for header, cls in TABLES.items():
            self._read(header, cls)
        if self.stop is not None:
            self._read("stop", StopTable)
            self._check_stop()

    @property
    def trains(self) -> bool:
        """Whether lanes are trained, and not only looked at as they are drawn."""
        return self.method.trains

    def _read(self, header: str, cls: type[tables.Table]) -> None:
        """Turn a mapping into its table."""
        value = getattr(self, header)
        if isinstance(value, Mapping):
            value = cls.from_dict(value)
        if not isinstance(value, cls):
            raise TypeError(
                f"Argument `{header}` must be a table [{header}] of keys, but is "
                f"{value!r}."
            )
        object.__setattr__(self, header, value)

    def _check_stop(self) -> None:
        by, known = self.stop.by, self.plateaus.by
        if not self.trains:
            raise ValueError(
                "A sweep with a table [stop] must train, but `method.name` is "
                "'initialisation'; leave the table out."
            )
        if self.stop.statistic in ("plateau", "dwell") and by not in known:
            raise ValueError(
                f"Argument `stop.by` must be one of `plateaus.by`, {', '.join(known)}, "
                f"but is {by!r}."
            )
        if self.stop.budget is not None and self.stop.budget < self.chunk:
            raise ValueError(
                f"Argument `stop.budget` must be at least a chunk, {self.chunk} lanes, "
                f"but is {self.stop.budget}."
            )

    @property
    def chunk(self) -> int:
        """Lanes trained together: `sweep.chunk`, or all lanes if they are fewer."""
        return min(self.sweep.chunk, self.sweep.lanes)

    @property
    def num_chunks(self) -> int:
        """Chunks a grid point."""
        return -(-self.sweep.lanes // self.chunk)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, in hexadecimal digits."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> "SweepSpec":
        """The specification of these tables, as TOML and JSON give them."""
        names = [item.name for item in dataclasses.fields(cls)]
        for key in entries:
            _checks.known("table or key of a sweep", key, names)
        for item in dataclasses.fields(cls):
            optional = item.name in ("precision", "recording", "plateaus", "stop")
            if item.name not in entries and not optional:
                what = "key `name`" if item.name == "name" else f"table [{item.name}]"
                raise ValueError(
                    f"A sweep must have the {what}, but has only "
                    f"{', '.join(entries) or 'an empty specification'}."
                )
        return cls(**entries)

    @classmethod
    def from_toml(cls, text: str) -> "SweepSpec":
        """The specification that this TOML text holds."""
        try:
            return cls.from_dict(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"A sweep must be valid TOML, but: {error}.") from error

    def to_dict(self) -> dict[str, Any]:
        """The canonical form: every leaf, defaults included, as plain values."""
        head = {key: getattr(self, key) for key in HEAD}
        body = {header: getattr(self, header).to_dict() for header in TABLES}
        return head | body | ({"stop": self.stop.to_dict()} if self.stop else {})

    def to_toml(self) -> str:
        """The canonical form as TOML text."""
        return toml.dumps(self.to_dict())


def read_spec(path: Any) -> SweepSpec:
    """The specification in a TOML file.

    Args:
        path: The file; where there is none, "quick" means the example that comes
            with the package, the same as experiments/quick.toml.

    Returns:
        The specification.

    Raises:
        ValueError: If the file cannot be read or is no specification; the message
            begins with the path.
        TypeError: If a value has the wrong type.

    Example:
        >>> read_spec("quick").initialiser.name
        ('he', 'xavier', 'pytorch', 'balanced')
    """
    built_in = str(path) == "quick" and not Path(path).exists()
    try:
        text = (QUICK if built_in else Path(path)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ValueError(
            f"The specification must be a TOML file, but {path} cannot be read: "
            f"{reason}."
        ) from error
    try:
        return SweepSpec.from_toml(text)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from error
