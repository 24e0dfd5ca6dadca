r"""
Exact flow: events and slides
=============================

The exact gradient flow of ten ReLU neurons. Its gradient jumps where a kink meets a
datum; these events are located to round-off. A kink may cross, or *slide*: if the
gradient points towards the boundary from both sides, the kink stays on the datum for a
while. Above: kinks over time, slides in red on the data they are held by. Below: the
same events, a row a neuron. Gradient descent, which cannot slide, hops across such a
boundary every few steps.

See also: :doc:`/tutorials/flow`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 20)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
network = px.networks.he(jax.random.key(4), width=10, in_dim=1, bias="normal")
kinks = lambda problem, network: px.patterns.breakpoints(network)
run = px.flow(problem, network, t1=200.0, record={"kinks": kinks})

# %%
# The events are a table of fixed size with a count.

kinds = run.events.kind[: run.events.count]
print({kind.name: int((kinds == kind).sum()) for kind in px.EventKind if kind >= 0})
print(f"conserved to {run.accuracy.balancedness:.0e}")
fig, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6.5), sharex=True, layout="constrained"
)
px.plot.kinks(run.times, run.saved["kinks"], problem.x, events=run.events, ax=above)
px.plot.event_raster(run, ax=below)
above.set_xlabel("")
plt.show()
