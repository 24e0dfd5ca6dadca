r"""
Vanishing signals, and their exact law
======================================

He's weights keep the *mean* of :math:`\|h_L\|^2` at one; a typical narrow network lets
its signal vanish exponentially with depth over width. Quartiles of
:math:`\log\|h_L\|/\|x\|` over 400 ReLU networks, eight neurons a layer, next to the
exact law (dotted). Dead networks are left out, and counted.

After Orvieto, Kohler, Pavllo, Hofmann & Lucchi (2021), `arXiv:2106.03763
<https://arxiv.org/abs/2106.03763>`_. See also: :doc:`/tutorials/curvature`.
"""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

WIDTH, DEPTHS, QUARTILES = 8, (1, 2, 4, 8, 16), [0.25, 0.5, 0.75]
x = jnp.ones((1, WIDTH)) / WIDTH**0.5
problem = px.Problem(x, jnp.ones(1))


def look(key):
    """Signals of one network, layer by layer."""
    network = px.networks.mlp(key, widths=(WIDTH,) * DEPTHS[-1], in_dim=WIDTH)
    return px.diagnostics.signals(problem, network)


found = jax.jit(jax.vmap(look))(jax.random.split(jax.random.key(0), 400))

# %%
# The first L layers of a deep network are a network of depth L.

forward = np.asarray(found.forward)[:, np.array(DEPTHS) - 1]
forward = forward - np.log(np.linalg.norm(x))
alive = np.isfinite(forward)
bands = [
    px.statistics.quantile_band(column[seen], QUARTILES)
    for column, seen in zip(forward.T, alive.T, strict=True)
]
band = px.statistics.Interval(
    *(np.transpose(part) for part in zip(*bands, strict=True))
)
law = [px.statistics.relu_law(WIDTH, depth).quantile(QUARTILES) / 2 for depth in DEPTHS]
share = px.statistics.alive_probability(WIDTH, DEPTHS[-1])
print(f"alive at depth {DEPTHS[-1]}: {alive[:, -1].mean():.3f}, exact {share:.3f}")
ax = px.plot.depth_fan(
    DEPTHS,
    band,
    QUARTILES,
    law=np.transpose(law),
    log=False,
    quantity="log ‖h‖/‖x‖ after L layers",
)
