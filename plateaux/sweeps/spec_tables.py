"""The tables of a specification: what their keys are, and what they may be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..networks import ACTIVATIONS, INITIALISERS, SCHEMES, chain, first_layer, mlp
from ..problems import PROBLEMS
from ..stages import plateaus
from ..stages.plateau import DEFINITIONS
from . import tables
from .tables import at_least, leaf, one_of, positive, truth

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
