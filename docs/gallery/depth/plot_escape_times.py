r"""
Leaving the plateau, optimiser by optimiser
===========================================

Neural chains of 8 and of 32 weights learn :math:`y = 1`; the plateau counts as left
when the loss is below 1/8. Gradient descent takes steeply longer with depth, and most
deep chains are still on it after 1500 steps; methods that divide by the size of the
gradient do not notice the plateau, as long as nothing is added to that size: Adam's
:math:`\epsilon` is 1e-30 here.

After Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021), `arXiv:2106.03763
<https://arxiv.org/abs/2106.03763>`_. See also: :doc:`/tutorials/curvature`, and
`experiments/escape_depth.py`.
"""

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.Problem([[1.0]], [1.0])
OPTIMIZERS = {
    "gradient descent": px.gradient_descent(0.01),
    "sign descent": optax.sign_sgd(0.01),
    "Adam": optax.adam(0.01, b2=0.99, eps=1e-30),
}


def escapes(optimizer, depth):
    """When each of 64 chains left, in steps, or why it did not."""
    draw = lambda key: px.networks.chain(key, depth=depth)
    chains = jax.vmap(draw)(jax.random.split(jax.random.key(2), 64))
    train = lambda chain: px.descend(
        problem, chain, optimizer, num_steps=1500, save=px.every(1)
    )
    runs = jax.vmap(train)(chains)
    runs = eqx.tree_at(lambda run: run.times, runs, runs.steps.astype(float))
    left = px.stages.escape(runs, problem, criterion="loss", level=0.125)
    return px.statistics.escape_summary(left)


# %%
# Chains that are still on the plateau at the end are censored, not left out.

fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, depth in zip(axes, (8, 32), strict=True):
    found = {name: escapes(each, depth) for name, each in OPTIMIZERS.items()}
    for name, each in found.items():
        print(f"L = {depth:2d}, {name:16} median {each.median.estimate:6.0f} steps")
    curves = {name: each.survival for name, each in found.items()}
    px.plot.survival_curves(curves, time_unit="step", legend=depth == 32, ax=ax)
    ax.set(title=f"depth {depth}", ylabel="")
axes[0].set_ylabel("share of chains still on the plateau")
axes[1].legend(loc="lower left")
plt.show()
