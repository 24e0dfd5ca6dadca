import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux.stages import Plateaus
from plateaux.statistics import (
    kaplan_meier,
    median_survival,
    restricted_mean,
    sensitivity_table,
    wilson,
)

INF = np.inf
COMPLETED = np.array(["completed"] * 4 + ["diverged"])


def table(rows, size=3):
    """Columns from a list of (start, end, censored) for each lane, padded with inf."""
    shape = (len(rows), size)
    columns = {
        "start": np.full(shape, INF),
        "end": np.full(shape, INF),
        "censored": np.zeros(shape, bool),
        "count": np.array([len(row) for row in rows]),
    }
    for lane, row in enumerate(rows):
        for i, (start, end, censored) in enumerate(row):
            columns["start"][lane, i] = start
            columns["end"][lane, i] = end
            columns["censored"][lane, i] = censored
    return columns


def tables():
    """Four completed lanes by two definitions, and one that diverged."""
    loose = table(
        [
            [(0.0, 3.0, False), (4.0, 9.0, True)],
            [(1.0, 2.0, False)],
            [],
            [],
            [(0.0, 50.0, True)],
        ]
    )
    strict = table(
        [
            [(1.0, 5.0, False), (5.0, 6.0, False), (8.0, 9.0, True)],
            [],
            [],
            [(2.0, 4.0, False)],
            [],
        ]
    )
    return {"loose": loose, "strict": strict}


def compare(**changes):
    arguments = {"tables": tables(), "horizon": 4.0, "outcomes": COMPLETED}
    return sensitivity_table(**arguments | changes)


def test_rows():
    found = compare()
    assert (found.lanes, found.pooled_lanes, found.horizon) == (5, 4, 4.0)
    loose, strict = found.rows
    assert (loose.definition, strict.definition) == ("loose", "strict")
    assert loose.with_plateau == wilson(2, 4)
    assert (loose.num_plateaus.estimate, strict.num_plateaus.estimate) == (0.75, 1.0)
    assert (loose.num_plateaus.low, loose.overflowed) == (0.0, 0)
    assert (loose.pooled_plateaus, strict.pooled_plateaus) == (3, 4)
    assert loose.censored == wilson(1, 3)
    dwell = np.array([3.0, 5.0, 1.0]), np.array([False, True, False])
    assert loose.median_dwell == median_survival(kaplan_meier(*dwell))
    assert loose.restricted_mean == restricted_mean(*dwell, horizon=4.0)


def test_agreement():
    (pair,) = compare().agreements
    assert (pair.first, pair.second) == ("loose", "strict")
    assert pair.both == wilson(1, 4)
    # Lane 0: [0, 3] ∪ [4, 9] and [1, 6] ∪ [8, 9] share 2 + 2 + 1 of 9; lanes 1 and 3
    # nothing; lane 2 has no plateau.
    assert pair.overlap_lanes == 3
    np.testing.assert_allclose(pair.overlap.estimate, (5 / 9) / 3, rtol=1e-14)
    assert (pair.overlap.low, pair.overlap.high < 1) == (0.0, True)
    # Each finds a plateau in 2 of 4 lanes; they agree on 2, as chance alone would.
    assert pair.kappa == 0.0


def test_kappa_of_a_textbook_table():
    # Cohen's κ of the two-by-two table 20, 5 / 10, 15 is 0.4.
    counts = {"a": [1] * 25 + [0] * 25, "b": [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15}
    rows = {
        name: table([[(0.0, 1.0, False)] * n for n in of])
        for name, of in counts.items()
    }
    found = sensitivity_table(rows, horizon=1.0, outcomes=["completed"] * 50)
    np.testing.assert_allclose(found.agreements[0].kappa, 0.4, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_overlap_is_that_on_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    rows = {
        name: [
            [
                tuple(edges) + (False,)
                for edges in np.sort(rng.random(2 * n)).reshape(n, 2)
            ]
            for n in rng.integers(0, 4, 20)
        ]
        for name in ("a", "b")
    }
    grid = (np.arange(100_000) + 0.5) / 100_000
    indices = []
    for a, b in zip(rows["a"], rows["b"], strict=True):
        on = [sum((s < grid) & (grid < e) for s, e, _ in of) for of in (a, b)]
        if np.any(on[0] + on[1]):
            indices.append(np.mean(on[0] * on[1]) / np.mean((on[0] + on[1]) > 0))
    found = sensitivity_table(
        {name: table(of) for name, of in rows.items()},
        horizon=0.1,
        outcomes=["completed"] * 20,
    )
    (pair,) = found.agreements
    assert pair.overlap_lanes == len(indices)
    np.testing.assert_allclose(pair.overlap.estimate, np.mean(indices), atol=1e-4)


def test_a_definition_agrees_with_itself():
    both = {"one": tables()["loose"], "two": tables()["loose"]}
    (pair,) = compare(tables=both).agreements
    assert (pair.kappa, pair.overlap.estimate, pair.overlap_lanes) == (1.0, 1.0, 2)


def test_nothing_found():
    none = {"one": table([[]] * 5), "two": table([[]] * 5)}
    found = compare(tables=none)
    row, pair = found.rows[0], found.agreements[0]
    assert row.with_plateau == wilson(0, 4)
    assert (row.censored, row.median_dwell, row.restricted_mean) == (None,) * 3
    assert pair.overlap is None
    assert np.isnan(pair.kappa)


def test_a_horizon_beyond_what_was_seen_gives_no_mean():
    loose, strict = compare(horizon=6.0).rows
    assert loose.restricted_mean is None  # the dwell of 5 is censored
    assert strict.restricted_mean.estimate < 4  # the longest, 4, ended


def test_other_outcomes_and_confidence():
    found = compare(pool=("completed", "diverged"), confidence=0.8)
    assert found.pooled_lanes == 5
    assert found.rows[0].with_plateau == wilson(3, 5, confidence=0.8)
    assert found.agreements[0].both == wilson(1, 5, confidence=0.8)


def test_it_reads_as_text():
    lines = str(compare()).splitlines()
    assert lines[0] == "4 of 5 lanes"
    assert lines[2].split("  ")[0] == "definition"
    assert lines[2].endswith("mean up to 4")
    assert lines[3].startswith("loose       0.5 [0.15, 0.85]")
    assert lines[-1].startswith("loose, strict  0.25 [")
    assert str(compare(tables={"one": table([[]] * 5)})).count("-") == 3


def test_it_takes_a_batch_of_plateaus():
    columns = tables()["loose"]
    rest = dict.fromkeys(("dwell", "level", "drop"), jnp.zeros((5, 3)))
    overflow = jnp.array([True, False, False, True, True])
    batch = jax.vmap(lambda **columns: Plateaus(**columns))(
        **{name: jnp.asarray(column) for name, column in columns.items()},
        **rest,
        overflow=overflow,
        raw_count=jnp.asarray(columns["count"]),
    )
    (row,) = compare(tables={"loose": vars(batch)}).rows
    assert row.overflowed == 2
    assert row._replace(overflowed=0) == compare().rows[0]


def changed(**columns):
    return {"tables": {"loose": tables()["loose"] | columns}}


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"tables": {}}, ValueError, "at least one definition .* are 0 definitions"),
        ({"pool": ("stopped",)}, ValueError, r"0 of 5 lanes with .*\('stopped',\)"),
        ({"tables": {"loose": {"start": 1}}}, ValueError, "lacks end, censored, count"),
        ({"horizon": -1.0}, ValueError, "`horizon` must be positive"),
        ({"outcomes": np.zeros(5, int)}, TypeError, "one word a lane, .* int64"),
        ({"outcomes": ["completed"] * 4}, ValueError, r"count` must have shape \(4,\)"),
        (changed(count=np.full(5, 4)), ValueError, "size of the table, 3, .* 4"),
        (changed(count=np.full(5, 3)), ValueError, "used plateaus of 'loose' must be"),
        (
            changed(end=np.ones((5, 2))),
            ValueError,
            r"loose.end` must have shape \(5, 3",
        ),
        (changed(end=np.zeros((5, 3))), ValueError, "in order of time and disjoint"),
        (changed(start=np.zeros((5, 3))), ValueError, "in order of time and disjoint"),
        (
            changed(overflow=np.zeros(5)),
            TypeError,
            "loose.overflow` must hold Booleans",
        ),
    ],
)
def test_bad_input_is_refused(change, error, match):
    with pytest.raises(error, match=match):
        compare(**change)
