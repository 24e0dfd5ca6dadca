r"""
Where runs end, and the best possible loss
==========================================

Last losses of 64 random starts, as drawn and at a third of their size, over a proven
lower bound, as distributions: the share of runs that end within a multiple of the
bound. Runs end in groups, most within eight times the bound and others twenty to fifty
times above it, which a mean would hide.

See also: :doc:`/tutorials/cells`, and `experiments/final_losses.py` for thousands of
starts.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(0, 1, 41)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))


def last_losses(scale):
    """Of 64 starts, after 5000 steps of gradient descent."""
    draw = lambda key: px.networks.uniform_kinks(
        key, width=3, in_dim=1, affine=True, lo=0.0, hi=1.0
    )
    starts = jax.vmap(draw)(jax.random.split(jax.random.key(0), 64))
    starts = jax.tree.map(lambda leaf: scale * leaf, starts)
    train = lambda network: px.descend(
        problem,
        network,
        px.gradient_descent(0.1),
        num_steps=5000,
        save=px.every(5000),
        watch=False,
    )
    return jax.vmap(train)(starts).losses[:, -1]


# %%
# The bound is the best fit by four free lines, by dynamic programming.

found = {"as drawn": last_losses(1.0), "a third of it": last_losses(1 / 3)}
bound = px.patterns.loss_bounds(problem, 3, affine=True).lower
for name, losses in found.items():
    within = px.statistics.wilson(int((losses < 2 * bound).sum()), 64)
    print(
        f"{name}: {within.estimate:.2f} of the runs below twice the bound "
        f"[{within.low:.2f}, {within.high:.2f}]"
    )
ax = px.plot.distribution(found, bound)
