import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.statistics import bootstrap_interval

KEY = jax.random.key(5)


def lanes(size=150):
    return jnp.asarray(np.random.default_rng(2).exponential(1.0, size))


def test_interval_of_a_mean_is_near_the_normal_one():
    values = lanes()
    estimate, low, high = bootstrap_interval(values, jnp.mean, key=KEY)
    half = 1.96 * float(jnp.std(values)) / np.sqrt(values.size)
    assert estimate == jnp.mean(values)
    # Skewness moves the ends by a tenth of a half-width; resampling noise by less.
    np.testing.assert_allclose([estimate - low, high - estimate], half, rtol=0.2)


def test_batches_do_not_change_the_result():
    a = bootstrap_interval(lanes(), jnp.mean, key=KEY, batch_size=7)
    b = bootstrap_interval(lanes(), jnp.mean, key=KEY)
    np.testing.assert_allclose(a, b, rtol=1e-14)


def test_another_key_gives_other_resamples():
    a = bootstrap_interval(lanes(), jnp.mean, key=KEY)
    b = bootstrap_interval(lanes(), jnp.mean, key=jax.random.key(6))
    assert a.low != b.low


def test_lanes_of_a_pytree_are_drawn_whole_and_shapes_are_kept():
    values = {"first": lanes(), "pair": jnp.stack([lanes(), 2 * lanes()], axis=1)}
    interval = bootstrap_interval(values, gap_and_medians, key=KEY, num_resamples=100)
    assert interval.low.shape == interval.estimate.shape == (3,)
    assert interval.low[0] == interval.high[0] == 0.0
    np.testing.assert_allclose(interval.high[2], 2 * interval.high[1], rtol=1e-12)


def gap_and_medians(values):
    gap = jnp.max(jnp.abs(values["pair"][:, 0] - values["first"]))
    return jnp.concatenate([gap[None], jnp.median(values["pair"], axis=0)])


def coverage(num_sets, size, num_resamples, nominal=0.9):
    rng = np.random.default_rng(8)
    covered = 0
    for i, sample in enumerate(rng.normal(2.0, 1.0, (num_sets, size))):
        _, low, high = bootstrap_interval(
            jnp.asarray(sample),
            jnp.mean,
            key=jax.random.fold_in(KEY, i),
            num_resamples=num_resamples,
            confidence=nominal,
            batch_size=num_resamples,
        )
        covered += low <= 2.0 <= high
    sigma = np.sqrt(nominal * (1 - nominal) / num_sets)
    # The percentile interval is narrow by about a factor √((B − 1)/B), and by
    # resampling: two per cent for these sizes.
    assert abs(covered / num_sets - nominal) < 4 * sigma + 0.02


@pytest.mark.slow
def test_coverage_of_a_mean():
    coverage(num_sets=1000, size=60, num_resamples=400)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"values": {}}, ValueError, "one number of lanes"),
        (
            {"values": jnp.ones(())},
            ValueError,
            r"leading axis, but has shapes \[\(\)\]",
        ),
        ({"values": (jnp.ones(2), jnp.ones(3))}, ValueError, r"shapes \[\(2,\), \(3,"),
        ({"num_resamples": 1}, ValueError, "`num_resamples` must be at least 2"),
        ({"batch_size": 0}, ValueError, "`batch_size` must be at least 1, but is 0"),
        ({"confidence": 1.5}, ValueError, "`confidence` must lie strictly .* is 1.5"),
        ({"values": jnp.array([jnp.inf, -jnp.inf])}, ValueError, "must not give NaN"),
    ],
)
def test_bad_input_is_refused(change, error, match):
    arguments = {"values": lanes(), "num_resamples": 20} | change
    with pytest.raises(error, match=match):
        bootstrap_interval(arguments.pop("values"), jnp.mean, key=KEY, **arguments)
