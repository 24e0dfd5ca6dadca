r"""
A loss of one's own
===================

Any function of output and target can be a loss: a frozen dataclass with its value,
gradient and curvature. Here the pseudo-Huber loss, which forgives outliers: three wrong
targets pull the squared fit away, and hardly move the other.

See also: :class:`plateaux.problems.Loss`, and the walkthrough
:doc:`/notebooks/in_your_code`.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)


@dataclass(frozen=True)
class PseudoHuber(px.problems.Loss):
    """δ²(√(1 + (r/δ)²) − 1): squared near 0, linear far from it."""

    width: float = 0.1
    formula: ClassVar[str] = "δ²(√(1 + (r/δ)²) − 1)"

    def __call__(self, output, y):
        root = jnp.sqrt(1 + ((output - y) / self.width) ** 2)
        return jnp.sum(self.width**2 * (root - 1))

    def gradient(self, output, y):
        return (output - y) / jnp.sqrt(1 + ((output - y) / self.width) ** 2)

    def curvature(self, output, y):
        return (1 + ((output - y) / self.width) ** 2) ** -1.5


# %%
# It goes where the names of losses go.

x = jnp.linspace(-1, 1, 40)[:, None]
y = jnp.abs(x[:, 0]).at[jnp.array([5, 18, 31])].add(jnp.array([2.0, 2.0, -2.0]))
start = px.networks.uniform_kinks(jax.random.key(0), width=20, in_dim=1)
fine = jnp.linspace(-1, 1, 201)[:, None]
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for loss, color in (("squared", "#D55E00"), (PseudoHuber(), "#0072B2")):
    problem = px.Problem(x, y, loss=loss)
    run = px.descend(problem, start, optax.adam(0.01), num_steps=2000)
    words = loss if isinstance(loss, str) else "pseudo-Huber"
    print(f"{words:12} loss {run.losses[0]:.3f} to {run.losses[-1]:.4f}")
    ax.plot(fine, px.outputs(run.network, fine), color=color, label=words)
ax.plot(x, y, "o", color="black", markersize=3, label="data")
ax.set(xlabel="x", ylabel="f(x)")
ax.legend()
plt.show()
