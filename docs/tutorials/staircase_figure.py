"""Draws staircase.png: the ε-rank of one run, and the ranks that many runs reach.

python docs/tutorials/staircase_figure.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import optax

import plateaux as px

OUT = Path(__file__).with_name("staircase.png")
WIDTHS = (30, 30)
EPSILON = (1e-3, 1e-6)
NAMES = ("10⁻³", "10⁻⁶")
STARTS = 32
STEPS = 1000


def rule():
    """The inner product; made when it is used, after the precision is chosen."""
    return px.problems.gauss_legendre(100)


def wave(x):
    """A sum of three sines."""
    sine = lambda frequency: jnp.sin(frequency * jnp.pi * x[0])
    return sine(2) + 0.5 * sine(6) + 0.25 * sine(12)


def start(key, initialiser="xavier"):
    """A deep tanh network."""
    return px.networks.mlp(
        key, widths=WIDTHS, in_dim=1, activation="tanh", initialiser=initialiser
    )


def spectrum(problem, network):
    """The spectrum of the last hidden layer."""
    return px.diagnostics.spectrum(problem, network, quadrature=rule())


def bound(problem, network):
    """The error and its lower bounds."""
    return px.diagnostics.error_bound(
        problem, network, EPSILON, quadrature=rule(), target=wave
    )


def train(network, num_steps, **options):
    """Adam in full batch."""
    problem = px.problems.sampled(wave, rule())
    step = optax.adam(2e-3)
    return px.descend(problem, network, step, num_steps=num_steps, **options)


def reached_ranks(initialiser):
    """Ranks of the last hidden layer of many runs after a thousand steps."""

    def final_spectrum(key):
        run = train(start(key, initialiser), STEPS, save=px.at([STEPS]))
        return spectrum(None, run.network)

    keys = jax.random.split(jax.random.key(1), STARTS)
    return px.diagnostics.epsilon_rank(jax.vmap(final_spectrum)(keys), EPSILON[0])


def main():
    """Run, draw, save."""
    import matplotlib.pyplot as plt

    jax.config.update("jax_enable_x64", True)
    record = {"spectrum": spectrum, "bound": bound}
    network = start(jax.random.key(0))
    run = train(network, 10_000, save=px.log_spaced(200), record=record)
    times, saved, unit = run.times, run.saved, run.time_unit
    ranks = px.diagnostics.epsilon_rank(saved["spectrum"], EPSILON)
    treads = px.stages.staircase(run, ranks[:, 0])
    fig, axes = plt.subplots(2, 2, figsize=(13, 9), layout="constrained")
    labels = [f"rank at ε = {name}" for name in NAMES]
    steps = {"labels": labels, "treads": treads, "time_unit": unit}
    px.plot.rank_staircase(times, run.losses, ranks, **steps, ax=axes[0, 0])
    values = saved["spectrum"].eigenvalues
    levels = {"epsilon": EPSILON, "time_unit": unit}
    px.plot.spectrum_waterfall(times, values, **levels, ax=axes[0, 1])
    found = saved["bound"]
    px.plot.error_bounds(times, found.error, found.bound, **levels, ax=axes[1, 0])
    names = ["small", "xavier", "he", "pytorch"]
    rows = [reached_ranks(name) for name in names]
    px.plot.rank_ridges(rows, names, ax=axes[1, 1])
    axes[1, 1].set_xlabel(
        f"ε-rank after {STEPS} steps, ε = {NAMES[0]}, {STARTS} starts"
    )
    fig.savefig(OUT, dpi=70)


if __name__ == "__main__":
    main()
