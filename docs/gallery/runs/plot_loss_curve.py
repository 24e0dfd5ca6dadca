r"""
A loss curve with its plateaus
==============================

Twelve ReLU neurons that start small learn :math:`\sin 2\pi x` by gradient descent. The
shaded stretches are plateaus by slope: the loss is flat on logarithmic axes,
:math:`|d\log L/d\log t| < 0.1` while time at least doubles. The first one belongs to
the small start; the last is hatched, because the run ended on it and nobody knows how
long it would have lasted.

See also: :doc:`/quickstart`, and :doc:`/choose` for the definitions of a plateau.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 40)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
key = jax.random.split(jax.random.key(0), 6)[3]
network = px.networks.he(key, width=12, in_dim=1, scale=0.03, bias="normal")
run = px.descend(
    problem,
    network,
    px.gradient_descent(0.02),
    num_steps=200_000,
    save=px.log_spaced(400),
    watch=False,
)

# %%
# The table of plateaus is an object of arrays; the figure takes it as it is.

table = px.plateaus(run)
for i in range(int(table.count)):
    print(
        f"{table.start[i]:8.2f} to {table.end[i]:8.2f}"
        f"  loss {table.level[i]:.4f}"
        f"  {'still running' if table.censored[i] else 'ended'}"
    )
ax = px.plot.loss_curve(run.times, run.losses, plateaus=table, time_unit=run.time_unit)
