"""Lanes: what one chunk of networks is drawn from, trained by, and boiled down to."""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .. import _checks
from ..anls import anls
from ..dynamics import Outcome, Trajectory, descend, flow_many, log_spaced
from ..dynamics.flow import check_flow
from ..networks import INITIALISERS, SCHEMES, Network, mlp, scheme
from ..patterns import dead_neurons, pattern
from ..problems import PROBLEMS, Problem, check_match
from ..stages import Plateaus, plateaus
from ..statistics import log_histogram
from .errors import SweepError
from .grid import Point, grid
from .methods import MethodTable
from .optimizers import is_plain, make_optimizer
from .spec import KINDS, SweepSpec

CHOICES = (("network", "kind"), ("problem", "name"))
OUTCOMES = (
    "completed",
    "diverged",
    "out_of_steps",
    "too_many_events",
    "too_many_slides",
    "stalled",
    "sliding",
    "converged",
)
TABLE_COLUMNS = ("start", "end", "dwell", "level", "drop", "censored")
TABLE_NUMBERS = ("count", "raw_count", "overflow")


EVENT_COLUMNS = ("time", "neuron", "datum", "kind")
# Of a lane's key: what its method draws must not be what its network was drawn from.
_METHOD = 0x414E4C53


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
        method: "descent", "flow" or "anls".
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


@dataclass(frozen=True)
class Ready:
    """A grid point whose data are loaded and whose settings have been tried.

    Attributes:
        point: The grid point.
        problem: Its problem.
        draw: Lane numbers to their `Start`.
        step_size: Step size h of plain gradient descent; otherwise unused.
        plan: The program's static half.
    """

    point: Point
    problem: Problem
    draw: Callable[[Int[Array, " B"]], Start]
    step_size: Array
    plan: Plan

    @property
    def time_unit(self) -> str:
        """What one unit of its times is: flow time for gradient descent and flow."""
        plain = self.plan.method == "descent" and "step_size" not in dict(
            self.plan.options
        )
        return (
            self.problem.time_unit if plain or self.plan.method == "flow" else "steps"
        )


def prepare(spec: SweepSpec, points: Sequence[Point] | None = None) -> list[Ready]:
    """Load the data and try out the settings of grid points.

    Args:
        spec: The specification.
        points: Points of its grid; all if None.

    Returns:
        One `Ready` a point, in their order.

    Raises:
        SweepError: If 64-bit mode is off and the precision is float64, data cannot
            be read, or a setting is out of range or does not fit the others.
    """
    check_precision(spec)
    problems: dict[str, Problem] = {}
    tried: set[Plan] = set()
    ready = []
    for point in grid(spec) if points is None else points:
        settings = point.settings["problem"]
        key = json.dumps(settings)
        with _at(point):
            if key not in problems:
                problems[key] = make_problem(settings, spec.precision)
            one = _ready(spec, point, problems[key])
            _try_out(one, spec.chunk, training=one.plan not in tried)
        tried.add(one.plan)
        ready.append(one)
    return ready


@contextlib.contextmanager
def _at(point: Point) -> Iterator[None]:
    """Say at which grid point a setting was refused."""
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        where = f"At grid point {point.label}: " if point.coordinates else ""
        raise SweepError(f"{where}{error}") from error


def check_precision(spec: SweepSpec) -> None:
    """Refuse a float64 specification while 64-bit mode is off."""
    if jnp.dtype(spec.precision).itemsize > jnp.result_type(float).itemsize:
        raise SweepError(
            f'A sweep of precision "{spec.precision}" must run in 64-bit mode, but it '
            'is off; call jax.config.update("jax_enable_x64", True) first, or set '
            'precision = "float32".'
        )


def make_problem(settings: Mapping[str, Any], precision: str) -> Problem:
    """The problem of a table [problem] of single values."""
    options = {key: value for key, value in settings.items() if key != "name"}
    return PROBLEMS[settings["name"]](**options, dtype=precision)


def make_network(
    key: Array,
    settings: Mapping[str, Mapping[str, Any]],
    in_dim: int,
    out_dim: int | None,
    dtype: str,
) -> Network:
    """One network of the tables [network] and [initialiser] of single values."""
    network, start = dict(settings["network"]), dict(settings["initialiser"])
    kind, activation = network.pop("kind"), network.pop("activation")
    name, scale = start.pop("name"), start.pop("scale")
    common = {"in_dim": in_dim, "activation": activation, "dtype": dtype}
    if kind == "two_layer":
        size = {"width": network["width"], "affine": network["affine"]}
        return INITIALISERS[name](key, **size, **common, scale=scale, **start)
    _checks.known(f"initialiser of the network kind {kind!r}", name, SCHEMES)
    # Options of a scheme travel with it: mlp hands on only what all schemes share.
    law = {"bias": start.pop("bias")} if "bias" in start else {}
    draw = lambda key, **given: scheme(name)(key, **given, **start)
    return mlp(
        key,
        out_dim=out_dim,
        kind=KINDS[kind],
        initialiser=draw,
        scale=scale,
        **common,
        **law,
        **network,
    )


def _ready(spec: SweepSpec, point: Point, problem: Problem) -> Ready:
    settings, dtype = point.settings, spec.precision
    step_size = jnp.asarray(settings["method"].get("step_size", 1.0), dtype)
    draw = _drawer(settings, problem.in_dim, problem.out_dim, dtype)
    return Ready(point, problem, draw, step_size, make_plan(settings))


_DRAWERS: dict[str, Callable] = {}


def _drawer(settings, in_dim: int, out_dim: int | None, dtype: str) -> Callable:
    """The function from lane numbers to networks, the same one for equal settings."""
    used = {header: dict(settings[header]) for header in ("network", "initialiser")}
    seed = settings["sweep"]["seed"]
    name = json.dumps([used, seed, in_dim, out_dim, dtype])
    if name not in _DRAWERS:
        key = jax.random.key(seed)

        def one(lane):
            mine = jax.random.fold_in(key, lane)
            network = make_network(mine, used, in_dim, out_dim, dtype)
            return Start(network, jax.random.fold_in(mine, _METHOD))

        # One lane after another: what it draws is free of its company, to the bit.
        _DRAWERS[name] = lambda lanes: jax.lax.map(one, lanes)
    return _DRAWERS[name]


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


def _try_out(ready: Ready, chunk: int, *, training: bool) -> None:
    """Find bad settings without computing: trace the draw, and perhaps the training."""
    kind, name = (ready.point.settings[t][k] for t, k in CHOICES)
    if kind == "two_layer" and ready.problem.out_dim is not None:
        raise SweepError(
            f"The network kind must be one of mlp, residual, normalised for problem "
            f"{name!r}, which has {ready.problem.out_dim} outputs, but is 'two_layer'."
        )

    def draw_and_train(lanes):
        starts = ready.draw(lanes)
        one = jax.tree.map(lambda leaf: leaf[0], starts.network)
        check_match(ready.problem, one)
        if ready.plan.method == "flow":
            check_flow(ready.problem, one, **_flow_arguments(ready.plan))
        elif training and _has_options(ready.plan):
            runs = train(ready.problem, starts, ready.step_size, ready.plan)
            summarise(ready.problem, runs, jnp.asarray(chunk), ready.plan)

    lanes = jax.ShapeDtypeStruct((chunk,), jnp.int32)
    eqx.filter_eval_shape(draw_and_train, lanes)


def _has_options(plan: Plan) -> bool:
    """Whether there are values that were not looked at with their table."""
    return plan.method == "anls" or len(plan.options) > 1 or len(plan.plateaus) > 1


def train(problem: Problem, starts: Start, step_size: Array, plan: Plan) -> Trajectory:
    """Train a chunk by descent or least squares: the function that takes the time.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        step_size: Step size of plain gradient descent.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    one_lane = _least_squares if plan.method == "anls" else _descent
    run = lambda start: one_lane(problem, start, step_size, plan)
    return eqx.filter_vmap(run)(starts)


def _descent(problem: Problem, start: Start, step_size: Array, plan: Plan):
    options = dict(plan.options)
    optimizer = make_optimizer(
        plan.optimizer, options.pop("step_size", step_size), options
    )
    return descend(
        problem,
        start.network,
        optimizer,
        num_steps=plan.num_steps,
        watch=True if "pattern" in plan.by else None,
        chatter_window=plan.chatter_window,
        max_events=plan.max_events,
        **_recording(plan),
    )


def _least_squares(problem: Problem, start: Start, step_size: Array, plan: Plan):
    return anls(
        problem,
        start.network,
        num_steps=plan.num_steps,
        key=start.key,
        **_recording(plan),
        **dict(plan.options),
    )


def train_by_flow(problem: Problem, starts: Start, plan: Plan) -> Trajectory:
    """Gradient flow of a chunk, whose lanes queue for places in a smaller batch.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    return flow_many(
        problem, starts.network, **_recording(plan), **_flow_arguments(plan)
    )


def brief(plan: Plan) -> Plan:
    """The plan of a flow that ends at once, by the same programs."""
    short = {"t1": 1e-9} | {k: v for k, v in plan.options if k != "t1"}
    return dataclasses.replace(plan, options=tuple(short.items()))


def _flow_arguments(plan: Plan) -> dict[str, Any]:
    return {"max_events": plan.max_events} | dict(plan.options)


def _recording(plan: Plan) -> dict[str, Any]:
    return {
        "save": log_spaced(plan.num_times),
        "record": {"network": _itself} if plan.keep_networks else None,
    }


def _itself(problem: Problem, network: Network) -> Network:
    return network


def summarise(
    problem: Problem, runs: Trajectory, left: Array, plan: Plan
) -> dict[str, Array]:
    """Boil trajectories with a leading lane axis down to what is stored.

    Args:
        problem: Data and loss.
        runs: The trajectories of a chunk.
        left: Lanes that count; those that follow fill the chunk up.
        plan: Everything static.

    Returns:
        Arrays by the names of the store, with a leading axis of lanes; `loss_counts`,
        of all of them, with one of length 1.
    """
    stored = eqx.filter_vmap(lambda run: summary(problem, run, plan))(runs)
    if plan.accuracy is None:
        return stored | {"loss": runs.losses}
    counts = jnp.arange(len(runs.losses)) < left
    histogram = lambda losses: log_histogram(losses, plan.accuracy, where=counts)
    by_time = jax.lax.map(histogram, runs.losses.T)
    return stored | {"loss_counts": by_time[None]}


def summary(problem: Problem, run: Trajectory, plan: Plan) -> dict[str, Array]:
    """What is stored of one lane, by the names of the store."""
    stats, unwatched = run.stats, jnp.full((), -1, jnp.int32)
    flips = unwatched if stats.pair_flips is None else stats.pair_flips
    changes = unwatched if stats.pattern_changes is None else stats.pattern_changes
    dead = dead_neurons(pattern(run.network, problem.x))
    columns = {
        "times": run.times,
        "final_loss": run.losses[-1],
        "outcome": outcome_code(run.outcome),
        "num_steps": stats.num_steps,
        "pair_flips": flips,
        "pattern_changes": changes,
        "dead_neurons": jnp.sum(dead, dtype=jnp.int32),
    }
    for by in plan.by:
        if by == "pattern" and run.events is None:
            continue  # of smooth activations and of least squares: not watched
        table = plateaus(run, **finder_options(plan, by))
        columns |= table_columns(by, table)
    if plan.keep_events and run.events is not None:
        columns |= {f"event_{k}": getattr(run.events, k) for k in EVENT_COLUMNS}
        columns |= {"event_count": run.events.count}
        columns |= {"event_overflow": run.events.overflow}
    return columns


def finder_options(plan: Plan, by: str) -> dict[str, Any]:
    """Arguments of `px.plateaus` for one definition: its own over the common ones."""
    common = {key: value for key, value in plan.plateaus if "." not in key}
    own = {key: value for key, value in plan.plateaus if key.startswith(f"{by}.")}
    own = {key.removeprefix(f"{by}."): value for key, value in own.items()}
    return {"by": by} | common | own


def table_columns(by: str, table: Plateaus) -> dict[str, Array]:
    """The columns of a table of plateaus, by the names of the store."""
    names = TABLE_COLUMNS + TABLE_NUMBERS
    return {f"{by}_{name}": getattr(table, name) for name in names}


def outcome_code(outcome: Any) -> Int[Array, ""]:
    """The place of an outcome in `OUTCOMES`."""
    codes = [
        jnp.where(outcome == getattr(Outcome, name), jnp.int32(code), 0)
        for code, name in enumerate(OUTCOMES)
    ]
    return sum(codes, jnp.zeros((), jnp.int32))


def at_end(codes: np.ndarray) -> np.ndarray:
    """Which lanes reached the end that was asked for, or converged before it."""
    return np.isin(codes, [OUTCOMES.index("completed"), OUTCOMES.index("converged")])


def lane_numbers(spec: SweepSpec, chunk: int) -> Sequence[int]:
    """Lanes of a chunk. Beyond the last lane the chunk goes on with lanes that are cut.

    Results depend on the shape of the batch by rounding, so all chunks have one shape.
    """
    return range(chunk * spec.chunk, (chunk + 1) * spec.chunk)
