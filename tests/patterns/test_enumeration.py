"""All patterns of small data, and the best loss over them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.patterns import (
    best_loss,
    certify,
    least_squares,
    loss_bounds,
    neuron_patterns,
    segmented_fit,
)

from ..closeness import stacked


@pytest.mark.parametrize(
    ("num", "dim", "count"), [(7, 1, 14), (6, 2, 32), (6, 3, 52), (2, 3, 4), (1, 2, 2)]
)
def test_cover_counts(num, dim, count):
    """2 Σ_{j≤d} C(K−1, j) in general position."""
    x = np.random.default_rng(num).normal(size=(num, dim))
    patterns = neuron_patterns(x)
    assert len(patterns) == count
    assert count == 2 * sum(math.comb(num - 1, j) for j in range(dim + 1))
    assert len({tuple(row) for row in patterns}) == count


def test_patterns_are_those_that_sampling_finds():
    """On a grid, with a repeated datum, where data are not in general position."""
    x = np.stack(np.meshgrid(np.arange(3.0), np.arange(2.0)), axis=-1).reshape(-1, 2)
    x = np.concatenate([x, x[:1]])
    rng = np.random.default_rng(0)
    v = rng.normal(size=(200_000, 3)) * [1, 1, 1.5]
    seen = np.unique(v[:, :2] @ x.T + v[:, 2:] > 0, axis=0)
    np.testing.assert_array_equal(neuron_patterns(x), seen)


def test_in_one_dimension_the_least_floor_is_the_best_fit_by_lines():
    x = np.array([0.0, 0.7, 1.0, 1.9, 2.5, 3.1, 4.0])
    y = np.array([0.3, -0.2, 1.0, 0.5, 0.0, 0.8, -0.5])
    problem = px.Problem(x[:, None], y, normalisation="sum")
    values = segmented_fit(problem, 3).values
    for neurons in (1, 2):
        best = best_loss(problem, neurons, affine=True)
        np.testing.assert_allclose(best.lower, values[neurons], rtol=1e-10)
        bounds = loss_bounds(problem, neurons, affine=True)
        np.testing.assert_allclose(best.lower, bounds.lower, rtol=1e-10)
        assert best.lower <= best.upper <= bounds.upper * (1 + 1e-12)
        assert best.num_fits == sum(math.comb(6, m) for m in range(neurons + 1))


def test_one_neuron_that_cannot_jump_is_not_said_to():
    """Two groups whose lines meet far from the gap: one kink cannot, two can."""
    x = np.arange(6.0)
    problem = px.Problem(x[:, None], np.array([0.0, 0, 0, 5, 5, 5]))
    one = best_loss(problem, 1, affine=True)
    assert float(one.lower) < 1e-25
    assert not one.reached
    assert float(one.upper) > 0.1
    two = best_loss(problem, 2, affine=True)
    assert two.reached
    assert float(two.upper) < 1e-25


def test_a_teacher_in_two_dimensions_is_found_and_nothing_is_below():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(8, 2))
    teacher = px.TwoLayer(rng.normal(size=(1, 2)), [0.3], [1.5])
    w = np.asarray(teacher.w)[0]
    y = 1.5 * np.maximum(x @ w + 0.3, 0) + 0.1 * rng.normal(size=8)
    problem = px.Problem(x, y)
    best = best_loss(problem, 1, affine=False)
    assert best.lower <= best.upper <= px.loss(problem, teacher)
    # descent from many starts comes near it, never below
    found = []
    for seed in range(40):
        r = np.random.default_rng(seed)
        network = px.TwoLayer(r.normal(size=(1, 2)), r.normal(size=1), r.normal(size=1))
        found.append(network)
    batch = stacked(found)
    train = lambda net: px.descend(
        problem, net, px.gradient_descent(0.3), num_steps=4000, save=px.every(4000)
    ).losses[-1]
    losses = np.asarray(jax.jit(jax.vmap(train))(batch))
    assert np.min(losses) >= best.lower * (1 - 1e-9)
    np.testing.assert_allclose(np.min(losses), best.upper, rtol=1e-3)


def test_certificates():
    x = np.linspace(-1, 1, 30)
    problem = px.Problem(x[:, None], np.sin(3 * x))
    rng = np.random.default_rng(0)
    for affine in (True, False):
        p = [0.1, 0.2] if affine else None
        network = px.TwoLayer(
            rng.normal(size=(4, 1)), rng.normal(size=4), rng.normal(size=4), p
        )
        proof = certify(problem, network)
        values = segmented_fit(problem, 5).values
        assert values[4] * (1 - 1e-9) < proof.lower < values[4]  # less its rounding
        upper = values[2 if affine else 1]
        assert upper < proof.upper < upper * (1 + 1e-9)
        np.testing.assert_allclose(proof.loss, px.loss(problem, network), rtol=1e-14)
        np.testing.assert_allclose(proof.gap * proof.lower, proof.excess, rtol=1e-12)
    without = loss_bounds(problem, 1, affine=False)
    np.testing.assert_allclose(without.upper, np.mean(np.sin(3 * x) ** 2) / 2)


def test_no_network_is_below_its_bound():
    """300 networks with the best outer weights and affine part for their kinks."""
    x = np.linspace(-1, 1, 30)
    y = np.sin(3 * x)
    problem = px.Problem(x[:, None], y)
    rng = np.random.default_rng(1)
    kinks, signs = (
        rng.uniform(-1, 1, (300, 1, 3)),
        np.sign(rng.normal(size=(300, 1, 3))),
    )
    z = signs * (x[None, :, None] - kinks)
    line = np.broadcast_to(np.stack([x, np.ones(30)], axis=1), (300, 30, 2))
    features = jnp.asarray(np.concatenate([np.where(z > 0, z, 0), line], axis=2))
    fit = lambda phi: least_squares(phi, problem.y, problem.sample_weights).value
    losses = jax.jit(jax.vmap(fit))(features)
    lower = loss_bounds(problem, 3, affine=True).lower
    assert np.min(losses) >= lower
    assert np.min(losses) < 3 * lower


def test_a_bound_of_rounding_size_is_none():
    """Four lines go through eight data; their sums of squares only nearly cancel."""
    x = np.linspace(-1.0, 1.0, 8)[:, None]
    problem = px.Problem(x, np.sin(np.pi * x[:, 0]))
    assert 0 < px.patterns.segmented_fit(problem, 4).values[-1] < 1e-15
    assert px.patterns.loss_bounds(problem, 3, affine=False).lower == 0


def test_a_step_has_loss_zero_with_two_neurons_and_its_certificate_says_so():
    x = np.linspace(-1, 1, 20)
    problem = px.Problem(x[:, None], (x > 0).astype(float))
    h = x[10]
    ramp = px.TwoLayer([[1.0], [1.0]], [h, -h], [1 / (2 * h), -1 / (2 * h)])
    proof = certify(problem, ramp)
    assert float(proof.loss) < 1e-28
    assert float(proof.gap) == 0
    zero = px.TwoLayer([[0.0], [0.0]], [0.0, 0.0], [0.0, 0.0])
    assert float(certify(problem, zero).gap) == np.inf


def test_refusals():
    x = np.random.default_rng(0).normal(size=(12, 2))
    problem = px.Problem(x, x[:, 0])
    with pytest.raises(
        ValueError, match="at least 392218 to fit every set of 3 of 133"
    ):
        best_loss(problem, 3, affine=False)
    with pytest.raises(ValueError, match=r"hyperplanes to be enumerated.*= 66"):
        neuron_patterns(x, max_hyperplanes=10)
    labels = px.Problem(x, np.sign(x[:, 0]), loss="logistic")
    with pytest.raises(ValueError, match="squared loss of one output"):
        best_loss(labels, 1, affine=True)
    with pytest.raises(ValueError, match="one input and the squared loss"):
        loss_bounds(problem, 1, affine=True)
