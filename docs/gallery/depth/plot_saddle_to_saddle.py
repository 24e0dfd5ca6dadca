r"""
From saddle to saddle
=====================

A deep linear network that starts small learns the singular modes of its problem one by
one, the strongest first. In between the loss stands still on levels that are known:
half the sum of squares of the modes not yet learnt (grey). Exact gradient flow from an
aligned start, and the closed law of its modes (dashed).

After Saxe, McClelland & Ganguli (2014), *Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks*. See also: :doc:`/tutorials/curvature`, and
`experiments/saddle_to_saddle.py`.
"""

import jax
import matplotlib.pyplot as plt
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

SINGULAR, START = np.array([4.0, 2.0, 1.0]), 1e-6
rng = np.random.default_rng(0)
frame = lambda rows, columns: np.linalg.qr(rng.normal(size=(rows, columns)))[0]
x = np.sqrt(40) * frame(40, 5)  # white inputs
problem = px.Problem(x, x @ (frame(5, 3) * SINGULAR @ frame(5, 3).T))
modes = px.dynamics.reduced.linear_modes(problem, depth=2, start=START)

# %%
# Two weight matrices along the singular directions, of one size.

middle = np.sqrt(START) * frame(6, 3)
network = px.MLP(
    [middle @ np.asarray(modes.right).T],
    None,
    np.sqrt(START) * np.asarray(modes.left) @ np.linalg.pinv(middle) * np.sqrt(START),
    activation="identity",
)
run = px.flow(problem, network, t1=10.0, save=px.at(np.linspace(0.0, 10.0, 301)))
law = modes.loss(run.times)
print(f"largest distance from the law: {np.max(np.abs(run.losses - law)):.0e}")
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for level in np.cumsum(SINGULAR[::-1] ** 2) / 2:
    ax.axhline(level, color="0.8")
ax.plot(run.times, run.losses, color="#0072B2", label="exact flow")
ax.plot(run.times, law, "--", color="#D55E00", label="law of the modes")
ax.set(xlabel=run.time_unit, ylabel="loss")
ax.legend()
plt.show()
