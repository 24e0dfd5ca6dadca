"""What a sweep is to do: problem, network, initialiser, method, lanes, recording."""

import dataclasses
import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from .. import _checks
from ..networks import ACTIVATIONS, INITIALISERS, SCHEMES, chain, first_layer, mlp
from ..problems import PROBLEMS
from ..stages import plateaus
from ..stages.plateau import DEFINITIONS
from . import tables, toml
from .methods import MethodTable
from .stopping import StopTable
from .tables import at_least, leaf, one_of, positive, truth

PRECISIONS = ("float32", "float64")
CURVES = ("each", "histogram")
KINDS = {
    "two_layer": None,
    "mlp": "plain",
    "residual": "residual",
    "normalised": "normalised",
    "chain": None,
}


@dataclass(frozen=True, kw_only=True)
class ProblemTable(tables.ChoiceTable):
    """Which problem; further keys are options of its function in `px.problems`.

    Attributes:
        name: A key of `px.problems.PROBLEMS`.
    """

    header: ClassVar[str] = "problem"
    lists: ClassVar[frozenset[str]] = frozenset(
        {"classes", "coefficients", "direction", "domain", "x"}
    )
    name: Any = leaf(one_of(lambda: PROBLEMS))

    def functions(self, name: str) -> list[Callable]:
        """The function that makes the problem."""
        return [PROBLEMS[name]]

    def reserved(self) -> set[str]:
        """The precision is the sweep's."""
        return {"dtype"}


@dataclass(frozen=True, kw_only=True)
class NetworkTable(tables.ChoiceTable):
    """Which network; further keys are options of `px.networks.mlp`, or of `chain`.

    One of them is `first_layer`; then the options of all first layers named there,
    such as `gamma`, are keys too.

    Attributes:
        kind: "two_layer", "mlp", "residual", "normalised" or "chain".
        width: Hidden neurons n of a two-layer network; with `depth` those of every
            layer of a deep one.
        widths: Units of the hidden layers of a deep network, instead of the two.
        depth: Number of hidden layers of a deep network, of weights of a chain.
        activation: A key of `px.networks.ACTIVATIONS`; "identity" for chains and "relu"
            for all others if left out.
        affine: Whether a two-layer network has the affine part p.
    """

    header: ClassVar[str] = "network"
    noun: ClassVar[str] = "network kind"
    lists: ClassVar[frozenset[str]] = frozenset({"scales"})
    chooser: ClassVar[str] = "kind"
    kind: Any = leaf(one_of(lambda: KINDS), "two_layer")
    width: Any = leaf(at_least(1), None)
    widths: Any = leaf(tables.counts, None)
    depth: Any = leaf(at_least(1), None)
    activation: Any = leaf(one_of(lambda: ACTIVATIONS), None)
    affine: Any = leaf(truth, False)

    def __post_init__(self):
        self._fill_in_activation()
        super().__post_init__()
        for key in ("width", "widths", "depth", "affine"):
            self.check_belongs(key)

    def owns(self, name: str, key: str) -> bool:
        """Sizes belong to the kinds that have them, the affine part to two layers."""
        two_layer, is_chain = name == "two_layer", name == "chain"
        own = self.options.get(name, {})
        by_depth = not two_layer and (self.depth is not None or "depth" in own)
        owners = {
            "width": two_layer or (by_depth and not is_chain),
            "depth": by_depth or is_chain,
            "widths": not (two_layer or by_depth or is_chain),
            "affine": two_layer,
        }
        return owners.get(key, True)

    def functions(self, name: str) -> list[Callable]:
        """`mlp` and the first layers, or `chain`; none for two-layer networks."""
        if name in ("two_layer", "chain"):
            return [chain] if name == "chain" else []
        own = self.options.get(name, {})
        named = own.get("first_layer", self.options.get("first_layer", ()))
        return [mlp, *map(first_layer, tables.as_tuple(named))]

    def reserved(self) -> set[str]:
        """What other leaves and tables give."""
        given = {"key", "in_dim", "out_dim", "initialiser", "scale", "dtype"}
        given |= {"fan_in", "fan_out", "first_layer_options"}
        return given | set(self.keys())

    def _fill_in_activation(self) -> None:
        """Chains are linear unless something else is said, other networks ReLU."""
        kinds = tables.as_tuple(self.kind)
        if self.activation is not None:
            return
        linear = kinds == ("chain",)
        object.__setattr__(self, "activation", "identity" if linear else "relu")
        if "chain" in kinds and not linear:
            own = {"activation": "identity"} | dict(self.options.get("chain", {}))
            object.__setattr__(self, "options", dict(self.options) | {"chain": own})


def hidden_widths(network: Mapping[str, Any]) -> tuple[int, ...]:
    """Units of the hidden layers, of a table [network] of single values."""
    if network["kind"] == "chain":
        return (1,) * (network["depth"] - 1)
    if network.get("widths") is not None:
        return tuple(network["widths"])
    return (network["width"],) * network.get("depth", 1)


def num_layers(network: Mapping[str, Any]) -> int:
    """Layers of weights, the output's and an embedding's included."""
    return len(hidden_widths(network)) + 1 + ("embedding" in network)


@dataclass(frozen=True, kw_only=True)
class InitialiserTable(tables.ChoiceTable):
    """Where training starts; further keys are options of the initialiser.

    Attributes:
        name: A key of `px.networks.INITIALISERS`.
        scale: Factor of all drawn parameters.
    """

    header: ClassVar[str] = "initialiser"
    lists: ClassVar[frozenset[str]] = frozenset({"scales"})
    name: Any = leaf(one_of(lambda: INITIALISERS))
    scale: Any = leaf(positive, 1.0)

    def functions(self, name: str) -> list[Callable]:
        """The initialiser of two-layer networks, and the scheme of deep ones."""
        return [INITIALISERS[name]] + ([SCHEMES[name]] if name in SCHEMES else [])

    def reserved(self) -> set[str]:
        """What the network and the problem give."""
        given = {"key", "width", "in_dim", "affine", "activation", "dtype"}
        return given | {"fan_in", "fan_out", "scale"}


@dataclass(frozen=True, kw_only=True)
class RecordingTable(tables.Table):
    """What is kept of every lane.

    Attributes:
        num_times: Saved times, evenly spaced in log time, start and end included.
        max_events: Rows of every lane's table of activation events, from which
            plateaus by pattern are read.
        keep_events: Whether these tables are stored.
        curves: "each": the loss of every lane at every saved time is stored;
            "histogram": for every chunk and saved time, how many lanes have a loss in
            each bin of `px.statistics.log_bins`, from which quantiles are read.
        accuracy: Relative accuracy of the quantiles of such histograms.
    """

    header: ClassVar[str] = "recording"
    num_times: Any = leaf(at_least(2), 200)
    max_events: Any = leaf(at_least(1), 512)
    keep_events: Any = leaf(truth, False, swept=False)
    curves: Any = leaf(one_of(lambda: CURVES), "each", swept=False)
    accuracy: Any = leaf(tables.share, 0.01, swept=False)


@dataclass(frozen=True, kw_only=True)
class PlateausTable(tables.ChoiceTable):
    """Which plateaus are looked for; further keys are options of `px.plateaus`.

    Attributes:
        by: The definitions, "slope" and "pattern": a plain list, all are stored.
        max_plateaus: Rows of every lane's table of plateaus.
    """

    header: ClassVar[str] = "plateaus"
    chooser: ClassVar[str] = "by"
    by: Any = leaf(one_of(lambda: DEFINITIONS), DEFINITIONS)
    max_plateaus: Any = leaf(at_least(1), 128, swept=False)

    def functions(self, name: str) -> list[Callable]:
        """The function that finds them."""
        return [plateaus]

    def reserved(self) -> set[str]:
        """The trajectory is the lane's."""
        return {"trajectory"}

    def variants(self) -> list[dict[str, Any]]:
        """The scalar tables; options of one definition are called "slope.option"."""
        leaves = {"max_plateaus": self.max_plateaus}
        for key, value in self.options.items():
            deep = value if isinstance(value, Mapping) else {"": value}
            leaves |= {f"{key}.{k}".rstrip("."): v for k, v in deep.items()}
        return [{"by": self.by} | point for point in tables.product(leaves)]

    def __post_init__(self):
        if isinstance(self.by, str):
            object.__setattr__(self, "by", (self.by,))
        super().__post_init__()


@dataclass(frozen=True, kw_only=True)
class LanesTable(tables.Table):
    """How many networks are drawn, and how many are trained together.

    Attributes:
        lanes: Networks a grid point, B.
        chunk: Networks trained by one call of the compiled program. Results depend
            on it by rounding (1e-15), so it belongs to the specification.
        seed: Lane i is drawn from `jax.random.fold_in(jax.random.key(seed), i)` in
            every grid point: points share their random numbers.
    """

    header: ClassVar[str] = "sweep"
    lanes: Any = leaf(at_least(1), swept=False)
    chunk: Any = leaf(at_least(1), 64, swept=False)
    seed: Any = leaf(at_least(0), 0)


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
