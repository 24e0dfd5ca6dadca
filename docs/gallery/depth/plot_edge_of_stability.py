r"""
The edge of stability
=====================

Extreme eigenvalues of the Hessian along a run of gradient descent with a large step h,
and the curvature along its updates. The largest eigenvalue rises until it reaches 2/h
(dashed), beyond which descent is unstable along its eigenvector, and then hovers there
instead of growing on: the loss falls, but no longer at every step.

After Cohen, Kaur, Li, Kolter & Talwalkar (2021), *Gradient descent on neural networks
typically occurs at the edge of stability*. See also: :doc:`/tutorials/curvature`.
"""

import jax
import matplotlib.pyplot as plt

import plateaux as px

jax.config.update("jax_enable_x64", True)

STEP_SIZE = 0.1
problem = px.problems.sine(num_data=20)
network = px.networks.mlp(
    jax.random.key(1), widths=(16, 16), in_dim=1, activation="tanh", initialiser="lecun"
)
run = px.descend(
    problem,
    network,
    px.gradient_descent(STEP_SIZE),
    num_steps=6000,
    save=px.every(60),
    record={"network": lambda problem, network: network},
)

# %%
# Eigenvalues by Lanczos, each start from the last eigenvectors.

curvature = px.diagnostics.curvature
path = run.saved["network"]
ends = curvature.curvature_along(problem, path)
update = jax.vmap(lambda net: jax.grad(lambda n: px.loss(problem, n))(net))(path)
along = jax.vmap(lambda net, way: curvature.directional_curvature(problem, net, way))(
    path, update
)
fig, (above, below) = plt.subplots(
    2, 1, figsize=(7, 6), sharex=True, layout="constrained"
)
px.plot.loss_curve(run.times, run.losses, ax=above)
px.plot.update_curvature(
    run.times,
    ends.largest,
    ends.smallest,
    along,
    step_size=STEP_SIZE,
    time_unit=run.time_unit,
    ax=below,
)
above.set_xlabel("")
plt.show()
