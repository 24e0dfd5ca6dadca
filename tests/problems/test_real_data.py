"""Bundled data: shapes, labels, standard units, subsets."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from sklearn.preprocessing import StandardScaler

from plateaux.problems import breast_cancer, diabetes, digits

BUNDLED = [diabetes, digits, breast_cancer]


def raw(target):
    loaders = {
        diabetes: lambda: sklearn.datasets.load_diabetes(return_X_y=True, scaled=False),
        digits: lambda: sklearn.datasets.load_digits(return_X_y=True),
        breast_cancer: lambda: sklearn.datasets.load_breast_cancer(return_X_y=True),
    }
    return loaders[target]()


@pytest.mark.parametrize("target", BUNDLED)
def test_inputs_are_in_standard_units(target):
    x, _ = raw(target)
    expected = StandardScaler().fit_transform(x)
    np.testing.assert_allclose(target().x, expected, atol=1e-12)


@pytest.mark.parametrize("target", BUNDLED)
def test_inputs_may_stay_raw(target):
    np.testing.assert_array_equal(target(standardise=False).x, raw(target)[0])


def test_diabetes_target_is_standardised_too():
    y = raw(diabetes)[1]
    np.testing.assert_allclose(diabetes().y, (y - y.mean()) / y.std(), atol=1e-13)
    np.testing.assert_array_equal(diabetes(standardise=False).y, y)


def test_constant_pixels_become_zero():
    x = np.asarray(raw(digits)[0])
    constant = np.flatnonzero(x.min(axis=0) == x.max(axis=0))
    np.testing.assert_array_equal(constant, [0, 32, 39])
    assert not np.any(np.asarray(digits().x)[:, constant])


def test_ten_digits_are_one_hot():
    problem = digits()
    np.testing.assert_array_equal(np.argmax(problem.y, axis=1), raw(digits)[1])
    np.testing.assert_array_equal(problem.y.sum(axis=1), np.ones(1797))
    assert "softmax" in problem.time_unit


def test_two_digits_are_signs_in_the_order_given():
    labels = raw(digits)[1]
    labels = labels[(labels == 3) | (labels == 8)]
    problem = digits(classes=(8, 3))
    np.testing.assert_array_equal(problem.y, np.where(labels == 3, 1, -1))
    np.testing.assert_array_equal(digits(classes=[3, 8]).y, -problem.y)
    assert "log(1 + exp" in problem.time_unit
    assert digits(classes=(3, 8), loss="squared").time_unit.endswith("½ r² / K")


def test_breast_cancer_labels():
    benign = raw(breast_cancer)[1]
    np.testing.assert_array_equal(breast_cancer().y, 2.0 * benign - 1)
    assert breast_cancer(loss="squared").time_unit.endswith("½ r² / K")


@pytest.mark.parametrize("target", BUNDLED)
def test_subset_is_drawn_by_seed_and_standardised_by_itself(target):
    x, _ = raw(target)
    small = target(num_data=40, seed=1)
    plain = target(num_data=40, seed=1, standardise=False)
    rows = [np.flatnonzero((x == row).all(axis=1)) for row in np.asarray(plain.x)]
    assert all(len(found) for found in rows)
    assert len({int(found[0]) for found in rows}) > 35  # digits repeat few pictures
    expected = StandardScaler().fit_transform(plain.x)
    np.testing.assert_allclose(small.x, expected, atol=1e-12)
    assert not np.array_equal(plain.x, target(num_data=40, standardise=False).x)


def test_subsets_of_one_seed_are_nested_and_keep_their_targets():
    few, more = (diabetes(num_data=k, standardise=False, seed=2) for k in (5, 9))
    np.testing.assert_array_equal(few.x, more.x[:5])
    x, y = raw(diabetes)
    for row, target in zip(np.asarray(more.x), np.asarray(more.y), strict=True):
        assert target in y[(x == row).all(axis=1)]


@pytest.mark.parametrize("target", BUNDLED)
def test_dtype(target):
    single = target(num_data=10, dtype="float32")
    assert single.x.dtype == single.y.dtype == jnp.float32
    with jax.enable_x64(False):
        np.testing.assert_array_equal(target(num_data=10).x, single.x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: diabetes(num_data=443),
            ValueError,
            "at most the 442 data.*but is 443",
        ),
        (lambda: diabetes(num_data=0), ValueError, "`num_data` must be at least 1"),
        (
            lambda: diabetes(loss="logistic"),
            ValueError,
            "−1 or .1 for the logistic loss",
        ),
        (
            lambda: digits(classes=(3, 3)),
            ValueError,
            r"two different digits.*is \(3, 3\)",
        ),
        (lambda: digits(classes=(3, 10)), ValueError, r"two different.*is \(3, 10\)"),
        (
            lambda: digits(classes=(3, 10, 4)),
            ValueError,
            r"two different.*\(3, 10, 4\)",
        ),
        (lambda: digits(classes=3), ValueError, "two different digits.*but is 3"),
        (
            lambda: digits(loss="exponential"),
            ValueError,
            "−1 or .1 for the exponential",
        ),
        (lambda: breast_cancer(loss="cross_entropy"), ValueError, "one-hot rows"),
        (
            lambda: breast_cancer(standardise="no"),
            TypeError,
            "`standardise` must be true",
        ),
    ],
)
def test_bad_options_are_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("target", BUNDLED)
def test_missing_scikit_learn_names_the_extra(target, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"need scikit-learn.*plateaux\[data\]"):
        target()
