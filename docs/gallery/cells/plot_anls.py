r"""
Least squares against descent and Adam
======================================

The same five-neuron start three times: gradient descent, Adam, and active-neuron least
squares (`px.anls`), which solves the least-squares problem of the cell and moves the
pattern at every step. The dotted line is a proven bound: no network of this width has a
lower loss. A step of least squares costs more than one of Adam, yet tens of them do
what thousands of the others do not.

After Ainsworth & Shin (2021), `arXiv:2007.07213 <https://arxiv.org/abs/2007.07213>`_.
See also: :doc:`/tutorials/anls`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(0, 1, 100)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
start = px.networks.unit_kinks(
    jax.random.key(2), width=5, in_dim=1, affine=True, lo=0.0
)
runs = {
    "gradient descent, h = 0.1": px.descend(
        problem, start, px.gradient_descent(0.1), num_steps=10_000
    ),
    "Adam, h = 0.01": px.descend(problem, start, optax.adam(0.01), num_steps=10_000),
    "least squares": px.anls(problem, start, num_steps=60),
}

# %%
# All three return the same `Trajectory`; here the axis is the number of steps.

bound = px.patterns.loss_bounds(problem, 5, affine=True).lower
fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
for (name, run), color in zip(
    runs.items(), ("#0072B2", "#D55E00", "#009E73"), strict=True
):
    px.plot.loss_curve(
        run.steps.astype(float), run.losses, label=name, color=color, ax=ax
    )
    print(
        f"{name:26} {run.losses[-1]:.2e}, {run.losses[-1] / bound:.1f} times the bound"
    )
ax.axhline(bound, color="black", linestyle=":", label="no network is below")
ax.set_xlabel("step")
ax.legend()
plt.show()
