import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux import doctor


@pytest.mark.parametrize("size", [3, 5])
def test_batched_sums_of_squares_are_right_in_every_lane(size):
    # jax 0.10.2 fails this: 3616 of the 20000 lanes, all past the 16384th, are wrong.
    generator = np.random.default_rng(3)
    matrix = generator.normal(size=(size, size))
    rows = generator.normal(size=(20_000, size))
    constant = jnp.asarray(matrix)
    got = jax.jit(jax.vmap(lambda row: jnp.sum((constant @ row) ** 2)))(rows)
    expected = np.array([np.sum((matrix @ row) ** 2) for row in rows])
    np.testing.assert_allclose(got, expected, rtol=1e-11)


def test_constants_are_folded_right_under_vmap():
    # jax 0.8.1 fails this in every row.
    constant = jnp.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    index = jnp.array([0, 2])
    update = lambda row: jnp.zeros(3).at[index].set(row[index] + 1)
    got = jax.jit(lambda: jax.vmap(update)(constant))()
    np.testing.assert_array_equal(got, [[2, 0, 4], [5, 0, 7]])


def test_diagnosis_of_this_installation():
    found = doctor.diagnose()
    assert found.healthy
    assert found.verdict == "Healthy: every self-check passed."
    assert found.precision == "float64"
    assert found.versions["jax"] == jax.__version__
    assert found.devices
    assert [check.name for check in found.checks] == [
        "double precision",
        "batched sums",
        "constants under vmap",
    ]


def test_checks_work_in_single_precision_mode():
    with jax.enable_x64(False):
        found = doctor.diagnose()
    assert (found.healthy, found.precision) == (True, "float32")


@pytest.mark.parametrize("wrong", [1, 3616])
def test_wrong_lanes_are_counted(monkeypatch, wrong):
    """A backend that spoils the last lanes, as jax 0.10.2 does."""
    real = jax.vmap

    def spoiled(function, *arguments, **named):
        batched = real(function, *arguments, **named)
        return lambda rows: batched(rows).at[-wrong:].add(1e-3)

    monkeypatch.setattr(jax, "vmap", spoiled)
    check = doctor.check_batched_sums()
    assert not check.passed
    assert check.detail == f"{wrong} of 20000 lanes wrong"


def test_verdict_names_what_failed(monkeypatch):
    bad = lambda: doctor.Check("batched sums", False, "3 of 4 lanes wrong")
    monkeypatch.setattr(doctor, "CHECKS", (bad,))
    found = doctor.diagnose()
    assert not found.healthy
    assert "batched sums failed" in found.verdict
    assert jax.__version__ in found.verdict


def test_missing_packages_are_said(monkeypatch):
    monkeypatch.setattr(doctor, "OPTIONAL", ("no-such-package",))
    assert doctor.diagnose().versions["no-such-package"] is None
