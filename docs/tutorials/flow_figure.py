"""Draws flow.png: kinks held on data, the events, the error along one exact flow.

python docs/tutorials/flow_figure.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import plateaux as px

OUT = Path(__file__).with_name("flow.png")
KEEP = {
    "network": lambda problem, network: network,
    "kinks": lambda problem, network: px.patterns.breakpoints(network),
}


def train(problem, rtol):
    """Ten neurons, to flow time 200."""
    network = px.networks.he(jax.random.key(4), width=10, in_dim=1, bias="normal")
    return px.flow(problem, network, t1=200.0, rtol=rtol, record=KEEP)


def draw(problem, run, comparison):
    """The figure, three panels with one axis of time."""
    import matplotlib.pyplot as plt

    fig, (above, middle, below) = plt.subplots(
        3, 1, figsize=(8, 8), sharex=True, layout="constrained"
    )
    saved = run.saved["kinks"]
    px.plot.kinks(run.times, saved, problem.x, events=run.events, ax=above)
    px.plot.event_raster(run, ax=middle)
    px.plot.distances(comparison, ax=below)
    for ax in (above, middle):
        ax.set_xlabel("")
    below.set_xlabel(run.time_unit)
    below.set_ylabel("distance from the run at\nhalf the tolerance")
    return fig


def main():
    """Run, run at half the tolerance, compare, draw, save."""
    jax.config.update("jax_enable_x64", True)
    x = jnp.linspace(-1, 1, 20)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    run, fine = (train(problem, rtol) for rtol in (1e-8, 5e-9))
    comparison = px.compare(fine, run, problem, curvature=False)
    draw(problem, run, comparison).savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
