"""Draws condensation.png: the stages of one run, and what its neurons do meanwhile.

python docs/guides/condensation_figure.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

OUT = Path(__file__).with_name("condensation.png")
WIDTH = 256
MAPS = (0.0, 10.0, 180.0)
PORTRAIT = (0.0, 4.0, 10.0, 150.0, 200.0, 600.0)
RECORD = {
    "similarity": px.diagnostics.cosine_similarity,
    "order": px.diagnostics.display_order,
    "amplitudes": px.diagnostics.amplitudes,
    "along": px.diagnostics.projection,
    "outer": lambda problem, network: network.c,
}


def train():
    """A tanh network from weights of size 1/256, to flow time 600."""
    problem = px.problems.sine_and_square()
    draw = np.random.default_rng(0).normal(size=3 * WIDTH) / WIDTH
    v = draw[WIDTH:].reshape(WIDTH, 2)
    network = px.TwoLayer(v[:, :1], v[:, 1], draw[:WIDTH], activation="tanh")
    times = np.union1d(np.geomspace(0.05, 600, 300), [*MAPS, *PORTRAIT])
    run = px.flow(problem, network, t1=600.0, save=px.at(times), record=RECORD)
    return problem, run


def main():
    """Run, draw, save."""
    import matplotlib.pyplot as plt

    jax.config.update("jax_enable_x64", True)
    problem, run = train()
    saved, unit = run.saved, run.time_unit
    fig, axes = plt.subplots(2, 3, figsize=(14, 8.4), layout="constrained")
    left, middle, right = axes[0]
    found = px.stages.multistage(run, problem)
    px.plot.loss_stages(run.times, run.losses, found, time_unit=unit, ax=left)
    inner = saved["amplitudes"].inner
    px.plot.amplitude_map(run.times, inner, time_unit=unit, ax=middle)
    rows = jnp.searchsorted(run.times, jnp.array(PORTRAIT))
    portrait = run.times[rows], saved["outer"][rows], saved["along"][rows]
    px.plot.phase_portrait(*portrait, time_unit=unit, ax=right)
    for time, ax in zip(MAPS, axes[1], strict=True):
        row = jnp.searchsorted(run.times, time)
        similarity, order = saved["similarity"][row], saved["order"][row]
        px.plot.condensation_map(similarity, order, ax=ax)
        ax.set_title(f"flow time {time:g}", fontsize="medium")
    fig.savefig(OUT, dpi=70)


if __name__ == "__main__":
    main()
