"""Compiled training programs, one for all chunks and points of the same shapes."""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .lanes import Ready, lane_numbers, train
from .spec import SweepSpec


class Programs:
    """Compiles each training program once, whichever thread asks first.

    Attributes:
        compiled: Programs by what they were compiled for.
    """

    def __init__(self):
        self.compiled: dict[Any, Callable] = {}
        self._lock = threading.Lock()

    def get(self, *arguments: Any) -> Callable:
        """The program for arguments of these shapes and static parts."""
        key = _signature(arguments)
        with self._lock:
            if key not in self.compiled:
                program = eqx.filter_jit(train).lower(*arguments).compile()
                self.compiled[key] = program
            return self.compiled[key]

    def run(self, ready: Ready, networks: Any) -> Any:
        """Train these networks on a point's problem and wait for the result."""
        arguments = (ready.problem, networks, ready.step_size, ready.plan)
        return jax.block_until_ready(self.get(*arguments)(*arguments))


# Like the cache of jax.jit: a second sweep of the same shapes compiles nothing.
PROGRAMS = Programs()


_DRAWING = threading.Lock()


def draw_chunk(spec: SweepSpec, ready: Ready, chunk: int) -> Any:
    """The networks of a chunk, those of a padded tail included."""
    with _DRAWING:  # quick once it is compiled, and two threads would compile twice
        return ready.draw(jnp.asarray(lane_numbers(spec, chunk), jnp.int32))


def warm_up(spec: SweepSpec, ready: Ready) -> None:
    """Begin to compile what a point needs, in threads, and do not wait for it."""
    lanes = jax.ShapeDtypeStruct((spec.chunk,), jnp.int32)
    networks = eqx.filter_eval_shape(ready.draw, lanes)
    arguments = (ready.problem, networks, ready.step_size, ready.plan)
    for job in (lambda: PROGRAMS.get(*arguments), lambda: draw_chunk(spec, ready, 0)):
        threading.Thread(target=_quietly, args=(job,)).start()


def _quietly(job: Callable[[], Any]) -> None:
    """Do the job; if it fails, it fails again where its result is needed."""
    with contextlib.suppress(Exception):
        job()


def train_chunk(spec: SweepSpec, ready: Ready, chunk: int) -> dict[str, np.ndarray]:
    """Draw and train a chunk; its arrays by name, with the padded tail cut off."""
    results, _ = PROGRAMS.run(ready, draw_chunk(spec, ready, chunk))
    left = spec.sweep.lanes - chunk * spec.chunk
    return {name: np.asarray(array)[:left] for name, array in results.items()}


def _signature(arguments: Any) -> Any:
    shaped = lambda leaf: eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)
    arrays, static = eqx.partition(arguments, shaped)
    leaves, structure = jax.tree.flatten(arrays)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in leaves)
    return shapes, structure, tuple(jax.tree.leaves(static))
