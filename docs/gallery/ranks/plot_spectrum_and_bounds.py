r"""
Singular values over time, and the bounds they give
===================================================

Left: every eigenvalue of the features' Gram matrix (squares of singular values) over
the steps of Adam. They rise one after another through the thresholds ε. Right: few
functions cannot fit well. The distance of the target from the leading eigenfunctions
bounds the error (black) from below whatever the readout, and the run stays near that
bound: the features hold it back, not the readout.

After Yang, Zhao & Zhu (2024), `arXiv:2412.05144 <https://arxiv.org/abs/2412.05144>`_.
See also: :doc:`/tutorials/staircase`.
"""

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import optax

import plateaux as px

jax.config.update("jax_enable_x64", True)

EPSILON = (1e-3, 1e-6)
rule = px.problems.gauss_legendre(100)
wave = lambda x: jnp.sin(2 * jnp.pi * x[0]) + jnp.sin(6 * jnp.pi * x[0]) / 2
problem = px.problems.sampled(wave, rule)
start = px.networks.mlp(
    jax.random.key(0),
    widths=(20, 20),
    in_dim=1,
    activation="tanh",
    initialiser="pytorch",
    readout_bias=True,
)
run = px.descend(
    problem,
    start,
    optax.adam(3e-3),
    num_steps=1500,
    save=px.log_spaced(120),
    record={
        "spectrum": lambda _, net: px.diagnostics.spectrum(None, net, quadrature=rule),
        "bound": lambda _, net: px.diagnostics.error_bound(
            None, net, EPSILON, quadrature=rule, target=wave
        ),
    },
)

# %%
# Both figures share their axis of steps.

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
px.plot.spectrum_waterfall(
    run.times,
    run.saved["spectrum"].eigenvalues,
    epsilon=EPSILON,
    time_unit=run.time_unit,
    ax=left,
)
left.set_ylim(1e-12, None)
bound = run.saved["bound"]
px.plot.error_bounds(
    run.times,
    bound.error,
    bound.bound,
    epsilon=EPSILON,
    time_unit=run.time_unit,
    ax=right,
)
plt.show()
