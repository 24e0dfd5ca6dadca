"""Lanes: the points of a grid made ready, and how their networks are drawn."""

import contextlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from .. import _checks
from ..networks import INITIALISERS, SCHEMES, Network, chain, mlp, scheme
from ..problems import PROBLEMS, Problem, check_match
from ..stages.plateau import check_options
from .errors import SweepError
from .grid import Point, grid
from .plan import Plan, Start, make_plan
from .spec import SweepSpec
from .spec_tables import KINDS, hidden_widths
from .summary import finder_options, summarise
from .training import check_queue, measure, train

CHOICES = (("network", "kind"), ("problem", "name"))
# Of a lane's key: what its method draws must not be what its network was drawn from.
_METHOD = 0x414E4C53


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
        has_steps = self.plan.method == "anls" or "step_size" in dict(self.plan.options)
        return "steps" if has_steps else self.problem.time_unit


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
    if kind == "chain":
        common = {"activation": activation, "dtype": dtype, "scale": scale}
        return chain(key, initialiser=draw, **common, **network)
    network["widths"] = hidden_widths(settings["network"])
    network = {k: v for k, v in network.items() if k not in ("width", "depth")}
    # Keys that are not options of mlp are those of its first layer.
    mine = inspect.signature(mlp).parameters
    options = {key: network.pop(key) for key in [*network] if key not in mine}
    return mlp(
        key,
        out_dim=out_dim,
        kind=KINDS[kind],
        initialiser=draw,
        scale=scale,
        **common,
        **law,
        **network,
        first_layer_options=options,
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
        if ready.plan.queued:
            check_queue(ready.problem, one, ready.plan)
            for by in ready.plan.by:
                check_options(**finder_options(ready.plan, by))
        elif training and not ready.plan.trains:
            measure(ready.problem, starts, ready.plan)
        elif training and _has_options(ready.plan):
            runs = train(ready.problem, starts, ready.step_size, ready.plan)
            summarise(ready.problem, runs, jnp.asarray(chunk), ready.plan)

    lanes = jax.ShapeDtypeStruct((chunk,), jnp.int32)
    eqx.filter_eval_shape(draw_and_train, lanes)


def _has_options(plan: Plan) -> bool:
    """Whether there are values that were not looked at with their table."""
    return len(plan.options) > 1 or len(plan.plateaus) > 1


def lane_numbers(spec: SweepSpec, chunk: int) -> Sequence[int]:
    """Lanes of a chunk. Beyond the last lane the chunk goes on with lanes that are cut.

    Results depend on the shape of the batch by rounding, so all chunks have one shape.
    """
    return range(chunk * spec.chunk, (chunk + 1) * spec.chunk)
