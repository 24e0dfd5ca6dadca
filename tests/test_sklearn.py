"""The regressor keeps scikit-learn's contract."""

import pickle

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

import plateaux as px

rng = np.random.default_rng(0)
X = rng.uniform(-3, 5, size=(30, 2)) * [1.0, 100.0]
Y = 1000 + 20 * np.abs(X[:, 0] - 1)


def regressor(**options):
    settings = {"n_neurons": 3, "n_init": 3, "max_steps": 30, "random_state": 0}
    return px.sklearn.ANLSRegressor(**{**settings, **options})


@pytest.fixture(scope="module")
def fitted():
    return regressor().fit(pd.DataFrame(X, columns=["a", "b"]), Y)


def test_it_fits_in_the_units_of_the_data(fitted):
    frame = pd.DataFrame(X, columns=["a", "b"])
    assert fitted.score(frame, Y) > 1 - 1e-9
    assert fitted.feature_names_in_.tolist() == ["a", "b"]
    assert fitted.losses_.shape == (3,)
    assert fitted.best_init_ == np.argmin(fitted.losses_)
    outputs = px.outputs(fitted.network_, X)
    np.testing.assert_allclose(outputs, fitted.predict(frame), rtol=1e-12)


def test_clone_pickle_and_seed_give_the_same(fitted):
    frame = pd.DataFrame(X, columns=["a", "b"])
    again = clone(fitted).fit(frame, Y)
    loaded = pickle.loads(pickle.dumps(fitted))
    for other in (again, loaded):
        np.testing.assert_array_equal(other.predict(frame), fitted.predict(frame))
    assert clone(fitted).get_params() == fitted.get_params()


def test_validation_chooses_by_data_that_were_kept_aside():
    model = regressor(validation_fraction=0.3).fit(X, Y)
    assert model.score(X, Y) > 0.99
    # ½ mean square of 9 data in standard units; the training loss would be 0
    assert model.losses_[model.best_init_] == model.losses_.min()
    other = regressor().fit(X, Y)
    assert np.all(model.losses_ != other.losses_)


def test_nothing_of_jax_is_changed_and_float32_is_used_without_x64():
    before = dict(jax.config.values)
    with jax.enable_x64(False):
        model = regressor().fit(X, Y)
        assert model.network_.w.dtype == np.float32
    assert model.predict(X).dtype == np.float64
    assert model.score(X, Y) > 0.999
    assert dict(jax.config.values) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_neurons": 0}, "`n_neurons` must be at least 1"),
        ({"method": "jont"}, "did you mean 'joint'"),
        ({"validation_fraction": 1.5}, "must lie between 0 and 1"),
        ({"validation_fraction": 0.99}, "leaves none"),
        ({"tol": -1.0}, "`tol` must be positive"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        regressor(**options).fit(X, Y)


def test_constant_targets_and_inputs():
    constant = np.column_stack([X[:, 0], np.ones(30)])
    model = regressor().fit(constant, np.full(30, 7.0))
    np.testing.assert_allclose(model.predict(constant), 7)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Skipping check check_array_api_input")
def test_the_contract():
    check_estimator(regressor(n_neurons=5, n_init=2))
