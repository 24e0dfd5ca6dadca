"""experiments/tiny.py, the idea in plain JAX, gives what the library gives."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px

from .experiment_files import load

LANES, WIDTH, STEP_SIZE, NUM_STEPS = 4, 12, 2e-2, 3000

tiny = load("tiny")


@pytest.fixture(scope="module")
def both():
    """The same lanes trained by the page and by the library."""
    x = jnp.linspace(-1, 1, 30)
    y = jnp.sin(2 * jnp.pi * x) + 0.3 * x
    keys = jax.random.split(jax.random.key(3), LANES)
    params = jax.vmap(lambda key: tiny.he(key, WIDTH))(keys)
    page = jax.vmap(lambda p: tiny.train(p, x, y, STEP_SIZE, NUM_STEPS))(params)
    steps = tiny.log_spaced(NUM_STEPS, 150)
    networks = jax.vmap(lambda w, b, c: px.TwoLayer(w[:, None], b, c))(*params)
    run = jax.vmap(
        lambda network: px.descend(
            px.Problem(x[:, None], y),
            network,
            px.gradient_descent(STEP_SIZE),
            num_steps=NUM_STEPS,
            save=px.at((STEP_SIZE * steps).tolist()),
        )
    )(networks)
    return page, run, steps


def test_losses_and_parameters_are_equal(both):
    ((w, b, c), losses, _), run, steps = both
    np.testing.assert_array_equal(run.steps[0], steps)
    np.testing.assert_allclose(losses[:, steps], run.losses, rtol=1e-12, atol=0)
    for mine, theirs in zip((w, b, c), jax.tree.leaves(run.network), strict=True):
        np.testing.assert_allclose(
            mine, theirs.reshape(mine.shape), rtol=1e-11, atol=1e-13
        )


def test_pattern_changes_are_counted_alike(both):
    (_, _, changed), run, _ = both
    counts = np.sum(np.asarray(changed), axis=1)
    np.testing.assert_array_equal(counts, run.stats.pattern_changes)
    assert counts.min() > 10


def test_plateaus_by_pattern_are_as_many_as_the_raw_count(both):
    (_, _, changed), run, _ = both
    raw = jax.vmap(lambda r: px.plateaus(r, by="pattern"))(run).raw_count
    for lane in range(LANES):
        spans = tiny.plateaus_by_pattern(np.asarray(changed[lane]), STEP_SIZE)
        assert len(spans) == raw[lane]
        np.testing.assert_array_equal(spans[1:, 0], spans[:-1, 1])
        np.testing.assert_allclose(spans[[0, -1], [0, 1]], [0, STEP_SIZE * NUM_STEPS])


def test_plateaus_by_slope_are_equal(both):
    (_, losses, _), run, steps = both
    tables = jax.vmap(px.plateaus)(run)
    for lane in range(LANES):
        spans = tiny.plateaus_by_slope(
            STEP_SIZE * steps, np.asarray(losses[lane, steps])
        )
        used = slice(0, int(tables.count[lane]))
        np.testing.assert_allclose(spans[:, 0], tables.start[lane, used], rtol=1e-12)
        np.testing.assert_allclose(spans[:, 1], tables.end[lane, used], rtol=1e-12)
    assert int(tables.count.max()) >= 2


def test_flat_spans_by_hand():
    times = np.array([0.0, 1, 2, 4, 8, 16, 18])
    losses = np.exp([0.0, 0, 0, -1, -1.06, -1.07, -3])
    # flat: 1 to 2 (with what came before), 4 to 16; log slopes -0.087 and -0.014
    spans = tiny.plateaus_by_slope(times, losses)
    np.testing.assert_array_equal(spans, [[0, 2], [4, 16]])
    strict = tiny.plateaus_by_slope(times, losses, threshold=0.05)
    np.testing.assert_array_equal(strict, [[0, 2], [8, 16]])


def test_pattern_spans_by_hand():
    changed = np.array([False, True, False, False, True])
    spans = tiny.plateaus_by_pattern(changed, 0.5)
    np.testing.assert_array_equal(spans, [[0, 1], [1, 2.5], [2.5, 2.5]])


def test_it_prints_one_line_a_lane(capsys):
    tiny.run(tiny.Config(lanes=2, width=4, num_data=6, num_steps=50))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["lane", "0", "1"]


def test_it_is_one_page_of_plain_jax():
    text = Path(tiny.__file__).read_text()
    assert len(text.splitlines()) < 120
    imported = {
        line.split()[1].split(".")[0]
        for line in text.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported == {"dataclasses", "functools", "jax", "numpy"}
