r"""
A staircase of floors
=====================

One ReLU neuron and an affine part fit a parabola. While the activation pattern stays,
no training gets below the *floor* of its cell, the red bar: a least-squares problem.
The loss comes near it and stands still, until the kink passes a datum and the floor is
lower. By the triangle the pattern must have changed; this time is proven, and can be
loose. The dashed line is a bound that no network of this width goes below.

After Ainsworth & Shin (2021), *Plateau phenomenon in gradient descent training of ReLU
networks*, `arXiv:2007.07213 <https://arxiv.org/abs/2007.07213>`_. See also:
:doc:`/tutorials/cells`.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.arange(1.0, 21.0)[:, None] / 20
problem = px.Problem(x, x[:, 0] ** 2, normalisation="sum")
network = px.TwoLayer(w=[[1.0]], b=[-4.5 / 20], c=[1.2], p=[0.0, 0.0])
keep = {"network": lambda problem, network: network}
run = px.flow(problem, network, t1=300.0, record=keep)

# %%
# `px.explain` names for every plateau its floor and the time by which it has to end.

table = px.explain(problem, run)
for i in range(int(table.plateaus.count)):
    print(f"to {table.plateaus.end[i]:6.2f}: floor {table.floor[i]:.5f}")
bound = px.patterns.certify(problem, run.network).lower
ax = px.plot.floors(run.times, run.losses, table, bound=bound)
