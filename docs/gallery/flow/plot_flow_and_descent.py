r"""
Flow against descent, by step size
==================================

Gradient descent follows gradient flow at a distance proportional to its step size h:
where the parameters are at flow time t, not only where they end. Left: the distance
over time at one h, measured in several ways; neurons are matched in any order and in
their balanced form, so that distance may be larger than the plain one. Right: the
distance at the end against h; the grey line has slope 1.

After Elkabetz & Cohen (2021), *Continuous vs. discrete optimization of deep neural
networks*. See also: :doc:`/tutorials/flow`, and `experiments/descent_to_flow.py`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 20)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
network = px.networks.he(jax.random.key(4), width=10, in_dim=1, bias="normal")
keep = {"network": lambda problem, network: network}
times = px.at(np.linspace(0, 20, 41))
flow = px.flow(problem, network, t1=20.0, save=times, record=keep)


def distance(step_size):
    """How far descent with this step is from the flow, over time."""
    descent = px.descend(
        problem,
        network,
        px.gradient_descent(step_size),
        num_steps=round(20 / step_size),
        save=times,
        record=keep,
    )
    return px.compare(flow, descent, problem, curvature=False)


# %%
# Nothing is interpolated: both runs save their networks at the same times.

step_sizes = 0.1 / 4.0 ** np.arange(3)
found = [distance(h) for h in step_sizes]
last = np.array([each.distance[-1] for each in found])
order = np.polyfit(np.log(step_sizes), np.log(last), 1)[0]
print(f"order in the step size: {order:.2f}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
px.plot.distances(found[-1], ax=left)
left.set_title(f"h = {step_sizes[-1]:.2g}")
right.loglog(step_sizes, last, "o-", color="#0072B2", label="parameters")
right.loglog(step_sizes, last[0] * step_sizes / step_sizes[0], color="0.6")
right.set(xlabel="step size h", ylabel="distance at flow time 20")
plt.show()
