r"""
Amplitudes and phase portrait
=============================

What the neurons do in the stages of training. Above: the distribution of the lengths of
input weights over time. All grow together in the first descent, hardly move on the
secondary plateau, and then one runs away from the rest. Below: every neuron in the
plane of its outer weight and its input weights along the leading direction z. Early all
run towards the diagonal, and out along it; the brightest dots, after the escape, have
left it again.

After Chen, Luo & Wang (2024), `arXiv:2410.20119 <https://arxiv.org/abs/2410.20119>`_.
See also: :doc:`/guides/condensation`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.problems.sine_and_square()
draw = np.random.default_rng(0).normal(size=3 * 256) / 256
v = draw[256:].reshape(256, 2)
network = px.TwoLayer(v[:, :1], v[:, 1], draw[:256], activation="tanh")
run = px.flow(
    problem,
    network,
    t1=400.0,
    save=px.at(np.geomspace(0.05, 400, 200)),
    record={
        "amplitudes": px.diagnostics.amplitudes,
        "along": px.diagnostics.projection,
        "outer": lambda problem, network: network.c,
    },
)

# %%
# Both figures take what was recorded; the portrait reads best at a handful of times.

fig, (above, below) = plt.subplots(2, 1, figsize=(6.5, 8.5), layout="constrained")
inner = run.saved["amplitudes"].inner
px.plot.amplitude_map(run.times, inner, time_unit=run.time_unit, ax=above)
rows = jnp.searchsorted(run.times, jnp.array([0.0, 4.0, 10.0, 150.0, 250.0]))
px.plot.phase_portrait(
    run.times[rows],
    run.saved["outer"][rows],
    run.saved["along"][rows],
    time_unit=run.time_unit,
    ax=below,
)
plt.show()
