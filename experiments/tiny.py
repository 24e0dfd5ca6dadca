"""The whole idea of plateaux on one page of plain JAX.

A two-layer ReLU network f(x) = sum_i c_i max(w_i x + b_i, 0) learns sin(2 pi x) by
gradient descent on L = 1/(2K) sum_k (f(x_k) - y_k)^2, from many random starts at once.
The loss falls, seems to stand still, falls again. Two definitions of standing still:

* by pattern: the data that switch each neuron on (w_i x_k + b_i > 0) stay the same;
* by slope: |d log L / d log t| < 0.1 while time at least doubles.

Look at the table: by slope there are a few long plateaus, by pattern thousands of short
ones, because descent chatters across the boundaries along which the exact flow slides.
The library tells the two apart. Run: python experiments/tiny.py [--smoke]
"""

import functools as ft
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np


def preactivations(params, x):
    """z_ik = w_i x_k + b_i, shape (n, K)."""
    w, b, _ = params
    return w[:, None] * x[None, :] + b[:, None]


def loss(params, x, y):
    """1/(2K) sum of squared residuals."""
    _, _, c = params
    residual = c @ jax.nn.relu(preactivations(params, x)) - y
    return 0.5 * jnp.mean(residual**2)


def he(key, width):
    """He's initialisation: w and c normal with variance 2/fan-in, biases zero."""
    key_w, key_c = jax.random.split(key)
    w = jax.random.normal(key_w, (width,)) * jnp.sqrt(2.0)
    c = jax.random.normal(key_c, (width,)) * jnp.sqrt(2.0 / width)
    return w, jnp.zeros(width), c


@ft.partial(jax.jit, static_argnames="num_steps")
def train(params, x, y, step_size, num_steps):
    """Loss before every step and at the end, and whether the step changed the pattern.

    The last parameters come first.
    """

    def step(params, _):
        value, gradient = jax.value_and_grad(loss)(params, x, y)
        moved = jax.tree.map(lambda p, g: p - step_size * g, params, gradient)
        before, after = preactivations(params, x) > 0, preactivations(moved, x) > 0
        return moved, (value, jnp.any(before != after))

    params, (losses, changed) = jax.lax.scan(step, params, None, num_steps)
    return params, jnp.append(losses, loss(params, x, y)), changed


def plateaus_by_pattern(changed, step_size):
    """(start, end) in flow time of every interval of constant pattern, in one run."""
    exits = np.flatnonzero(changed) + 1
    edges = np.concatenate([[0], exits, [len(changed)]])
    return step_size * np.stack([edges[:-1], edges[1:]], axis=1)


def plateaus_by_slope(times, losses, threshold=0.1, min_ratio=2.0):
    """(start, end) of every interval with a flat loss on logarithmic axes, in one run.

    The stretch from time 0 to the first saved time goes with the stretch after it.
    """
    slopes = np.diff(np.log(losses[1:])) / np.diff(np.log(times[1:]))
    flat = np.concatenate([[False], np.abs(slopes) < threshold, [False]])
    first, last = np.flatnonzero(np.diff(flat)).reshape(-1, 2).T + 1
    spans = np.stack([times[np.where(first == 1, 0, first)], times[last]], axis=1)
    return spans[spans[:, 1] >= min_ratio * spans[:, 0]]


def log_spaced(num_steps, num=200):
    """Step 0, and at most `num` distinct steps that are evenly spaced in log time."""
    return np.unique(np.append(0, np.rint(np.geomspace(1, num_steps, num)).astype(int)))


@dataclass(frozen=True)
class Config:
    """How many networks, how wide, on how many data, and how long."""

    lanes: int = 8
    width: int = 20
    num_data: int = 50
    step_size: float = 1e-2
    num_steps: int = 20_000


def run(config, out=None):
    """Train the networks, print what their plateaus are, and return their numbers."""
    x = jnp.linspace(-1, 1, config.num_data)
    y = jnp.sin(2 * jnp.pi * x)
    keys = jax.random.split(jax.random.key(0), config.lanes)
    params = jax.vmap(lambda key: he(key, config.width))(keys)
    learn = jax.vmap(lambda p: train(p, x, y, config.step_size, config.num_steps))
    _, losses, changed = jax.tree.map(np.asarray, learn(params))
    saved, flat = log_spaced(config.num_steps), []
    print("lane  last loss  pattern changes  longest pattern  flat from - to (time)")
    for lane, (loss_at, change) in enumerate(zip(losses, changed, strict=True)):
        longest = np.ptp(plateaus_by_pattern(change, config.step_size), axis=1).max()
        flat.append(plateaus_by_slope(config.step_size * saved, loss_at[saved]))
        spans = ", ".join(f"{start:.3g} - {end:.3g}" for start, end in flat[-1])
        columns = f"{lane:4d} {loss_at[-1]:10.4f} {change.sum():16d} {longest:16.2f}"
        print(f"{columns}  {spans}")
    numbers = {"flat": [len(spans) for spans in flat], "last_loss": losses[:, -1]}
    return numbers | {"pattern_changes": changed.sum(axis=1)}


if __name__ == "__main__":
    from plateaux.experiments import main

    main(__file__, run, smoke=Config(lanes=2, num_steps=4000))
