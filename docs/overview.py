"""Draws overview.png: one run, its loss with plateaus shaded, its kinks.

python docs/overview.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import plateaux as px

OUT = Path(__file__).with_name("overview.png")


def train(problem):
    """A small initialisation, so that the plateaus are long."""
    key = jax.random.split(jax.random.key(0), 6)[3]
    network = px.networks.he(key, width=12, in_dim=1, scale=0.03, bias="normal")
    return px.descend(
        problem,
        network,
        px.gradient_descent(0.02),
        num_steps=200_000,
        save=px.log_spaced(400),
        record={"kinks": lambda _, network: px.patterns.breakpoints(network)},
    )


def draw(problem, run):
    """The figure, two panels with one axis of time."""
    import matplotlib.pyplot as plt

    fig, (above, below) = plt.subplots(
        2, 1, figsize=(8, 5.2), sharex=True, layout="constrained"
    )
    px.plot.loss_curve(run.times, run.losses, plateaus=px.plateaus(run), ax=above)
    px.plot.kinks(run.times, run.saved["kinks"], problem.x, ax=below)
    above.set_xlabel("")
    below.set_xlabel("flow time")
    return fig


def main():
    """Train, draw, save."""
    jax.config.update("jax_enable_x64", True)
    x = jnp.linspace(-1, 1, 40)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    draw(problem, train(problem)).savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
