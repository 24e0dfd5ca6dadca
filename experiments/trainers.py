"""Every way of training that the experiments compare, under one call, with its time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

import plateaux as px


@dataclass(frozen=True)
class Budget:
    """Steps of every method.

    Attributes:
        anls: Of the methods of `px.anls`.
        descent: Of gradient descent and Adam.
        quasi_newton: Of L-BFGS.
        saves: Saved times of a run, about.
    """

    anls: int = 300
    descent: int = 20_000
    quasi_newton: int = 1000
    saves: int = 60


@dataclass
class Run:
    """How one method trained a batch.

    Attributes:
        steps: Saved steps.
        losses: Shape (lanes, saved steps).
        networks: The last ones.
        seconds: Of the whole batch, without compilation.
    """

    steps: np.ndarray
    losses: np.ndarray
    networks: Any
    seconds: float

    @property
    def seconds_a_lane(self) -> np.ndarray:
        """Time of one lane up to every saved step, all steps counted alike."""
        share = self.steps / max(self.steps[-1], 1)
        return share * self.seconds / len(self.losses)


ANLS = (
    "joint",
    "neuron",
    "exact",
    "gauss_newton",
    "variable_projection",
    "levenberg_marquardt",
)
DESCENT: dict[str, Callable[[], Any]] = {
    "gradient descent": lambda: px.gradient_descent(0.1),
    "adam": lambda: optax.adam(1e-2),
    "l-bfgs": lambda: optax.lbfgs(),
}

# how a line of the method is called and drawn; colours of Okabe & Ito (2008)
LOOKS: dict[str, dict[str, str]] = {
    "joint": {"label": "joint", "color": "#0072B2"},
    "neuron": {"label": "neuron-wise", "color": "#D55E00"},
    "exact": {"label": "exact", "color": "#009E73"},
    "gauss_newton": {"label": "Gauss–Newton", "color": "#CC79A7", "ls": "--"},
    "variable_projection": {
        "label": "variable projection",
        "color": "#E69F00",
        "ls": "--",
    },
    "levenberg_marquardt": {
        "label": "Levenberg–Marquardt",
        "color": "#56B4E9",
        "ls": "--",
    },
    "gradient descent": {"label": "gradient descent", "color": "#000000", "ls": ":"},
    "adam": {"label": "Adam", "color": "#D55E00", "ls": ":"},
    "l-bfgs": {"label": "L-BFGS", "color": "#0072B2", "ls": ":"},
}


def methods(in_dim: int) -> tuple[str, ...]:
    """Names of all methods; the exact solve of a neuron needs one input."""
    ours = [name for name in ANLS if name != "exact" or in_dim == 1]
    return (*ours, *DESCENT)


def train(
    name: str,
    problem: px.Problem,
    starts: Any,
    budget: Budget,
    chunk: int | None = None,
) -> Run:
    """A batch of runs of one method, compiled first and then timed.

    Lanes are trained `chunk` at a time, all together if None; it must divide them.
    """
    lanes = len(jax.tree.leaves(starts)[0])
    keys = jax.random.split(jax.random.key(0), lanes)
    run = jax.vmap(lambda network, key: _one(name, problem, network, key, budget))
    part = lambda i: jax.tree.map(lambda a: a[i : i + (chunk or lanes)], (starts, keys))
    # XLA's pool of threads can wait for ever for work that is done: see sharp bits
    options = {"xla_cpu_multi_thread_eigen": False}
    program = eqx.filter_jit(run, compiler_options=options).lower(*part(0)).compile()
    begun = time.perf_counter()
    parts = [
        jax.block_until_ready(program(*part(i)))
        for i in range(0, lanes, chunk or lanes)
    ]
    seconds = time.perf_counter() - begun
    runs = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    return Run(
        np.asarray(runs.steps[0]), np.asarray(runs.losses), runs.network, seconds
    )


def _one(name, problem, network, key, budget: Budget):
    if name in ANLS:
        save = px.log_spaced(min(budget.saves, budget.anls))
        return px.anls(
            problem, network, num_steps=budget.anls, method=name, key=key, save=save
        )
    steps = budget.quasi_newton if name == "l-bfgs" else budget.descent
    save = px.log_spaced(min(budget.saves, steps))
    return px.descend(
        problem, network, DESCENT[name](), num_steps=steps, save=save, watch=False
    )


def rmse(problem: px.Problem, losses: Any) -> np.ndarray:
    """Root mean square error of networks with these losses."""
    total = float(jnp.sum(problem.sample_weights))
    return np.sqrt(2 * np.asarray(losses) / total)
