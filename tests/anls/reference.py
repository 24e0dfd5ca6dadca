"""Targets and starts of the reference experiments."""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

from ..closeness import stacked

TARGETS = {
    "sine_2": (100, 0, lambda x: np.sin(2 * np.pi * x)),
    "sine_5": (200, 0, lambda x: np.sin(5 * np.pi * x)),
    "square": (100, 0, lambda x: x**2),
    "step": (100, -1, lambda x: (x > 0).astype(float)),
}


def reference_problem(name):
    num, lo, target = TARGETS[name]
    x = np.linspace(lo, 1, num)
    return px.Problem(x[:, None], target(x), normalisation="sum")


def rmse(problem, value):
    return np.sqrt(2 * np.asarray(value) / problem.num_data)


def starts(problem, width, seeds, affine=True):
    """Unit weights, kinks through uniform points of the box, c ~ N(0, 1/n)."""
    x = np.asarray(problem.x)
    lo, hi = x.min(axis=0), x.max(axis=0)
    rows = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        w = rng.normal(size=(width, problem.in_dim))
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        points = rng.uniform(lo, hi, size=(width, problem.in_dim))
        c = rng.normal(size=width) / np.sqrt(width)
        p = np.zeros(problem.in_dim + 1) if affine else None
        rows.append(px.TwoLayer(w, -np.sum(w * points, axis=1), c, p))
    return stacked(rows)


def keys(num):
    return jax.vmap(jax.random.key)(jnp.arange(num))
