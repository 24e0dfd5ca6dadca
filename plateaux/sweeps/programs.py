"""Compiled programs, one for all chunks and points of the same shapes."""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics.lane_queue import ONE_THREAD
from .lanes import Ready, lane_numbers
from .plan import Start
from .spec import SweepSpec
from .summary import summarise
from .training import brief, measure, train, train_in_queue

# What runs for a moment only is not worth the compiler's efforts.
QUICK: Any = ONE_THREAD | {"xla_backend_optimization_level": 0}


@dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
        compiled: What JAX compiled, a function of the arrays among the arguments.
    """

    compiled: Any

    def __call__(self, *arguments: Any) -> Any:
        """The result on these arguments."""
        return self.compiled(eqx.filter(arguments, eqx.is_array))

    def memory(self) -> Any:
        """Bytes it takes, as XLA counts them."""
        return self.compiled.memory_analysis()


class Programs:
    """Compiles each program once, whichever thread asks first.

    Attributes:
        compiled: Programs, done or in work, by function, device, shapes and static
            parts.
    """

    def __init__(self):
        self.compiled: dict[Any, Future] = {}
        self._lock = threading.Lock()

    def get(self, function: Callable, *arguments: Any, quick: bool = False) -> Any:
        """The program of a function for arguments of these shapes; may be abstract.

        Args:
            function: What to compile.
            *arguments: Its arguments, or `jax.ShapeDtypeStruct` for arrays.
            quick: Whether to compile in little time rather than for speed.

        Returns:
            The program, a function of the same arguments.
        """
        key = (function, _device(), *signature(arguments))
        with self._lock:
            mine = key not in self.compiled
            future = self.compiled.setdefault(key, Future())
        if mine:
            try:
                future.set_result(_compiled(function, arguments, quick))
            except BaseException as error:
                with self._lock:
                    del self.compiled[key]
                future.set_exception(error)
        return future.result()

    def run(self, function: Callable, *arguments: Any, quick: bool = False) -> Any:
        """The function's result on these arguments, computed by its program."""
        program = self.get(function, *arguments, quick=quick)
        return jax.block_until_ready(program(*arguments))


# Like the cache of jax.jit: a second sweep of the same shapes compiles nothing.
PROGRAMS = Programs()


def draw_chunk(spec: SweepSpec, ready: Ready, chunk: int) -> Start:
    """Where the lanes of a chunk start, those of a padded tail included."""
    lanes = jnp.asarray(lane_numbers(spec, chunk), jnp.int32)
    return PROGRAMS.run(ready.draw, lanes, quick=True)


def train_lanes(ready: Ready, starts: Start) -> Any:
    """Train these lanes on a point's problem; trajectories with a lane axis."""
    if ready.plan.queued:
        run = PROGRAMS.get(train_in_queue, ready.problem, starts, brief(ready.plan))
        return run(ready.problem, starts, ready.plan)
    return PROGRAMS.run(train, ready.problem, starts, ready.step_size, ready.plan)


def measure_lanes(ready: Ready, starts: Start) -> dict[str, Any]:
    """What is stored of lanes that are not trained."""
    return PROGRAMS.run(measure, ready.problem, starts, ready.plan)


def train_chunk(spec: SweepSpec, ready: Ready, chunk: int) -> dict[str, np.ndarray]:
    """Draw, train, boil down: a chunk's arrays by name, without the padded tail."""
    starts = draw_chunk(spec, ready, chunk)
    left = min(spec.sweep.lanes - chunk * spec.chunk, spec.chunk)
    if ready.plan.trains:
        arguments = (ready.problem, train_lanes(ready, starts), jnp.asarray(left))
        results = PROGRAMS.run(summarise, *arguments, ready.plan)
    else:
        results = measure_lanes(ready, starts)
    cut = lambda name: slice(None if name == "loss_counts" else left)
    return {name: np.asarray(array)[cut(name)] for name, array in results.items()}


def warm_up(spec: SweepSpec, ready: Ready) -> None:
    """Begin to compile what a point needs, in threads, and do not wait for it."""
    lanes = jax.ShapeDtypeStruct((spec.chunk,), jnp.int32)
    starts = eqx.filter_eval_shape(ready.draw, lanes)
    arguments = (ready.problem, starts, ready.step_size, ready.plan)

    def boil_down() -> None:
        runs = eqx.filter_eval_shape(train, *arguments)
        left = jax.ShapeDtypeStruct((), jnp.asarray(0).dtype)
        PROGRAMS.get(summarise, ready.problem, runs, left, ready.plan)

    _in_thread(lambda: PROGRAMS.get(ready.draw, lanes, quick=True))
    if not ready.plan.trains:
        _in_thread(lambda: PROGRAMS.get(measure, ready.problem, starts, ready.plan))
    elif not ready.plan.queued:  # which compiles as it goes
        _in_thread(lambda: PROGRAMS.get(train, *arguments))
        _in_thread(boil_down)


def _in_thread(job: Callable[[], Any]) -> None:
    """Do the job beside this thread; if it fails, it fails again where it is needed."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            job()

    threading.Thread(target=quietly).start()


def _compiled(function: Callable, arguments: Any, quick: bool) -> Any:
    if function is train_in_queue:  # compiles as it goes: a brief run does it
        function(*arguments)
        return function
    arrays, static = eqx.partition(arguments, _shaped)
    jitted = jax.jit(lambda arrays: function(*eqx.combine(arrays, static)))
    return Program(jitted.lower(arrays).compile(QUICK if quick else ONE_THREAD))


def _device() -> Any:
    """The device that this thread computes on."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return chosen or jax.local_devices()[0]


def signature(arguments: Any) -> tuple[Any, ...]:
    """What two calls must share to run the same program: shapes and static parts."""
    arrays, static = eqx.partition(arguments, _shaped)
    leaves, structure = jax.tree.flatten(arrays)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    return shapes, structure, tuple(jax.tree.leaves(static))


def _shaped(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
