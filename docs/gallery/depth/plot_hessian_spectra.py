r"""
Vanishing Hessians
==================

Not only gradients vanish with depth: in a narrow network at random initialisation the
whole Hessian does. Densities of its eigenvalues over 100 neural chains of each depth,
positive ones upwards, negative ones downwards: about as many directions fall as rise,
and typical ones flatten exponentially with the depth.

After Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021), `arXiv:2106.03763
<https://arxiv.org/abs/2106.03763>`_. See also: :doc:`/tutorials/curvature`.
"""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.Problem([[1.0]], [1.0])


def eigenvalues(depth):
    """Of 100 chains, joined."""
    draw = lambda key: px.networks.chain(key, depth=depth)
    hessian = lambda key: px.diagnostics.curvature.hessian(problem, draw(key))
    keys = jax.random.split(jax.random.key(2), 100)
    return np.ravel(jnp.linalg.eigvalsh(jax.jit(jax.vmap(hessian))(keys)))


# %%
# One row a depth.

depths = (4, 8, 16, 32)
ax = px.plot.spectral_ridges(
    [eigenvalues(depth) for depth in depths], [f"L = {depth}" for depth in depths]
)
