"""Building blocks: each against what the whole does with it."""

import jax
import jax.numpy as jnp
import numpy as np

import plateaux as px
from plateaux.dynamics import (
    boundary_modes,
    boundary_velocities,
    descent_step,
    flow_step,
    modes_of,
)

from ..closeness import assert_close, stacked
from ..reference import network_1d, problem_1d

ORDER = 16


def test_velocities_are_those_of_the_gradient_on_either_side():
    """Where the pair is off, ż is x̃·v̇ of plain gradient descent; likewise on."""
    problem, network = problem_1d(), network_1d(0)
    s_off, s_on = boundary_velocities(problem, network)
    moved = jax.jit(descent_step)(problem, network, 1.0)
    x = np.asarray(problem.x).T
    before, after = (jax.tree.map(np.asarray, net) for net in (network, moved))
    speed = (after.w - before.w) @ x + (after.b - before.b)[:, None]
    s_off, s_on = np.asarray(s_off), np.asarray(s_on)
    on = before.w @ x + before.b[:, None] > 0
    assert_close(np.where(on, s_on, s_off), speed)
    assert np.all(s_on != s_off)


def test_a_step_is_the_flow_where_nothing_happens():
    problem, network = problem_1d(), network_1d(0)
    step = flow_step(problem, network, modes_of(problem, network), 0.02, ORDER)
    run = px.flow(problem, network, t1=0.02, rtol=1e-13)
    assert int(step.event.which) == -1
    assert int(run.events.count) == 0
    assert_close(step.network, run.network)
    assert np.max(step.error) < 1e-13


def test_a_step_sees_the_first_event():
    """Seed 0: neuron 1 leaves datum 10 at 0.890317056 (section 9 of the notes)."""
    problem, network = problem_1d(), network_1d(0)
    before = px.flow(problem, network, t1=0.7, rtol=1e-13).network
    step = flow_step(problem, before, modes_of(problem, before), 0.3, ORDER)
    assert int(step.event.which) == 1 * 20 + 10
    assert abs(0.7 + 0.3 * float(step.event.tau) - 0.890317056) < 1e-8


def test_a_convex_kink_between_opposite_velocities_slides():
    """One neuron, s_off > 0 > s_on: α' = s_off/(s_off − s_on) lies inside."""
    problem = px.Problem([[0.0], [1.0]], [-1.0, 1.0])
    network = px.TwoLayer([[0.5]], [0.0], [1.0])
    s_off, s_on = boundary_velocities(problem, network)
    assert s_off[0, 0] > 0 > s_on[0, 0]
    modes = modes_of(problem, network)
    choice = boundary_modes(problem, network, modes, jnp.int32(0), jnp.int32(0))
    assert int(choice.slides[0]) == 0
    assert int(choice.kinds[-1]) == px.EventKind.slide


def test_steps_vectorise_and_differentiate():
    problem, nets = problem_1d(), [network_1d(0), network_1d(1)]
    one = lambda n: flow_step(problem, n, modes_of(problem, n), 0.02, ORDER).network.c
    total = lambda n: (jnp.sum(one(n)), one(n))
    slopes, both = jax.jit(jax.vmap(jax.grad(total, has_aux=True)))(stacked(nets))
    assert_close(np.asarray(both)[1], one(nets[1]), ulps=256)
    for leaf in jax.tree.leaves(slopes):
        assert np.all(np.isfinite(leaf))
