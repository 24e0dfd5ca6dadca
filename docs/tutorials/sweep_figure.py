"""Draws sweep.png: survival of later plateaus from weights of two scales.

python docs/tutorials/sweep_figure.py
"""

from pathlib import Path

import jax
import numpy as np

import plateaux as px

OUT = Path(__file__).with_name("sweep.png")
SPEC = """
name = "scales"
problem = {name = "sine", num_data = 20}
network = {width = 10}
initialiser = {name = "he", scale = [0.1, 1.0]}
method = {step_size = 0.05, num_steps = 4000}
recording = {num_times = 100}
sweep = {lanes = 64, chunk = 64}
"""


def survival(data):
    """A curve and the numbers at risk for each grid point."""
    curves, numbers = {}, {}
    ticks = np.array([0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
    for point, scale in enumerate(data["initialiser.scale"].values):
        start, dwell, censored = (
            data[f"slope_{name}"].values[point]
            for name in ("start", "dwell", "censored")
        )
        later = np.isfinite(start) & (start > 0)
        name = f"scale {scale}"
        curves[name] = px.statistics.kaplan_meier(dwell[later], censored[later])
        numbers[name] = (dwell[later][:, None] >= ticks).sum(0)
    return curves, (ticks, numbers)


def main():
    """Train, and draw."""
    import matplotlib.pyplot as plt

    jax.config.update("jax_enable_x64", True)
    data = px.sweep(px.sweeps.SweepSpec.from_toml(SPEC))
    curves, at_risk = survival(data)
    fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    unit = str(data["time_unit"].values[0])
    px.plot.survival_curves(curves, at_risk=at_risk, time_unit=unit, ax=ax)
    fig.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
