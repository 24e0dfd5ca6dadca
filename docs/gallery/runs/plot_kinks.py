r"""
Kinks and active data over time
===============================

A ReLU network with one input is a broken line, and its kinks are where its neurons
switch, :math:`x_i = -b_i/w_i`. Above: the paths of the kinks of one run; the data are
the rug on the right. Kinks move in bursts and stay at data in between: descent chatters
there, where the exact flow slides. Below: on how many data every neuron is active. A
dark row is a neuron that is (nearly) dead.

See also: :doc:`/sharp_bits`, on sliding and chatter.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

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
    num_steps=100_000,
    save=px.log_spaced(400),
    record={
        "kinks": lambda problem, network: px.patterns.breakpoints(network),
        "active": lambda problem, network: px.patterns.active_counts(
            px.patterns.pattern(network, problem.x)
        ),
    },
)

# %%
# Whatever is recorded comes back with time as its first axis.

print({name: array.shape for name, array in run.saved.items()})
fig, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6), sharex=True, layout="constrained"
)
px.plot.kinks(run.times, run.saved["kinks"], problem.x, ax=above)
px.plot.activation_raster(
    run.times, run.saved["active"], time_unit=run.time_unit, ax=below
)
above.set_xlabel("")
plt.show()
