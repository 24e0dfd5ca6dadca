"""Targets on random inputs against their definitions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.networks import TwoLayer
from plateaux.problems import (
    loss,
    single_index,
    spiral,
    teacher_network,
    teacher_student,
)

TARGETS = [teacher_student, single_index, spiral]


# --- randomness ---


@pytest.mark.parametrize("target", TARGETS)
def test_seed_decides_the_data(target):
    np.testing.assert_array_equal(target(seed=3).x, target(seed=3).x)
    assert not np.array_equal(target(seed=3).x, target(seed=4).x)
    key = jax.random.key(3)
    np.testing.assert_array_equal(target(seed=key).x, target(seed=key).x)
    other = target(seed=jax.random.fold_in(key, 0)).x
    assert not np.array_equal(target(seed=key).x, other)


@pytest.mark.parametrize("target", TARGETS)
def test_a_seed_means_the_same_inputs_in_both_precisions(target):
    single, double = target(seed=5, dtype="float32"), target(seed=5)
    assert single.x.dtype == single.y.dtype == jnp.float32
    assert double.x.dtype == double.y.dtype == jnp.float64
    np.testing.assert_array_equal(single.x, double.x.astype(jnp.float32))
    np.testing.assert_allclose(single.y, double.y, rtol=1e-5, atol=1e-5)
    with jax.enable_x64(False):
        np.testing.assert_array_equal(target(seed=5).x, single.x)


@pytest.mark.parametrize("target", [teacher_student, single_index])
def test_gaussian_inputs_have_unit_moments(target):
    x = np.asarray(target(num_data=20_000, in_dim=3, seed=8).x)
    # four standard errors of a mean and of a second moment
    np.testing.assert_allclose(x.mean(axis=0), 0, atol=4 / math.sqrt(20_000))
    np.testing.assert_allclose(
        x.T @ x / 20_000, np.eye(3), atol=4 * math.sqrt(2 / 20_000)
    )


def test_traced_keys_are_refused():
    keys = jax.random.split(jax.random.key(0), 3)
    with pytest.raises(TypeError, match="`seed` must be known when.*but is traced"):
        jax.vmap(lambda key: teacher_student(num_data=4, seed=key).y)(keys)


# --- teacher and student ---


def test_teacher_is_a_soft_committee():
    teacher = teacher_network(width=4, in_dim=6, activation="tanh", seed=2)
    np.testing.assert_allclose(np.linalg.norm(teacher.w, axis=1), 1, rtol=1e-14)
    np.testing.assert_array_equal(teacher.b, np.zeros(4))
    np.testing.assert_array_equal(teacher.c, np.ones(4))
    assert len({tuple(row) for row in np.asarray(teacher.w).tolist()}) == 4


def test_targets_are_the_teachers_outputs():
    options = {"in_dim": 4, "activation": "tanh", "seed": 9}
    problem = teacher_student(num_data=20, teacher_width=3, **options)
    teacher = teacher_network(width=3, **options)
    expected = np.tanh(np.asarray(problem.x) @ np.asarray(teacher.w).T).sum(axis=1)
    np.testing.assert_allclose(problem.y, expected, rtol=1e-12)
    assert float(loss(problem, teacher)) < 1e-28


def test_inputs_do_not_depend_on_the_teacher():
    narrow, wide = teacher_student(teacher_width=1), teacher_student(teacher_width=7)
    np.testing.assert_array_equal(narrow.x, wide.x)
    assert not np.allclose(narrow.y, wide.y)


def test_teacher_and_inputs_are_independent():
    x = np.asarray(teacher_student(seed=6, num_data=10).x)
    w = np.asarray(teacher_network(seed=6).w)
    cosines = w @ x.T / np.linalg.norm(x, axis=1)
    assert np.abs(cosines).max() < 0.999


def test_a_given_teacher_is_used():
    teacher = TwoLayer(w=[[2.0, -1.0]], b=[0.5], c=[3.0])
    problem = teacher_student(teacher=teacher, num_data=6)
    x = np.asarray(problem.x)
    assert x.shape == (6, 2)
    expected = 3 * np.maximum(2 * x[:, 0] - x[:, 1] + 0.5, 0)
    np.testing.assert_allclose(problem.y, expected, rtol=1e-14)


# --- single index ---


def test_link_is_a_normalised_hermite_series():
    a = [0.5, -1.0, 2.0, 0.0, 0.25]
    u = np.array([3.0, 0.0, -4.0]) / 5
    problem = single_index(
        coefficients=a, direction=[3.0, 0.0, -4.0], in_dim=3, num_data=30, seed=1
    )
    z = np.asarray(problem.x) @ u
    h2, h4 = (z**2 - 1) / math.sqrt(2), (z**4 - 6 * z**2 + 3) / math.sqrt(24)
    expected = a[0] + a[1] * z + a[2] * h2 + a[4] * h4
    np.testing.assert_allclose(problem.y, expected, rtol=1e-12, atol=1e-13)


def test_link_may_be_a_plain_polynomial():
    a = [0.5, -1.0, 2.0]
    problem = single_index(coefficients=a, basis="polynomial", in_dim=2, num_data=30)
    z = np.asarray(problem.x)[:, 0]
    expected = a[0] + a[1] * z + a[2] * z**2
    np.testing.assert_allclose(problem.y, expected, rtol=1e-12, atol=1e-13)


def test_default_link_is_the_second_hermite_polynomial_along_the_first_axis():
    problem = single_index(num_data=10)
    z = np.asarray(problem.x)[:, 0]
    np.testing.assert_allclose(problem.y, (z**2 - 1) / math.sqrt(2), atol=1e-13)


# --- spiral ---


def test_spiral_without_noise_lies_on_its_arms():
    problem = spiral(num_per_class=4, num_classes=3, turns=0.5, noise=0.0)
    for k in range(12):
        j, r = k // 4, (k % 4 + 1) / 4
        angle = 2 * math.pi * (j / 3 + 0.5 * r)
        expected = [r * math.cos(angle), r * math.sin(angle)]
        np.testing.assert_allclose(problem.x[k], expected, atol=1e-14)
        np.testing.assert_array_equal(problem.y[k], np.eye(3)[j])


def test_spiral_noise_turns_but_keeps_the_radius():
    still, noisy = (spiral(num_per_class=400, noise=s, seed=2).x for s in (0.0, 0.3))
    still, noisy = np.asarray(still), np.asarray(noisy)
    radius = np.linalg.norm(still, axis=1)
    np.testing.assert_allclose(np.linalg.norm(noisy, axis=1), radius, rtol=1e-12)
    complex_ratio = (noisy @ [1, 1j]) / (still @ [1, 1j])
    turned = np.angle(complex_ratio)
    # four standard errors of a standard deviation from 1200 draws
    assert turned.std() == pytest.approx(0.3, rel=4 / math.sqrt(2 * 1200))


def test_spiral_trains_with_cross_entropy_unless_told():
    problem = spiral()
    assert (problem.x.shape, problem.y.shape) == ((150, 2), (150, 3))
    assert problem.time_unit == "flow time of L = Σ −Σ y log softmax(f) / K"
    assert spiral(loss="squared").time_unit == "flow time of L = Σ ½ r² / K"


# --- refusals ---


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: spiral(seed=-1), TypeError, "`seed` must be an integer from 0.*is -1"),
        (lambda: spiral(seed=1.5), TypeError, "`seed` must be an integer.*but is 1.5"),
        (
            lambda: spiral(noise=-0.1),
            ValueError,
            "`noise` must be 0 or more, but is -0",
        ),
        (lambda: spiral(num_classes=1), ValueError, "`num_classes` must be at least 2"),
        (
            lambda: spiral(num_per_class=0),
            ValueError,
            "`num_per_class` must be at least",
        ),
        (
            lambda: spiral(loss="logistic"),
            ValueError,
            "`y` must be −1 or .1 for the log",
        ),
        (
            lambda: single_index(basis="fourier"),
            ValueError,
            "basis must be one of hermit",
        ),
        (
            lambda: single_index(direction=[1.0]),
            ValueError,
            "`direction` must be 10 numb",
        ),
        (
            lambda: single_index(in_dim=2, direction=[0.0, 0.0]),
            ValueError,
            "2 numbers, not all zero, but is",
        ),
        (
            lambda: teacher_student(num_data=0),
            ValueError,
            "`num_data` must be at least 1",
        ),
        (
            lambda: teacher_student(teacher_width=0),
            ValueError,
            "`width` must be at least",
        ),
        (
            lambda: teacher_student(teacher="net"),
            TypeError,
            "`teacher` must be a network",
        ),
        (
            lambda: teacher_student(activation="reluu"),
            ValueError,
            "is 'reluu'; did you mean 'relu'",
        ),
    ],
)
def test_bad_options_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
