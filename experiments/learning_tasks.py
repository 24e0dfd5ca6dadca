"""Ten tasks for the experiments on ranks: fitting, digits, equations, energies."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rank_staircase import target as three_waves

import plateaux as px

line = px.problems.gauss_legendre  # rules on (−1, 1)


class Task(NamedTuple):
    """What is learned, for how many steps, and where features are measured.

    `rule` None means over the data; `error` is relative, of a network; `epsilons` are
    thresholds of eigenvalues by volume.
    """

    problem: Any
    rule: px.problems.Quadrature | None
    error: Callable[..., Any]
    num_steps: int
    epsilons: tuple[float, float] = (1e-3, 1e-6)


def fitting(target, rule, fine, num_steps: int) -> Task:
    """½ mean square; the error is ‖u − f‖/‖f‖ on a finer rule."""
    values = jax.vmap(target)(fine.points)
    size = jnp.sqrt(fine.weights @ values**2)

    def error(network):
        gap = jax.vmap(network)(fine.points) - values
        return jnp.sqrt(fine.weights @ gap**2) / size

    return Task(px.problems.sampled(target, rule), rule, error, num_steps)


def equation(problem, fine, num_steps: int) -> Task:
    """A functional: features and the solution's error on one rule of the domain."""
    error = lambda network: px.problems.solution_error(problem, network, fine).relative
    return Task(problem, fine, error, num_steps)


def digits() -> Task:
    """Cross-entropy of 400 pictures; the error is the share of the others missed.

    Random features of 64 inputs are all independent to 1e-3: thresholds are higher.
    """
    every = px.problems.digits(num_data=1797)
    seen, other = slice(400), slice(400, None)
    problem = px.Problem(every.x[seen], every.y[seen], loss="cross_entropy")
    said = jnp.argmax(every.y[other], axis=1)

    def error(network):
        guess = jnp.argmax(jax.vmap(network)(every.x[other]), axis=1)
        return jnp.mean((guess != said).astype(every.x.dtype))

    return Task(problem, None, error, 1500, (1e-1, 1e-2))


def two_products(x):
    """Products of sines of two frequencies."""
    product = lambda k: jnp.prod(jnp.sin(jnp.pi * k * x))
    return product(1) + 0.5 * product(2)


def ridge_and_bump(x):
    """A sine of the mean, and a Gaussian."""
    return jnp.sin(2 * jnp.pi * jnp.mean(x)) + 0.5 * jnp.exp(-x @ x)


def square(num: int, first=(-1.0, 1.0)) -> px.problems.Quadrature:
    """A tensor rule of num² points; the first input may have its own domain."""
    return px.problems.tensor(line(num, domain=first), line(num))


def box(num: int, seed: int) -> px.problems.Quadrature:
    """Random points of a cube with five inputs."""
    return px.problems.monte_carlo(num, domain=[(-1.0, 1.0)] * 5, seed=seed)


# Energies with boundary values that make the solution the minimiser, of loss 0.
TASKS: dict[str, Callable[[], Task]] = {
    "fit_1d": lambda: fitting(three_waves, line(250), line(400), 4000),
    "fit_2d": lambda: fitting(two_products, square(18), square(31), 3000),
    "fit_5d": lambda: fitting(ridge_and_bump, box(400, 0), box(2000, 1), 3000),
    "digits": digits,
    "poisson_1d": lambda: equation(
        px.problems.poisson_1d(num_points=80), line(300), 4000
    ),
    "poisson_2d": lambda: equation(
        px.problems.poisson_2d(num_side=12), square(20), 2000
    ),
    "burgers": lambda: equation(
        px.problems.burgers(num_times=8, num_points=24),
        square(20, first=(0.0, 1.0)),
        2000,
    ),
    "allen_cahn": lambda: equation(
        px.problems.allen_cahn(num_points=80), line(300), 4000
    ),
    "ritz_1d": lambda: equation(
        px.problems.ritz_1d(num_points=200, consistent=True), line(300), 4000
    ),
    "ritz_2d": lambda: equation(
        px.problems.ritz_2d(num_side=16, consistent=True), square(20), 2000
    ),
}
