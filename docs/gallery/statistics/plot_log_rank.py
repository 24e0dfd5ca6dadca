r"""
Do initialisations differ? The log-rank test
============================================

Survival curves of the first plateau that is not the beginning, for three
initialisations of 100 runs each, with the test of the hypothesis that all three are one
law, and the difference of two restricted means as its size.

After Mantel (1966), *Evaluation of survival data and two new rank order statistics*.
See also: :doc:`/guides/statistics`.
"""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

x = jnp.linspace(-1, 1, 50)[:, None]
problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))


@jax.jit
@jax.vmap
def tables(network):
    """The plateaus of one run; compiled once for all batches of one shape."""
    run = px.descend(
        problem, network, px.gradient_descent(0.02), num_steps=3000, watch=False
    )
    return px.plateaus(run)


def dwells(name):
    """Dwells of first plateaus after the beginning, and which were still running."""
    draw = lambda key: px.networks.initialiser(name)(key, width=20, in_dim=1)
    table = tables(jax.vmap(draw)(jax.random.split(jax.random.key(0), 100)))
    later = np.isfinite(table.start) & (table.start > 0)
    lanes, first = np.flatnonzero(later.any(axis=1)), later.argmax(axis=1)
    return tuple(
        np.asarray(a)[lanes, first[lanes]] for a in (table.dwell, table.censored)
    )


found = {name: dwells(name) for name in ("he", "pytorch", "balanced")}

# %%
# One test for all groups, and the size of one difference with its interval.

groups = np.repeat(np.arange(3), [len(dwell) for dwell, _ in found.values()])
pooled = [np.concatenate(parts) for parts in zip(*found.values(), strict=True)]
test = px.statistics.log_rank(*pooled, groups)
print(f"log-rank: chi squared {test.statistic:.1f}, p = {test.p_value:.1e}")
means = {
    name: px.statistics.restricted_mean(*each, horizon=8.0)
    for name, each in found.items()
}
longer = px.statistics.difference(means["he"], means["pytorch"])
print(f"he − pytorch: {longer.estimate:.2f} [{longer.low:.2f}, {longer.high:.2f}]")
curves = {name: px.statistics.kaplan_meier(*each) for name, each in found.items()}
ax = px.plot.survival_curves(curves, time_unit="dwell in flow time")
