r"""
The fan of losses over many starts
==================================

Quantiles of the loss of 128 runs over time: half of the runs are in the dark band, nine
tenths in the pale one, and the dashed lines are the interval of the median. Quantiles
assume no law, and a run that diverged moves them as little as one that is merely slow.

See also: :doc:`/guides/statistics`.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 50)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))


def train(key):
    """One run from He's initialisation."""
    network = px.networks.he(key, width=20, in_dim=1)
    return px.descend(
        problem, network, px.gradient_descent(0.02), num_steps=3000, watch=False
    )


runs = jax.vmap(train)(jax.random.split(jax.random.key(0), 128))

# %%
# Order statistics with their intervals, at every saved time.

shares = [0.05, 0.25, 0.5, 0.75, 0.95]
band = px.statistics.quantile_band(runs.losses, shares)
middle = [part[2, -1] for part in band]
print("median of the last losses: {:.4f} [{:.4f}, {:.4f}]".format(*middle))
ax = px.plot.ensemble_band(
    runs.times[0], band, shares, time_unit="flow time of L = Σ ½ r² / K"
)
