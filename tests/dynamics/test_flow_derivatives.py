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


SHIFT = np.cos(3 * np.asarray(problem_1d().x)[:, 0])


def observe(network, targets, **more):
    problem = eqx.tree_at(lambda p: p.y, problem_1d(), targets)
    run = px.flow(problem, network, method="explicit", **EXACT, **more)
    times = jnp.where(jnp.isfinite(run.events.time), run.events.time, 0)
    return (run.network, run.losses, times), run.stats.num_grazing


# One program for values and derivatives of all kinds.
derivative = jax.jit(lambda at, by: jax.jvp(observe, at, by, has_aux=True))


def along(network=0.0, targets=0.0):
    """A direction of networks and of targets."""
    both = (direction(), SHIFT)
    sizes = (network, targets)
    return tuple(
        jax.tree.map(lambda a, s=s: s * np.asarray(a), tree)
        for s, tree in zip(sizes, both, strict=True)
    )


def start(network=0.0, targets=0.0):
    """The reference start, moved in the direction."""
    ours = (network_1d(0), problem_1d().y)
    return jax.tree.map(np.add, ours, along(network, targets))


def assert_differences(**way):
    """The derivative along it is the central difference."""
    _, tangents, grazing = derivative(start(), along(**way))
    assert int(grazing) == 0
    steps = [{name: s * STEP for name in way} for s in (1, -1)]
    ahead, behind = (derivative(start(**step), along())[0] for step in steps)
    leaves = map(jax.tree.leaves, (tangents, ahead, behind))
    for tangent, a, b in zip(*leaves, strict=True):
        difference = np.subtract(a, b) / (2 * STEP)
        scale = 1 + np.max(np.abs(difference))
        assert np.max(np.abs(tangent - difference)) < 1e-7 * scale


def test_with_respect_to_the_initial_network():
    """Parameters, losses and event times; crossings and slides are on the way."""
    (_, _, times), _, _ = derivative(start(), along())
    assert np.sum(np.asarray(times) > 0) >= 6
    assert_differences(network=1.0)


def test_with_respect_to_data():
    assert_differences(targets=1.0)


@pytest.mark.slow
def test_reverse_mode_is_the_transpose():
    last = lambda n, **more: observe(n, problem_1d().y, **more)[0][1][-1]
    gradient = jax.grad(lambda n: last(n, derivatives="reverse"))(network_1d(0))
    _, tangent = jax.jvp(last, (network_1d(0),), (direction(),))
    leaves = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction()), strict=True)
    total = sum(np.sum(np.multiply(g, d)) for g, d in leaves)
    assert abs(float(total - tangent)) < 1e-12


def test_an_event_that_two_kinks_share_is_flagged():
    """Equal neurons cross together: event times have no joint derivative."""
    network, targets = start()
    twins = jax.tree.map(lambda a: a[np.arange(10) // 2], network)
    (_, _, times), _, grazing = derivative((twins, targets), along())
    assert np.sum(np.asarray(times) > 0) >= 2
    assert int(grazing) >= 1
