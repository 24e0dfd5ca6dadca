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
    both = float(jnp.mean(jnp.all(found, axis=1)))
    error = np.sqrt(expected * (1 - expected) / 200_000)
    assert abs(both - expected) < 4 * error


def test_a_boundary_datum_is_off():
    net = px.TwoLayer(w=[[1.0]], b=[-1.0], c=[1.0])
    found = patterns.pattern(net, jnp.array([[1.0], [1.0 + 1e-15]]))
    assert found.tolist() == [[False, True]]


def test_deep_patterns_are_stacked_first_layer_first(key):
    net = px.networks.mlp(key, widths=(3, 2), in_dim=1, bias="normal")
    x = jnp.linspace(-1, 1, 5)[:, None]
    layers = patterns.layer_patterns(net, x)
    assert [layer.shape for layer in layers] == [(3, 5), (2, 5)]
    stacked = patterns.pattern(net, x)
    assert jnp.array_equal(stacked, jnp.concatenate(layers))
    first = jnp.array([[bool(z > 0) for z in net.hidden(xk)[0]] for xk in x]).T
    assert jnp.array_equal(stacked[:3], first)


def test_counts_dead_and_distances():
    one = jnp.array([[True, False, True], [False, False, False]])
    two = jnp.array([[True, True, False], [False, False, True]])
    assert patterns.active_counts(jnp.stack([one, two])).tolist() == [[2, 0], [2, 1]]
    assert patterns.dead_neurons(one).tolist() == [False, True]
    assert int(patterns.hamming(one, two)) == 3
    assert patterns.flips(jnp.stack([one, two, two, one])).tolist() == [3, 0, 3]


def test_hash_tells_patterns_apart():
    """All 2^12 patterns of twelve pairs get different fingerprints."""
    bits = (np.arange(4096)[:, None] >> np.arange(12)) & 1
    hashes = jax.vmap(patterns.pattern_hash)(jnp.array(bits.reshape(-1, 3, 4), bool))
    assert len(np.unique(np.asarray(hashes), axis=0)) == 4096
    one = np.unique(np.asarray(hashes)[:, 0])
    assert len(one) == 4096  # each half already does, at this size


def test_breakpoints_are_where_the_neuron_turns_on(key):
    net = px.networks.he(key, width=6, in_dim=1, bias="normal")
    at = patterns.breakpoints(net)
    z = net.w[:, 0] * at + net.b
    assert float(jnp.max(jnp.abs(z))) < 1e-15
    both = jnp.stack([at - 1e-9, at + 1e-9])
    sides = jax.vmap(lambda x: net.w[:, 0] * x + net.b > 0)(both)
    assert jnp.all(sides[0] != sides[1])


def test_breakpoints_need_one_input(key):
    net = px.networks.he(key, width=2, in_dim=3)
    with pytest.raises(ValueError, match="one input to have breakpoints, but has 3"):
        patterns.breakpoints(net)
