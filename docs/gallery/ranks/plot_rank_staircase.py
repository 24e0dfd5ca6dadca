r"""
The staircase of ε-ranks
========================

How many of a network's neurons are different? The ε-rank counts the eigenvalues above ε
of the Gram matrix of the last hidden layer. While the loss (black) stands still the
rank stands, too; most steps of the rank go with a drop of the loss (full disks).

After Yang, Zhao & Zhu (2024), `arXiv:2412.05144 <https://arxiv.org/abs/2412.05144>`_.
See also: :doc:`/tutorials/staircase`.
"""

import jax
import jax.numpy as jnp
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)

rule = px.problems.gauss_legendre(100)  # ∫ over [−1, 1]
wave = lambda x: jnp.sin(2 * jnp.pi * x[0]) + jnp.sin(6 * jnp.pi * x[0]) / 2
problem = px.problems.sampled(wave, rule)
start = px.networks.mlp(
    jax.random.key(0),
    widths=(20, 20),
    in_dim=1,
    activation="tanh",
    initialiser="pytorch",
    readout_bias=True,
)
run = px.descend(
    problem,
    start,
    optax.adam(3e-3),
    num_steps=1500,
    save=px.log_spaced(120),
    record={
        "spectrum": lambda _, net: px.diagnostics.spectrum(None, net, quadrature=rule)
    },
)

# %%
# `px.stages.staircase` tells steps from noise, and whether the loss drops at a step.

ranks = px.diagnostics.epsilon_rank(run.saved["spectrum"], [1e-3, 1e-6])
stairs = px.stages.staircase(run, ranks[:, 0])
count = int(stairs.treads.count)
print("treads at ranks", stairs.rank[:count], "matched", stairs.matched[:count])
ax = px.plot.rank_staircase(
    run.times,
    run.losses,
    ranks,
    labels=["rank at ε = 10⁻³", "rank at ε = 10⁻⁶"],
    treads=stairs,
    time_unit=run.time_unit,
)
