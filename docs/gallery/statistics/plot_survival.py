r"""
How long plateaus last: a survival curve
========================================

Dwell times of the plateaus of 128 runs. Plateaus that were still running at the end are
*censored*, an upright tick each: the Kaplan–Meier curve accounts for them, while a mean
that leaves them out is too short, and so is one that counts them as ended. The band is
the 95 % interval at each time; the dotted line is the median.

After Kaplan & Meier (1958), *Nonparametric estimation from incomplete observations*.
See also: :doc:`/guides/statistics`.
"""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 50)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))


def train(key):
    """One run; `jax.vmap` makes it a batch."""
    network = px.networks.he(key, width=20, in_dim=1)
    return px.descend(
        problem, network, px.gradient_descent(0.02), num_steps=3000, watch=False
    )


runs = jax.vmap(train)(jax.random.split(jax.random.key(0), 128))
tables = jax.vmap(px.plateaus)(runs)

# %%
# Unused rows start at infinity. The stretch that begins with the run is left out: every
# loss is flat in the beginning.

used = np.isfinite(tables.start) & (tables.start > 0)
dwell, censored = np.asarray(tables.dwell)[used], np.asarray(tables.censored)[used]
curve = px.statistics.kaplan_meier(dwell, censored)
median = px.statistics.median_survival(curve)
print(f"{len(dwell)} plateaus, {censored.sum()} of them censored")
print(f"median {median.estimate:.2f} [{median.low:.2f}, {median.high:.2f}]")
print(f"mean of those that ended: {dwell[~censored].mean():.2f}")
ticks = np.array([0.3, 1.0, 3.0, 10.0, 30.0])
risk = {"He, 20 neurons": np.sum(dwell[:, None] >= ticks, axis=0)}
ax = px.plot.survival_curves(
    {"He, 20 neurons": curve}, at_risk=(ticks, risk), time_unit="dwell in flow time"
)
ax.axvline(median.estimate, color="black", linestyle=":", linewidth=1)
