r"""
Lines of a cell: where can training stop?
=========================================

In one dimension the kinks cut the data into groups, and the best fit of a cell is the
regression line of every group by itself. Where two lines meet inside their gap, the
kink can be put there (diamond). Where they do not (cross), no network of this cell is
stationary: the flow must leave, whatever it takes. Two kinks in one gap can make any
jump.

After Ainsworth & Shin (2021), `arXiv:2007.07213 <https://arxiv.org/abs/2007.07213>`_.
See also: :doc:`/tutorials/cells`.
"""

import jax
import jax.numpy as jnp

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(0, 1, 41)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
kinks = jnp.array([0.21, 0.44, 0.786, 0.79])
network = px.TwoLayer(
    w=jnp.full((4, 1), 3.0),
    b=-3 * kinks,
    c=jnp.array([-2.2, -0.5, 1.1, 1.8]),
    p=jnp.array([4.5, 0.0]),
)

# %%
# The same in numbers, and what `px.patterns.stationary_point` says of this network.

lines = px.patterns.local_lines(problem, network)
gaps = int(lines.count) - 1
print("lines meet at", lines.meet[:gaps].round(3), "joined:", lines.consistent[:gaps])
here = px.patterns.stationary_point(problem, network, tolerance=1e-6)
print(px.patterns.StationaryKind(int(here.kind)).name)
outputs = px.outputs(network, problem.x)
ax = px.plot.local_lines(problem.x, problem.y, lines, outputs=outputs)
