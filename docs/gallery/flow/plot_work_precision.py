r"""
What precision costs
====================

Error of the last output against steps taken, for neural chains :math:`f = w_1 w_2 w_3
x` whose flow has a closed law: five targets, the median and the worst. Descent is of
first order in its step: ten times the steps, a tenth of the error. A Rosenbrock method
with the exact Hessian takes few steps, and digits cost it little.

See also: :doc:`/tutorials/flow`, on tolerances; the law is
:func:`plateaux.dynamics.reduced.chain_law`.
"""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

DEPTH, END = 3, 3.0
targets = jnp.linspace(0.6, 1.4, 5)
start = px.networks.Chain([0.5] * DEPTH)
problem_of = lambda target: px.Problem(jnp.ones((1, 1)), target[None])


def setting(train):
    """Steps and errors of one setting, over the targets."""
    runs = [train(problem_of(target)) for target in targets]
    products = np.array(
        [float(px.outputs(r.network, jnp.ones((1, 1)))[0]) for r in runs]
    )
    return np.array([int(r.stats.num_steps) for r in runs]), np.abs(products - truth)


def flow(rtol):
    """Exact flow at one tolerance."""
    return lambda problem: px.flow(problem, start, t1=END, rtol=rtol, save=px.at([END]))


def descent(step_size):
    """Gradient descent with one step size."""
    return lambda problem: px.descend(
        problem,
        start,
        px.gradient_descent(step_size),
        num_steps=round(END / step_size),
        save=px.at([END]),
    )


# %%
# The truth needs no run: it is a function of time.

truth = np.array(
    [
        float(px.dynamics.reduced.chain_law(problem_of(target), start).output(END))
        for target in targets
    ]
)
table = {
    "exact flow": [setting(flow(rtol)) for rtol in (1e-4, 1e-6, 1e-8, 1e-10)],
    "gradient descent": [setting(descent(h)) for h in (0.1, 0.02, 0.004, 0.0008)],
}
ax = px.plot.work_precision(table, error="error of the last output")
