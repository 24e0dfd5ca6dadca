r"""
Condensation of input weights
=============================

Cosines between the input weights of all pairs of 256 neurons, put in the order of their
direction. At the start directions cover the half circle. On the secondary plateau most
neurons point along one line, one way (red blocks) or the other (blue): the network is
as good as one with a handful of neurons.

After Chen, Luo & Wang (2024), `arXiv:2410.20119 <https://arxiv.org/abs/2410.20119>`_.
See also: :doc:`/guides/condensation`.
"""

import jax
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
    t1=180.0,
    save=px.at([0.0, 10.0, 180.0]),
    record={
        "similarity": px.diagnostics.cosine_similarity,
        "order": px.diagnostics.display_order,
        "found": px.diagnostics.condensation,
    },
)

# %%
# How many directions there are, by a rule whose thresholds are arguments.

fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for i, ax in enumerate(axes):
    count = run.saved["found"].num_directions[i]
    print(
        f"flow time {run.times[i]:5.0f}: {count} directions, loss {run.losses[i]:.4f}"
    )
    px.plot.condensation_map(run.saved["similarity"][i], run.saved["order"][i], ax=ax)
    ax.set(title=f"flow time {run.times[i]:g}", xlabel="neuron", ylabel="neuron")
plt.show()
