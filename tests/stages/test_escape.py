"""Escapes from made-up losses, from chains of known plateaus, and of random chains."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.dynamics import reduced
from plateaux.stages import EscapeCause, escape, escape_direction
from plateaux.statistics import escape_summary, kaplan_meier, log_rank, wilson

from ..closeness import assert_close, lane
from ..variants import most_slow
from .test_multistage import made_up

PROBLEM = px.Problem([[1.0]], [1.0])
KEEP = {
    "network": lambda problem, network: network,
    "gradient_norm": px.dynamics.gradient_norm,
}
TIMES = [0.0, 1.0, 2.0, 4.0, 8.0]


def chain_run(losses, weights=(0.3, 0.3), outcome=None, saved=None):
    net = px.networks.Chain(list(weights))
    run = made_up(TIMES, losses, net, saved)
    if outcome is None:
        return run
    return eqx.tree_at(lambda r: r.outcome, run, outcome)


def chains(rows):
    """Chains with a leading axis."""
    one = px.networks.Chain(rows[0])
    return eqx.tree_at(lambda chain: chain.weights, one, jnp.asarray(np.array(rows)))


def cause(found):
    return EscapeCause(int(found.cause)).name


# --- criteria ------------------------------------------------------------------------


def test_loss_and_share_of_the_loss():
    run = chain_run([2.0, 1.9, 1.5, 0.5, 0.1])
    found = escape(run, PROBLEM, criterion="loss", level=1.0)
    assert float(found.time) == float(found.duration) == 3.0
    np.testing.assert_allclose(found.level, 1.0, rtol=1e-15)
    assert (cause(found), bool(found.censored)) == ("descended", False)
    assert float(escape(run, PROBLEM, criterion="share", level=0.5).time) == 3.0


def test_slope_is_the_end_of_the_first_plateau():
    """As `px.plateaus` ends it; a loss that climbs is not left by climbing."""
    losses = [2.0, 1.99, 1.98, 0.5, 0.1]
    run = chain_run(losses)
    found = escape(run, PROBLEM, criterion="slope", level=0.1)
    assert float(found.time) == float(px.plateaus(run, threshold=0.1).end[0]) == 2.0
    climbing = chain_run([2.0, 1.99, 3.0, 2.9, 0.1])
    assert float(escape(climbing, PROBLEM, criterion="slope", level=0.5).time) == 4.0


def test_distance_and_gradient_of_saved_networks():
    networks = chains([[0.3, 0.3], [0.3, 0.4], [0.3, 0.5], [0.6, 0.7], [0.6, 0.7]])
    norms = jnp.array([0.1, 0.1, 0.2, 0.4, 0.3])
    saved = {"network": networks, "gradient_norm": norms}
    run = chain_run([2.0, 1.9, 1.5, 0.5, 0.1], saved=saved)
    found = escape(run, PROBLEM, criterion="distance", level=0.35)
    np.testing.assert_allclose(found.time, 2 + 2 * 0.15 / 0.3, rtol=1e-12)
    found = escape(run, PROBLEM, criterion="gradient", level=3.0)
    np.testing.assert_allclose(found.time, 3.0, rtol=1e-12)


def test_what_must_be_recorded_and_known():
    run = chain_run([2.0, 1.9, 1.5, 0.5, 0.1])
    for criterion, name in {"distance": "network", "gradient": "gradient_norm"}.items():
        with pytest.raises(ValueError, match=f"recorded '{name}'"):
            escape(run, PROBLEM, criterion=criterion, level=1.0)
    with pytest.raises(ValueError, match="criterion of an escape"):
        escape(run, PROBLEM, criterion="los", level=1.0)
    with pytest.raises(ValueError, match="level"):
        escape(run, PROBLEM, criterion="loss", level=0.0)


# --- causes --------------------------------------------------------------------------


def test_causes_are_told_apart():
    flat = [2.0, 2.0, 2.0, 2.0, 2.0]
    still = escape(chain_run(flat), PROBLEM, level=0.5)
    assert (cause(still), float(still.duration)) == ("still", 8.0)
    assert (bool(still.censored), float(still.time)) == (True, np.inf)
    dead = escape(chain_run(flat, (0.0, 0.0)), PROBLEM, level=0.5)
    assert cause(dead) == "dead"
    lost = chain_run([2.0, 2.0, 9.0, np.inf, np.inf], outcome=px.Outcome.diverged)
    lost = escape(lost, PROBLEM, level=0.5)
    assert (cause(lost), float(lost.duration), float(lost.level)) == ("diverged", 2, 9)
    after = chain_run([2.0, 0.5, 9.0, np.inf, np.inf], outcome=px.Outcome.diverged)
    assert cause(escape(after, PROBLEM, level=0.5)) == "descended"


def test_who_diverges_does_not_descend_by_distance():
    rows = [[0.3, 0.3], [0.3, 0.4], [9.0, 9.0], [9.0, 9.0], [9.0, 9.0]]
    saved = {"network": chains(rows), "gradient_norm": jnp.array([0.1] * 5)}
    losses = [2.0, 2.0, 3000.0, np.inf, np.inf]
    far = chain_run(losses, outcome=px.Outcome.diverged, saved=saved)
    found = escape(far, PROBLEM, criterion="distance", level=5.0)
    assert (cause(found), float(found.time)) == ("diverged", np.inf)


def test_a_dead_relu_network_is_dead_and_a_flat_one_is_not():
    dead = px.TwoLayer(w=[[-1.0]], b=[-1.0], c=[1.0])
    assert cause(escape(made_up(TIMES, [2.0] * 5, dead), PROBLEM, level=0.5)) == "dead"
    flat = chain_run([2.0] * 5, (1e-14, 1e-13))
    assert cause(escape(flat, PROBLEM, level=0.5)) == "still"


# --- runs of known plateaus ----------------------------------------------------------


def test_descent_of_a_chain_leaves_when_its_law_says():
    """The loss ½ (1 − u)² is 1/8 at u = 1/2; steps of 1e-3 are nearly flow."""
    chain = px.networks.Chain([0.3] * 6)
    time = reduced.chain_escape_time(0.3**6, 0.5, depth=6)
    run = px.descend(
        PROBLEM, chain, px.gradient_descent(1e-3), num_steps=40_000, record=KEEP,
        save=px.every(20),
    )  # fmt: skip
    found = escape(run, PROBLEM, criterion="loss", level=0.125)
    # 1e-4: descent lags behind the flow by half a step times the logarithm it grows by.
    np.testing.assert_allclose(found.time, time, rtol=1e-4)
    far = escape(run, PROBLEM, criterion="distance", level=6**0.5 * (0.5 - 0.3))
    by_law = reduced.chain_escape_time(0.3**6, 0.5**6, depth=6)
    np.testing.assert_allclose(far.time, by_law, rtol=1e-4)


def test_sign_descent_leaves_when_sign_flow_says():
    chain = px.networks.Chain([0.3] * 6)
    run = px.descend(
        PROBLEM, chain, optax.sign_sgd(0.01), num_steps=99, save=px.every(1)
    )
    found = escape(run, PROBLEM, criterion="loss", level=0.125)
    time = reduced.sign_flow_time(0.3**6, 0.5, depth=6)
    # One step: the loss is interpolated linearly between steps.
    assert abs(float(found.time) - float(time) / 0.01) < 1


@pytest.mark.parametrize(
    ("criterion", "level"),
    [pytest.param("slope", 0.2, marks=pytest.mark.slow), ("gradient", 2.0)],
)
def test_many_runs_are_a_loop(criterion, level):
    starts = chains(np.random.default_rng(3).uniform(-1, 1, (4, 5)))
    train = lambda chain: px.descend(
        PROBLEM, chain, px.gradient_descent(0.02), num_steps=200, record=KEEP
    )
    runs = jax.vmap(train)(starts)
    many = escape(runs, PROBLEM, criterion=criterion, level=level)
    for i in range(2):
        one = escape(lane(runs, i), PROBLEM, criterion=criterion, level=level)
        assert_close(lane(many, i), one)


# --- direction -----------------------------------------------------------------------


def test_a_saddle_is_left_along_its_lowest_eigenvector():
    """From w = (a, b) near 0, H = [[b², −1+2ab], [−1+2ab, a²]]: out along (1, 1)/√2."""
    start = px.networks.Chain([2e-3, 1e-3])
    run = px.descend(PROBLEM, start, px.gradient_descent(0.01), num_steps=500)
    found = escape_direction(PROBLEM, start, run.network)
    a, b = np.asarray(start.weights)
    matrix = np.array([[b**2, 2 * a * b - 1], [2 * a * b - 1, a**2]])
    d = np.asarray(run.network.weights) - [a, b]
    values, vectors = np.linalg.eigh(matrix)
    size = np.linalg.norm(d)
    np.testing.assert_allclose(found.distance, size, rtol=1e-13)
    np.testing.assert_allclose(found.lowest, values[0], rtol=1e-13)
    np.testing.assert_allclose(found.cosine, abs(vectors[:, 0] @ d) / size, rtol=1e-12)
    np.testing.assert_allclose(found.curvature, d @ matrix @ d / size**2, rtol=1e-12)
    assert float(found.cosine) > 0.999
    assert int(found.num_negative) == 1
    np.testing.assert_allclose(found.negative_share, found.cosine**2, rtol=1e-12)


def test_direction_of_one_that_did_not_move_and_refusals():
    chain = px.networks.Chain([1e-3, 1e-3])
    found = escape_direction(PROBLEM, chain, chain)
    assert float(found.distance) == float(found.cosine) == float(found.curvature) == 0
    with pytest.raises(ValueError, match="equally many parameters"):
        escape_direction(PROBLEM, chain, px.networks.Chain([1.0]))
    with pytest.raises(TypeError, match="must be a network"):
        escape_direction(PROBLEM, chain, [1.0, 2.0])


def test_directions_of_many_runs():
    starts, ends = chains([[1e-3, 0.0], [0.1, 0.2]]), chains([[0.1, 0.1], [0.3, 0.1]])
    many = jax.vmap(lambda a, b: escape_direction(PROBLEM, a, b))(starts, ends)
    for i in range(2):
        one = escape_direction(PROBLEM, lane(starts, i), lane(ends, i))
        assert_close(lane(many, i), one)


# --- random chains of the literature -------------------------------------------------

MEDIANS = {  # of 64 uniform chains, step size .01, 20 000 steps, eps 1e-30
    ("gd", 4): 48.5,
    ("sign", 4): 35,
    ("rmsprop", 4): 7.5,
    ("adam", 4): 41.5,
    ("gd", 8): 127.5,
    ("sign", 8): 35.5,
    ("rmsprop", 8): 6,
    ("adam", 8): 37.5,
    ("sign", 32): 29,
    ("rmsprop", 32): 50.5,
    ("adam", 32): 36,
}
OPTIMIZERS = {
    "gd": px.gradient_descent(0.01),
    "sign": optax.sign_sgd(0.01),
    "rmsprop": optax.rmsprop(0.01, decay=0.99, eps=1e-30, eps_in_sqrt=False),
    "adam": optax.adam(0.01, b2=0.99, eps=1e-30),
    "adam, eps 1e-8": optax.adam(0.01, b2=0.99, eps=1e-8),
}


@lru_cache
def random_chains(name, depth, *, num_steps, lanes):
    """Escapes, loss < 1/8, of uniform chains by number of steps."""
    keys = jax.random.split(jax.random.key(depth), lanes)
    save = px.every(1)
    train = lambda key: px.descend(
        PROBLEM,
        px.networks.chain(key, depth=depth),
        OPTIMIZERS[name],
        num_steps=num_steps,
        save=save,
    )
    runs = jax.jit(jax.vmap(train))(keys)
    found = escape(runs, PROBLEM, criterion="loss", level=0.125)
    unit = 0.01 if name == "gd" else 1.0
    return found, np.ceil(np.asarray(found.time) / unit)


def medians_of(steps, size, repeats=4000):
    """Medians of draws of that size, between quantiles 0.1 % and 99.9 %."""
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(steps, (repeats, size)), axis=1)
    return np.quantile(drawn, [0.001, 0.999], method="nearest")


QUICK = [("gd", 4), ("adam", 32)]


@pytest.mark.parametrize(("name", "depth"), most_slow(MEDIANS, QUICK))
def test_medians_of_random_chains(name, depth):
    """A listed median of 64 lies among medians of 64 drawn from 512 of ours."""
    _, steps = random_chains(name, depth, num_steps=1500, lanes=512)
    low, high = medians_of(steps, 64)
    assert low <= MEDIANS[name, depth] <= high


@pytest.mark.parametrize(
    ("name", "depth", "listed"),
    [
        pytest.param("adam", 48, 32, marks=pytest.mark.slow),
        pytest.param("adam, eps 1e-8", 48, 27, marks=pytest.mark.slow),
        pytest.param("adam", 64, 32, marks=pytest.mark.slow),
        pytest.param("adam, eps 1e-8", 64, 18, marks=pytest.mark.slow),
        pytest.param("adam", 96, 31, marks=pytest.mark.slow),
        ("adam, eps 1e-8", 96, 0),
        pytest.param("sign", 96, 31, marks=pytest.mark.slow),
    ],
)
def test_eps_decides_whether_adam_escapes(name, depth, listed):
    """Counts of 32 within 5000 steps, against the interval of a share from 128.

    That Adam does escape with a smaller eps is the median above.
    """
    found, _ = random_chains(name, depth, num_steps=5000, lanes=128)
    summary = escape_summary(found)
    # Both counts fluctuate: 99.9 % intervals of ours and of the listed one overlap.
    ours = wilson(int(np.sum(~np.asarray(found.censored))), 128, confidence=0.999)
    theirs = wilson(listed, 32, confidence=0.999)
    assert ours.low <= theirs.high
    assert theirs.low <= ours.high
    assert summary.escaped.estimate == ours.estimate


@pytest.mark.slow
def test_plain_descent_of_32_layers_stays():
    """28 % of 64 escaped within 20 000 steps; ours by 99.9 % intervals, as above."""
    found, _ = random_chains("gd", 32, num_steps=20_000, lanes=128)
    ours = wilson(int(np.sum(~np.asarray(found.censored))), 128, confidence=0.999)
    theirs = wilson(18, 64, confidence=0.999)
    assert ours.low <= theirs.high
    assert theirs.low <= ours.high
    assert float(escape_summary(found).median.estimate) == np.inf


# --- statistics ----------------------------------------------------------------------


def test_summary_against_its_parts():
    found, _ = random_chains("gd", 4, num_steps=1500, lanes=512)
    summary = escape_summary(found, confidence=0.9)
    durations, censored = np.asarray(found.duration), np.asarray(found.censored)
    assert summary.lanes == 512
    assert summary.causes["descended"] == np.sum(~censored) > 0
    assert summary.causes["still"] == np.sum(censored) > 0
    curve = kaplan_meier(durations, censored, confidence=0.9)
    np.testing.assert_array_equal(summary.survival.survival, curve.survival)
    assert summary.escaped == wilson(int(np.sum(~censored)), 512, confidence=0.9)
    # No run is censored before the end: half of the lanes have left by the median.
    assert float(summary.median.estimate) == np.sort(durations)[255]
    slow, _ = random_chains("adam, eps 1e-8", 96, num_steps=5000, lanes=128)
    test = log_rank(
        np.concatenate([durations, slow.duration]),
        np.concatenate([censored, slow.censored]),
        np.repeat(["gd", "adam"], [512, 128]),
    )
    assert test.p_value < 1e-4


def test_causes_can_be_left_out():
    found = escape(
        chain_run([2.0, 2.0, 1.5, 0.5, 0.1]), PROBLEM, criterion="loss", level=1.0
    )
    dead = escape(chain_run([2.0] * 5, (0.0, 0.0)), PROBLEM, level=0.5)
    both = jax.tree.map(lambda a, b: jnp.asarray(np.stack([a, b])), found, dead)
    assert escape_summary(both).escaped.estimate == 0.5
    kept = escape_summary(both, leave_out=("dead",))
    assert (kept.lanes, kept.causes["dead"], kept.escaped.estimate) == (2, 1, 1.0)
    with pytest.raises(ValueError, match="leave_out"):
        escape_summary(both, leave_out=("descended",))
    with pytest.raises(ValueError, match="at least one lane"):
        escape_summary(lane_of(dead), leave_out=("dead",))
    with pytest.raises(TypeError, match="leading axis"):
        escape_summary(found)


def lane_of(found):
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[None]), found)
