r"""
A differential equation by collocation
======================================

:math:`-u'' = \pi^2 \sin \pi x` with :math:`u(0) = u(1) = 0`, solved by nine neurons:
the equation at 59 points and the boundary conditions are rows of one least-squares
problem, and `px.anls` also moves the kinks. The features are cubes of the ReLU, whose
second derivative has kinks. Left: the error of the network after some steps. Right: the
residual loss. The first solve does most of it.

See also: :doc:`/tutorials/anls`, on differential equations.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(0.0, 1.0, 61)[1:-1, None]
equation = px.problems.poisson(
    x,
    jnp.pi**2 * jnp.sin(jnp.pi * x[:, 0]),
    boundary=jnp.array([[0.0], [1.0]]),
    boundary_values=jnp.zeros(2),
    boundary_weight=1e4,
)
start = px.networks.unit_kinks(
    jax.random.key(0),
    width=9,
    in_dim=1,
    affine=True,
    activation="relu3",
    lo=0.0,
    hi=1.0,
)
fine = jnp.linspace(0, 1, 201)[:, None]
run = px.anls(
    equation,
    start,
    num_steps=60,
    record={"u": lambda problem, network: px.outputs(network, fine)},
)

# %%
# The residual says what was solved, the error how well.

exact = jnp.sin(jnp.pi * fine[:, 0])
print(f"largest error of u: {jnp.abs(run.saved['u'][-1] - exact).max():.0e}")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
shown = jnp.array([1, 2, 5, 10, 60])
px.plot.function_snapshots(
    fine, run.saved["u"][shown] - exact, run.times[shown], time_unit="step", ax=left
)
left.set_ylabel("error of u(x)")
px.plot.loss_curve(run.times, run.losses, time_unit="step", ax=right)
plt.show()
