r"""
The function a network learns
=============================

Snapshots of the network's function from its start (dark) to the end of the run
(bright). A small start is the zero function; it first learns the best it can with all
its kinks in one place, and bends where and when neurons part. Between two plateaus the
function changes its shape, on a plateau hardly at all.

See also: :doc:`/quickstart`.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 40)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
key = jax.random.split(jax.random.key(0), 6)[3]
network = px.networks.he(key, width=12, in_dim=1, scale=0.03, bias="normal")
fine = jnp.linspace(-1.2, 1.2, 481)[:, None]
run = px.descend(
    problem,
    network,
    px.gradient_descent(0.02),
    num_steps=100_000,
    save=px.at([0.0, 2.0, 6.0, 20.0, 60.0, 200.0, 600.0, 2000.0]),
    record={"function": lambda problem, network: px.outputs(network, fine)},
)

# %%
# `record` takes any function of problem and network; here the outputs on a fine grid.

ax = px.plot.function_snapshots(
    fine,
    run.saved["function"],
    run.times,
    data=(problem.x, problem.y),
    time_unit=run.time_unit,
)
