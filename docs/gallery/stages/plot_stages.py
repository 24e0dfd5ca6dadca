r"""
Stages of training from small weights
=====================================

A tanh network with weights of size 1/n trains in stages: an initial plateau at the loss
of the zero function, a descent to the loss of the best affine predictor (dashed), a
secondary plateau there, and an escape. The dotted curve is the moment flow, a reduced
model that costs the same at any width: it foretells everything up to the secondary
plateau, and knows nothing of the escape.

After Chen, Luo & Wang (2024), `arXiv:2410.20119 <https://arxiv.org/abs/2410.20119>`_.
See also: :doc:`/tutorials/stages`.
"""

import jax
import numpy as np

import plateaux as px

jax.config.update("jax_enable_x64", True)

problem = px.problems.sine_and_square()
draw = np.random.default_rng(0).normal(size=3 * 256) / 256
v = draw[256:].reshape(256, 2)
network = px.TwoLayer(v[:, :1], v[:, 1], draw[:256], activation="tanh")
times = px.at(np.geomspace(0.05, 400, 200))
keep = {"network": lambda problem, network: network}
run = px.flow(problem, network, t1=400.0, save=times, record=keep)

# %%
# The stages are measured; where a law applies, a prediction stands beside.

stages = px.stages.multistage(run, problem)
print(f"initial plateau to {stages.t10:.2f}, predicted {stages.predicted_t10:.2f}")
print(f"descent to         {stages.t90:.2f}, predicted {stages.predicted_t90:.2f}")
print(f"secondary plateau  {stages.entry:.1f} to {stages.exit:.0f}")
model = px.dynamics.reduced.moment_flow(problem, network, t1=400.0, save=times)
ax = px.plot.loss_stages(run.times, run.losses, stages, time_unit=run.time_unit)
ax.plot(model.times, model.losses, ":", color="#D55E00", linewidth=2)
