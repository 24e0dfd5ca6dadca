r"""
Two inputs: kink lines in the plane
===================================

With two inputs a neuron switches along a line, :math:`w_i \cdot x + b_i = 0`. The
target is 1 in a disk and 0 outside. At the start the lines lie as they were drawn; in
the end many are tangents of the disk, so that the network is flat inside and outside
and falls across its edge. Colours are the network's output.

See also: :doc:`/quickstart`; the problem is :func:`plateaux.problems.disk`.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.problems.disk(num_side=20)
network = px.networks.he(jax.random.key(0), width=24, in_dim=2, bias="normal")
run = px.descend(
    problem, network, optax.adam(0.01), num_steps=3000, save=px.log_spaced(50)
)
print(f"loss {run.losses[0]:.3f} at the start, {run.losses[-1]:.4f} at the end")

# %%
# The line of a neuron is the zero contour of its pre-activation on a grid.

side = np.linspace(-1, 1, 121)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
fig, axes = plt.subplots(1, 2, figsize=(9.6, 3.9), layout="constrained")
for ax, shown, words in zip(
    axes, (network, run.network), ("at the start", "after 3000 steps"), strict=True
):
    (z,) = px.networks.preactivations(shown, grid)
    px.plot.output_map(
        side,
        side,
        px.outputs(shown, grid).reshape(121, 121),
        preactivations=z.reshape(-1, 121, 121),
        limits=(-0.25, 1.25),
        ax=ax,
    )
    ax.set_title(words)
plt.show()
