r"""
Floors of cells: a landscape of steps
=====================================

The floor of a cell as a function of where one kink of a network lies, all else fixed.
It is constant between two data and jumps at them: to a least-squares method the
position of a kink is a number of the cell, nothing finer. Gradient descent walks on the
loss (dashed, at fixed outer weights), whose valleys need not be those of the floor.

See also: :doc:`/tutorials/cells` and :doc:`/tutorials/anls`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(0, 1, 31)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))


def network(kink):
    """Two neurons and an affine part; the second kink moves."""
    kinks = jnp.stack([jnp.asarray(0.25), kink])
    return px.TwoLayer(
        w=jnp.ones((2, 1)), b=-kinks, c=jnp.array([-8.0, 8.0]), p=jnp.array([4.0, 0.0])
    )


# %%
# Floors are functions of the network, and so can be mapped over many of them.

positions = jnp.linspace(0.0, 1.0, 1201)
floors = jax.vmap(lambda k: px.patterns.cell_fit(problem, network(k)).value)(positions)
losses = jax.vmap(lambda k: px.loss(problem, network(k)))(positions)
best = positions[jnp.argmin(floors)]
print(f"lowest floor {floors.min():.5f}, with the kink near {best:.2f}")
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.plot(positions, floors, color="#0072B2", label="floor of the cell")
ax.plot(positions, losses, "--", color="#D55E00", label="loss")
ax.plot(x[:, 0], jnp.full(31, floors.min() / 2), "|", color="black", label="data")
ax.set(yscale="log", xlabel="position of the second kink", ylabel="loss")
ax.legend()
plt.show()
