"""Activation patterns against counts and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux import patterns


def neurons(v, d):
    return px.TwoLayer(v[:, :d], v[:, d], np.ones(len(v)))


@pytest.mark.parametrize(("d", "num_data", "count"), [(1, 7, 14), (2, 6, 32)])
def test_number_of_patterns_of_one_neuron(d, num_data, count):
    """Cover's count 2 Σ_{k≤d} C(m−1, k): all are found, and no more."""
    rng = np.random.default_rng(0)
    x = jnp.array(rng.normal(size=(num_data, d)))
    found = patterns.pattern(neurons(rng.normal(size=(200_000, d + 1)), d), x)
    assert len(np.unique(np.asarray(found), axis=0)) == count


def test_probability_that_two_data_share_a_neuron():
    """P(both active) = (π − θ)/2π for v ~ N(0, I), θ the angle of x̃, x̃'."""
    rng = np.random.default_rng(1)
    x = jnp.array([[0.3], [-1.2]])
    found = patterns.pattern(neurons(rng.normal(size=(200_000, 2)), 1), x)
    xt = np.hstack([np.asarray(x), np.ones((2, 1))])
    cos = xt[0] @ xt[1] / np.prod(np.linalg.norm(xt, axis=1))
    expected = (np.pi - np.arccos(cos)) / (2 * np.pi)
    both = np.mean(np.all(np.asarray(found), axis=1))
    error = np.sqrt(expected * (1 - expected) / 200_000)
    assert abs(both - expected) < 4 * error


def test_a_boundary_datum_is_off():
    net = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])
    found = patterns.pattern(net, jnp.array([[1.0], [1.0 + 1e-15]]))
    assert found.tolist() == [[False, True]]


def test_deep_patterns_are_stacked_first_layer_first(key):
    net = px.networks.mlp(key, widths=(3, 2), in_dim=1, bias="normal")
    x = jnp.asarray(np.linspace(-1, 1, 5)[:, None])
    layers = patterns.layer_patterns(net, x)
    assert [layer.shape for layer in layers] == [(3, 5), (2, 5)]
    stacked = patterns.pattern(net, x)
    assert np.array_equal(stacked, np.concatenate(layers))
    first = np.asarray(jax.jit(jax.vmap(lambda xk: net.hidden(xk)[0]))(x)).T > 0
    assert np.array_equal(np.asarray(stacked)[:3], first)


def test_counts_dead_and_distances():
    one = np.array([[True, False, True], [False, False, False]])
    two = np.array([[True, True, False], [False, False, True]])
    stack = lambda *tables: jnp.asarray(np.stack(tables))
    assert patterns.active_counts(stack(one, two)).tolist() == [[2, 0], [2, 1]]
    assert patterns.dead_neurons(jnp.asarray(one)).tolist() == [False, True]
    assert int(patterns.hamming(jnp.asarray(one), jnp.asarray(two))) == 3
    assert patterns.flips(stack(one, two, two, one)).tolist() == [3, 0, 3]


def test_hash_tells_patterns_apart():
    """All 2^12 patterns of twelve pairs get different fingerprints."""
    bits = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    hashes = jax.jit(jax.vmap(patterns.pattern_hash))(bits.reshape(-1, 3, 4) > 0)
    assert len(np.unique(np.asarray(hashes), axis=0)) == 4096
    one = np.unique(np.asarray(hashes)[:, 0])
    assert len(one) == 4096  # each half already does, at this size


def test_breakpoints_are_where_the_neuron_turns_on():
    w, b = np.random.default_rng(2).normal(size=(2, 6))
    at = np.asarray(patterns.breakpoints(px.TwoLayer(w[:, None], b, np.ones(6))))
    assert np.max(np.abs(w * at + b)) < 1e-15
    left, right = (w * (at + shift) + b > 0 for shift in (-1e-9, 1e-9))
    assert np.all(left != right)


def test_breakpoints_need_one_input():
    net = px.TwoLayer(np.ones((2, 3)), np.zeros(2), np.ones(2))
    with pytest.raises(ValueError, match="one input to have breakpoints, but has 3"):
        patterns.breakpoints(net)
