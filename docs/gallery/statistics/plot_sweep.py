r"""
A sweep over two settings
=========================

A grid of initial scales and step sizes, 32 starts a point, as `px.sweep` trains it.
Above: the median of the last losses, a cell a grid point. Below: how the runs ended.
Beyond the edge of stability runs diverge, and their loss counts as infinite. The
activation is leaky: with a plain ReLU such steps kill every neuron instead, and the
loss stands still at that of the zero function.

See also: :doc:`/guides/sweeps`; the walkthrough :doc:`/notebooks/sweeps` goes on from
here.
"""

import itertools

import jax
import matplotlib.pyplot as plt
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

SCALES, STEP_SIZES = [0.3, 1.0, 3.0], [0.1, 0.5, 2.0]
spec = px.sweeps.SweepSpec(
    name="scale and step size",
    problem={"name": "sine", "num_data": 30},
    network={"width": 10, "activation": "leaky_relu"},
    initialiser={"name": "he", "scale": SCALES},
    method={"step_size": STEP_SIZES, "num_steps": 1000},
    recording={"num_times": 20, "max_events": 16},
    plateaus={"by": ["slope"], "max_plateaus": 8},
    sweep={"lanes": 32, "chunk": 32},
)
data = px.sweep(spec)

# %%
# The result is an `xarray.Dataset`; grid points are rows, the last setting varies
# fastest.

shape = len(SCALES), len(STEP_SIZES)
medians = np.median(data["final_loss"], axis=1).reshape(shape)
words = data["outcome"].attrs["flag_meanings"].split()
ends = {
    f"scale {scale:g}, h = {step_size:g}": {
        word: int(np.sum(row == number)) for number, word in enumerate(words)
    }
    for (scale, step_size), row in zip(
        itertools.product(SCALES, STEP_SIZES), data["outcome"].values, strict=True
    )
}
fig, (above, below) = plt.subplots(
    2, 1, figsize=(7.5, 6.5), height_ratios=(1.2, 1), layout="constrained"
)
px.plot.heat_map(
    medians,
    ("initial scale", SCALES),
    ("step size", STEP_SIZES),
    label="median last loss",
    log=True,
    ax=above,
)
px.plot.outcomes(ends, ax=below)
plt.show()
