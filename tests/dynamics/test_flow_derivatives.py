"""Derivatives through crossings and slides, against central differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from ..reference import network_1d, problem_1d

# Taylor steps at this tolerance leave 1e-12; the differences leave 1e-9 of their own.
EXACT = dict(t1=10.0, rtol=1e-12, save=px.log_spaced(3), max_events=32, max_steps=100)
STEP = 1e-6


def direction():
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.normal(size=shape)
    return px.TwoLayer(draw(10, 1), draw(10), draw(10))


def move(network, by):
    return jax.tree.map(lambda a, b: a + by * b, network, direction())


def observe(problem, network, **more):
    run = px.flow(problem, network, method="explicit", **EXACT, **more)
    times = jnp.where(jnp.isfinite(run.events.time), run.events.time, 0)
    return run.network, run.losses, times, run.stats.num_grazing


def assert_differences(tangents, ahead, behind):
    pairs = zip(
        jax.tree.leaves(tangents),
        jax.tree.leaves(ahead),
        jax.tree.leaves(behind),
        strict=True,
    )
    for tangent, a, b in pairs:
        difference = (a - b) / (2 * STEP)
        scale = 1 + jnp.max(jnp.abs(difference))
        assert jnp.max(jnp.abs(tangent - difference)) < 1e-7 * scale


@pytest.fixture(scope="module")
def by_network():
    return eqx.filter_jit(lambda n: observe(problem_1d(), n))


def test_with_respect_to_the_initial_network(by_network):
    """Parameters, losses and event times; crossings and slides are on the way."""
    primal = lambda n: by_network(n)[:3]
    out, tangents = jax.jvp(primal, (network_1d(0),), (direction(),))
    assert int(jnp.sum(out[2] > 0)) >= 6
    assert int(by_network(network_1d(0))[3]) == 0
    ahead, behind = (primal(move(network_1d(0), s * STEP)) for s in (1, -1))
    assert_differences(tangents, ahead, behind)


def test_with_respect_to_data():
    problem, network = problem_1d(), network_1d(0)
    shift = jnp.cos(3 * problem.x[:, 0])

    @jax.jit
    def by_targets(by):
        moved = eqx.tree_at(lambda p: p.y, problem, problem.y + by * shift)
        return observe(moved, network)[:3]

    zero = jnp.zeros(())
    _, tangents = jax.jvp(by_targets, (zero,), (zero + 1,))
    assert_differences(tangents, by_targets(STEP), by_targets(-STEP))


@pytest.mark.slow
def test_reverse_mode_is_the_transpose(by_network):
    last = lambda n, **more: observe(problem_1d(), n, **more)[1][-1]
    gradient = jax.grad(lambda n: last(n, derivatives="reverse"))(network_1d(0))
    _, tangent = jax.jvp(last, (network_1d(0),), (direction(),))
    leaves = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction()), strict=True)
    total = sum(jnp.sum(g * d) for g, d in leaves)
    assert abs(float(total - tangent)) < 1e-12


def test_an_event_that_two_kinks_share_is_flagged():
    """Two equal neurons cross together: event times have no joint derivative."""
    x = jnp.array([[-0.5], [0.5]])
    problem = px.Problem(x, jnp.array([0.0, 9.0]))
    network = px.TwoLayer([[1.0], [1.0]], [0.3, 0.3], [1.0, 1.0])
    run = px.flow(problem, network, t1=5.0, rtol=1e-8)
    assert int(run.events.count) >= 2
    assert int(run.stats.num_grazing) >= 1
