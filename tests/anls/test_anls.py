"""Training: facts that hold exactly, monotonicity, reproducibility, refusals."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux.anls import METHODS, ExactNeurons, Joint, Move, Neurons
from plateaux.patterns import cell_fit, segmented_fit

from ..closeness import assert_close, lane
from .reference import keys, reference_problem, rmse, starts

STAY = Joint(exchange=False)


def pattern(problem, network):
    return px.patterns.pattern(network, problem.x)


# --- few shapes, as every shape of problem, network and schedule is compiled anew ---


def train(problem, network, method=None, **options):
    """Sixty steps on 20 data with one input, the network with three neurons and p."""
    options |= {"method": method, "record": {"pattern": pattern}}
    return px.anls(problem, network, num_steps=60, **options)


def plain(x, y):
    """Twelve weighted data; two inputs but for the exact method."""
    return px.Problem(x, y, weights=np.arange(1, 13) / 6)


def train_plain(problem, network, method, key=None):
    """Twenty steps on them of three neurons without an affine part."""
    return px.anls(
        problem, network, num_steps=20, method=method, key=key, save=px.every(6)
    )


def parabola_network(sizes, delta=0.1):
    """The stationary network on y = x² with these group sizes, and its problem.

    Neighbouring least-squares lines meet at the midpoint of their gap plus
    (q_{k+1} − q_k) δ/6; the line of a group has the slope of its first and last datum.
    """
    x = delta * np.arange(1, sum(sizes) + 1)
    ends = np.cumsum([0, *sizes])
    lines = [np.polyfit(x[a:b], x[a:b] ** 2, 1) for a, b in itertools.pairwise(ends)]
    slopes, heights = np.array(lines).T
    c = np.diff(slopes)
    kinks = -np.diff(heights) / c
    p = np.array([slopes[0], heights[0]])
    problem = px.Problem(x[:, None], x**2, normalisation="sum")
    return problem, px.TwoLayer(np.ones((len(c), 1)), -kinks, c, p)


# --- what every method keeps -------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_losses_never_rise_and_runs_repeat(method, key):
    rng = np.random.default_rng(5)
    dim = 1 if method == "exact" else 2
    problem = plain(rng.normal(size=(12, dim)), rng.normal(size=12))
    network = lane(starts(problem, 3, 1, affine=False), 0)
    one, two = (train_plain(problem, network, method, key) for _ in range(2))
    assert_close(one, two, ulps=0)
    assert one.network.p is None
    assert np.all(np.diff(one.losses) <= 0)
    assert one.losses[-1] < one.losses[0]
    assert one.steps.tolist() == [0, 6, 12, 18, 20]
    np.testing.assert_allclose(one.losses[-1], px.loss(problem, one.network))
    accepted = np.asarray(one.moves) != Move.none
    assert int(one.stats.num_rejected) == int(one.stats.num_steps) - accepted.sum()
    assert one.time_unit == "steps"
    assert one.events is None


# Another batch shape rounds differently. The joint method chooses among directions and
# candidates, where a near tie then goes the other way: one step is compared, not six.
@pytest.mark.slow
def test_a_batch_gives_what_a_loop_gives():
    problem = reference_problem("square")
    networks = starts(problem, 4, 3)
    run = lambda net, k: px.anls(problem, net, num_steps=1, key=k)
    together = jax.vmap(run)(networks, keys(3))
    for i in range(3):
        alone = run(lane(networks, i), jax.random.key(i))
        np.testing.assert_allclose(together.losses[i], alone.losses, rtol=1e-7)


def test_a_batch_of_the_exact_method_gives_what_a_loop_gives_above_the_bound():
    rng = np.random.default_rng(6)
    problem = plain(rng.normal(size=(12, 1)), rng.normal(size=12))
    networks = starts(problem, 3, 3, affine=False)
    run = lambda net: train_plain(problem, net, "exact")
    losses = np.asarray(jax.vmap(run)(networks).losses)
    assert np.all(losses[:, -1] >= segmented_fit(problem, 4).values[-1])
    for i in range(3):
        alone = run(lane(networks, i))
        np.testing.assert_allclose(losses[i], alone.losses, rtol=1e-7)


def test_recording_and_saving():
    x = np.linspace(-1, 1, 20)
    problem = px.Problem(x[:, None], (x > 0).astype(float), normalisation="sum")
    run = train(problem, lane(starts(problem, 3, 1), 0))
    patterns = np.asarray(run.saved["pattern"])
    assert patterns.shape == (61, 3, 20)
    last = px.patterns.pattern(run.network, problem.x)
    np.testing.assert_array_equal(patterns[-1], last)
    assert bool(run.outcome == px.Outcome.converged)
    assert int(run.stats.num_steps) < 60
    assert run.losses[-1] < 1e-20
    np.testing.assert_allclose(
        run.losses[-1], px.loss(problem, run.network), rtol=1e-12, atol=1e-25
    )
    assert int(run.stats.pair_flips) >= np.sum(patterns[0] != patterns[-1])


def test_calm_steps_end_a_run():
    problem, network = parabola_network((5, 5, 5, 5))
    run = train(problem, network, STAY, patience=7)
    assert int(run.stats.num_steps) == 7
    assert bool(run.outcome == px.Outcome.converged)
    moved = px.TwoLayer(network.w, 1.02 * network.b, 0.5 * network.c, network.p)
    steps = [
        int(train(problem, moved, STAY, patience=1, tol=tol).stats.num_steps)
        for tol in (1e-9, 1 - 1e-9)
    ]
    assert steps[0] > steps[1] == 1


# --- facts -------------------------------------------------------------------------


def plane():
    """The points of a grid in two dimensions, and the stationary network on x₁²."""
    line, network = parabola_network((5, 5, 5, 5))
    grid = np.stack(np.meshgrid(line.x[:, 0], np.arange(7.0)), axis=-1).reshape(-1, 2)
    w = np.concatenate([network.w, np.zeros((3, 1))], axis=1)
    p = np.array([network.p[0], 0.0, network.p[1]])
    return grid, px.TwoLayer(w, network.b, network.c, p)


def test_the_pattern_of_the_teacher_gives_the_teacher_in_one_step():
    rng = np.random.default_rng(0)
    x, _ = plane()
    w = np.array([[1.0, 0.5], [-1.0, 0.3], [0.2, -1.0]])
    teacher = px.TwoLayer(w, -w @ [1.0, 3.0] + 0.1, [1.0, -2.0, 0.5], np.zeros(3))
    problem = px.Problem(x, px.outputs(teacher, x), normalisation="sum")
    c = np.abs(rng.normal(size=3)) * np.asarray(teacher.c)
    start = px.TwoLayer(teacher.w, teacher.b, c, np.zeros(3))
    run = px.anls(problem, start, num_steps=2, method=STAY)
    assert rmse(problem, run.losses[1]) < 1e-11
    product = run.network.c[:, None] * run.network.w
    np.testing.assert_allclose(product, teacher.c[:, None] * teacher.w, atol=1e-10)


@pytest.mark.parametrize(
    ("sizes", "level"),
    [
        ((5, 5, 5, 5), 0.0028),
        pytest.param((5, 6, 7, 6, 5), 0.00933333, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "method", [STAY, Neurons(num_flips=0)], ids=["joint", "neuron"]
)
def test_local_methods_stay_at_a_stationary_point(sizes, level, method):
    problem, network = parabola_network(sizes)
    np.testing.assert_allclose(px.loss(problem, network), level, rtol=1e-6)
    run = train(problem, network, method)
    np.testing.assert_allclose(run.losses[-1], run.losses[0], rtol=1e-9)
    assert int(run.stats.pair_flips) == 0


def test_an_exchange_leaves_a_stationary_point_that_is_not_the_best():
    problem, network = parabola_network((6, 4, 6, 4))
    run = train(problem, network)
    best = segmented_fit(problem, 4).values[-1]
    assert run.losses[-1] < 0.99 * run.losses[0]
    np.testing.assert_allclose(run.losses[-1], best, rtol=1e-6)
    assert Move.exchange in run.moves


@pytest.mark.parametrize(
    "method",
    [STAY, pytest.param(Neurons(num_flips=0), marks=pytest.mark.slow)],
    ids=["joint", "neuron"],
)
def test_local_methods_stay_at_a_stationary_point_in_two_dimensions(method):
    grid, network = plane()
    problem = px.Problem(grid, grid[:, 0] ** 2, normalisation="sum")
    np.testing.assert_allclose(px.loss(problem, network), 0.0196, rtol=1e-10)
    run = px.anls(problem, network, num_steps=2, method=method)
    np.testing.assert_allclose(run.losses[-1], 0.0196, rtol=1e-9)


def test_the_undamped_jump_of_one_hinge_creeps_and_stops_before_the_best():
    """k⁺ = ⌊k + ½ + (K − 2k)/6⌋: the kink at the root of the fitted hinge."""
    from plateaux.anls.coordinates import centred, least_squares

    num, visited, k = 100, [10], 10
    x = np.arange(1, num + 1) / num
    data = centred(px.Problem(x[:, None], x**2))

    @jax.jit
    def fit(on):
        columns = jnp.concatenate([jnp.where(on, data.x1, 0), data.x1], axis=1)
        return least_squares(columns, data.y)

    for _ in range(9):
        alpha, beta, *_ = np.asarray(fit((np.arange(num) >= k)[:, None]))
        k = int(np.sum(np.asarray(data.x1)[:, 0] <= -beta / alpha))
        visited.append(k)
    assert visited == [10, 23, 32, 38, 42, 45, 47, 48, 49, 49]
    problem, stuck = parabola_network((49, 51), delta=0.01)
    np.testing.assert_allclose(
        px.anls(problem, stuck, num_steps=2, method=STAY).losses[-1],
        px.loss(problem, stuck),
        rtol=1e-9,
    )


@pytest.mark.slow
def test_an_exchange_goes_on_where_one_hinge_stops():
    problem, stuck = parabola_network((49, 51), delta=0.01)
    run = px.anls(problem, stuck, num_steps=60)
    best = segmented_fit(problem, 2)
    assert best.starts[1].tolist() == [0, 50]
    np.testing.assert_allclose(run.losses[-1], best.values[1], rtol=1e-9)


def test_a_neuron_in_every_gap_interpolates_after_one_outer_fit():
    rng = np.random.default_rng(2)
    x, y = np.sort(rng.normal(size=9)), rng.normal(size=9)
    problem = px.Problem(x[:, None], y, normalisation="sum")
    kinks = 0.5 * (x[1:-1] + x[2:])
    network = px.TwoLayer(np.ones((7, 1)), -kinks, np.ones(7), np.zeros(2))
    run = px.anls(problem, network, num_steps=1, method="variable_projection")
    assert rmse(problem, run.losses[-1]) < 1e-10


def test_without_outer_weights_the_affine_part_is_linear_regression():
    """Dead neurons that may not be exchanged leave the line."""
    problem = reference_problem("sine_2")
    network = px.TwoLayer([[1.0]], [-9.0], [1.0], [0.0, 0.0])
    run = px.anls(problem, network, num_steps=2, method=STAY)
    x, y = np.asarray(problem.x)[:, 0], np.asarray(problem.y)
    rest = y - np.polyval(np.polyfit(x, y, 1), x)
    np.testing.assert_allclose(run.losses[-1], rest @ rest / 2)


def test_one_step_reaches_the_floor_if_its_cell_contains_it():
    problem, network = parabola_network((5, 6, 5, 4))
    moved = px.TwoLayer(network.w, 1.02 * network.b, 0.5 * network.c, network.p)
    floor = cell_fit(problem, moved).value
    run = train(problem, moved, STAY)
    # below the floor by no more than the rounding of both
    assert float(floor) * (1 - 1e-13) <= float(run.losses[1])
    assert float(run.losses[1]) <= float(floor) * (1 + 1e-9)
    assert int(run.moves[0]) == Move.jump


def test_scaling_and_order_of_neurons_do_not_matter():
    x = np.linspace(0, 1, 20)
    problem = px.Problem(x[:, None], np.sin(2 * np.pi * x), normalisation="sum")
    network = lane(starts(problem, 3, 1), 0)
    w, b, c = (np.asarray(leaf) for leaf in (network.w, network.b, network.c))
    s, turn = np.array([0.1, 2.0, 5.0]), [2, 0, 1]
    other = px.TwoLayer((s[:, None] * w)[turn], (s * b)[turn], (c / s)[turn], network.p)
    one, two = (train(problem, net, STAY).losses[:7] for net in (network, other))
    np.testing.assert_allclose(two, one, rtol=1e-7)


# --- hard data ---------------------------------------------------------------------

X = np.linspace(-1, 1, 12)[:, None]
LONG = np.linspace(-1, 1, 20)[:, None]
HARD = {
    "fewer data than unknowns": (X[:3], [1.0, -1.0, 2.0]),
    "equal inputs": (np.repeat(LONG[:5], 4, axis=0), np.arange(20.0)),
    "all inputs equal": (np.ones((20, 1)), np.arange(20.0)),
    "all inputs equal to 0.1": (np.full((20, 1), 0.1), np.arange(20.0)),
    "constant targets": (LONG, np.full(20, 3.0)),
    "zero targets": (LONG, np.zeros(20)),
    "far from the origin": (LONG + 1e6, np.abs(LONG[:, 0])),
    "tiny inputs": (1e-9 * LONG, np.abs(LONG[:, 0])),
    "data on a line": (np.concatenate([X, 2 * X], axis=1), np.abs(X[:, 0])),
    "a constant input": (np.concatenate([X, 0 * X], axis=1), np.abs(X[:, 0])),
}


@pytest.mark.parametrize("case", HARD)
def test_hard_data_give_no_nan_and_no_rise(case):
    x, y = map(np.asarray, HARD[case])
    if x.shape[1] == 2:
        problem = plain(x, y)
        run = train_plain(
            problem, lane(starts(problem, 3, 1, affine=False), 0), "joint"
        )
    else:
        problem = px.Problem(x, y, normalisation="sum")
        run = train(problem, lane(starts(problem, 3, 1), 0))
    assert np.all(np.isfinite(run.losses))
    assert np.all(np.diff(run.losses) <= 0)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run.network))
    if case in ("constant targets", "zero targets", "fewer data than unknowns"):
        assert run.losses[-1] < 1e-15
    if case.startswith("all inputs equal"):
        np.testing.assert_allclose(run.losses[-1], 0.5 * y.size * np.var(y), rtol=1e-9)


@pytest.mark.parametrize(
    "method", ["joint", "neuron", pytest.param("exact", marks=pytest.mark.slow)]
)
def test_a_dead_start_is_revived(method):
    x = np.linspace(0, 1, 20)
    problem = px.Problem(x[:, None], np.abs(x - 0.4), normalisation="sum")
    ones = np.ones(3)
    dead = px.TwoLayer(ones[:, None], [-5.0, -6.0, -7.0], ones, [0.0, 0.0])
    assert not np.any(px.patterns.pattern(dead, problem.x))
    run = train(problem, dead, method)
    assert run.losses[20] < 1e-3 * run.losses[0]


@pytest.mark.parametrize("method", ["joint", "neuron", "exact"])
def test_a_dead_start_without_affine_part_is_revived(method):
    x = np.linspace(0, 1, 12)[:, None]
    y = np.abs(x[:, 0] - 0.4)
    if method != "exact":
        x = np.concatenate([x, np.cos(9 * x)], axis=1)
    ones = np.ones(3)
    dead = px.TwoLayer(np.ones((3, x.shape[1])), [-5.0, -6.0, -7.0], ones)
    problem = plain(x, y)
    assert not np.any(px.patterns.pattern(dead, problem.x))
    run = train_plain(problem, dead, method)
    assert run.losses[-1] < 1e-3 * run.losses[0]


def test_single_precision_keeps_its_dtype_and_falls():
    problem = px.Problem(X.astype(np.float32), np.abs(X[:, 0]).astype(np.float32))
    network = px.networks.unit_kinks(
        jax.random.key(0), width=3, in_dim=1, affine=True, dtype="float32"
    )
    run = px.anls(problem, network, num_steps=20)
    floats = [a for a in jax.tree.leaves(run) if jnp.issubdtype(a.dtype, jnp.floating)]
    assert {a.dtype for a in floats} == {jnp.dtype("float32")}
    assert np.all(np.diff(run.losses) <= 0)
    assert run.losses[-1] < 1e-8


def test_a_start_that_is_not_finite_has_its_own_outcome():
    problem = px.Problem(X, X[:, 0])
    c = np.array([1.0, np.nan])
    start = lambda c: px.TwoLayer(np.ones((1, 1)), np.zeros(1), c[None])
    runs = jax.vmap(
        lambda c: px.anls(problem, start(c), num_steps=3, method="gauss_newton")
    )(c)
    assert (runs.outcome == px.Outcome.diverged).tolist() == [False, True]
    assert np.all(np.isinf(runs.losses[1]))


# --- refusals ----------------------------------------------------------------------


def test_refusals():
    problem = px.Problem(X, X[:, 0])
    network = px.TwoLayer([[1.0]], [0.0], [1.0])
    refused = lambda error, words, *args, **options: _refused(
        error, words, *args, **{"num_steps": 3, **options}
    )
    leaky = px.TwoLayer([[1.0]], [0.0], [1.0], activation="tanh")
    refused(ValueError, "TwoLayer with relu", problem, leaky)
    labels = px.Problem(X, np.sign(X[:, 0]), loss="logistic")
    refused(ValueError, "squared loss", labels, network)
    bad = px.TwoLayer([[jnp.nan]], [0.0], [1.0])
    refused(ValueError, "`network` must be finite", problem, bad)
    refused(ValueError, "did you mean 'joint'", problem, network, method="join")
    refused(ValueError, "`num_steps` must be at least 1", problem, network, num_steps=0)
    refused(TypeError, "`save` must be a schedule", problem, network, save=5)
    refused(TypeError, "made by jax.random.key", problem, network, key=7)
    refused(ValueError, "`tol` must be positive", problem, network, tol=-1.0)
    refused(ValueError, "`patience` must be at least", problem, network, patience=0)
    plane = px.Problem(np.ones((3, 2)), np.ones(3))
    flat = px.TwoLayer([[1.0, 1.0]], [0.0], [1.0])
    refused(ValueError, "'exact' must have one input", plane, flat, method="exact")
    with pytest.raises(ValueError, match="`x` must be finite"):
        px.Problem(X * np.nan, X[:, 0])


def _refused(error, words, *args, **options):
    with pytest.raises(error, match=words):
        px.anls(*args, **options)


def test_the_room_is_called_like_its_function():
    import inspect

    import plateaux.anls.joint  # noqa: F401 - binds the room's name

    assert callable(px.anls)
    assert "num_steps" in inspect.signature(px.anls).parameters
    assert px.anls.METHODS is METHODS
    assert isinstance(METHODS["exact"], ExactNeurons)
