"""Condensation against loops in NumPy, closed forms, and its conventions at edges."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import plateaux as px
from plateaux import diagnostics as look

from ..closeness import stacked

RNG = np.random.default_rng(7)
X = RNG.normal(size=(9, 2))
Y = RNG.normal(size=9)
MU = RNG.uniform(0.1, 2.0, size=9)
PROBLEM = px.Problem(X, Y, weights=MU)
PLANE = px.Problem(X[:, :1], Y)  # with a bias: input weights in the plane
Z = (MU * Y) @ np.column_stack([X, np.ones(9)]) / MU.sum()
# At the size 1e-200 squares underflow, at 1e200 they overflow.
SIZES = [1.0, 1e-200, 1e200]


def network(n=6, scale=1.0, seed=0):
    rng = np.random.default_rng([seed, n])
    w, b, c = rng.normal(size=(n, 2)), rng.normal(size=n), rng.normal(size=n)
    return px.TwoLayer(scale * w, scale * b, scale * c, activation="tanh")


def rows(net):
    return np.column_stack([net.w, net.b])


def at_angles(angles, sizes=None):
    """A network in the plane whose input weights have these angles in degrees."""
    angle = np.radians(np.asarray(angles, float))
    sizes = np.ones(angle.size) if sizes is None else np.asarray(sizes, float)
    v = sizes[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return px.TwoLayer(v[:, :1], v[:, 1], sizes, activation="tanh")


def without_biases(net):
    return px.MLP([net.w], None, net.c, activation="tanh")


def padded(angles, sizes=None):
    """One of 13 neurons, all beyond those given without weights."""
    angles = np.asarray(angles, float)
    sizes = np.ones(angles.size) if sizes is None else sizes
    rest = np.zeros(13 - angles.size)
    return at_angles(np.append(angles, rest), np.append(sizes, rest))


leading = look.leading_vector
display_order = eqx.filter_jit(look.display_order)
PARTS = (
    look.leading_vector,
    look.alignment,
    look.projection,
    look.cosine_similarity,
    look.amplitudes,
    look.participation_ratio,
    look.condensation,
)


@eqx.filter_jit
def parts(problem, net):
    """What every function of them gives, by name."""
    return {function.__name__: function(problem, net) for function in PARTS}


def directions(problem, net, least_cosine=0.95, negligible=0.01, oriented=False):
    """As `look.directions`, compiled once for all thresholds."""
    numbers = jnp.asarray(least_cosine), jnp.asarray(negligible)
    return _directions(problem, net, *numbers, oriented)


@eqx.filter_jit
def _directions(problem, net, least_cosine, negligible, oriented):
    options = {"least_cosine": least_cosine, "negligible": negligible}
    return look.directions(problem, net, **options, oriented=oriented)


def test_leading_vector_is_the_mean_of_target_times_input():
    found = parts(PROBLEM, network())["leading_vector"]
    np.testing.assert_allclose(found, Z, rtol=1e-13)
    found = parts(PROBLEM, without_biases(network()))["leading_vector"]
    np.testing.assert_allclose(found, Z[:2], rtol=1e-13)


@eqx.filter_jit
def slope_and_vector(problem, net):
    return jax.grad(lambda n: px.loss(problem, n))(net).c, leading(problem, net)


@pytest.mark.parametrize(
    ("loss", "normalisation"),
    [
        ("squared", "mean"),
        ("squared", "sum"),
        ("logistic", "mean"),
        pytest.param("logistic", "sum", marks=pytest.mark.slow),
        ("exponential", "mean"),
        pytest.param("exponential", "sum", marks=pytest.mark.slow),
    ],
)
def test_leading_vector_drives_small_networks(loss, normalisation):
    """ċ_i = z·v_i where c = 0, by differentiation of the loss itself."""
    options = {"weights": MU, "loss": loss, "normalisation": normalisation}
    problem = px.Problem(X, np.sign(Y), **options)
    net = px.TwoLayer(network().w, network().b, np.zeros(6), activation="identity")
    slope, vector = slope_and_vector(problem, net)
    expected = rows(net) @ np.asarray(vector)
    np.testing.assert_allclose(-np.asarray(slope), expected, rtol=1e-12)


@pytest.mark.parametrize("scale", SIZES)
def test_alignment_is_the_cosine(scale):
    v = rows(network())
    expected = [r @ Z / np.linalg.norm(r) / np.linalg.norm(Z) for r in v]
    found = parts(PROBLEM, network(scale=scale))
    np.testing.assert_allclose(found["alignment"], expected, rtol=1e-12)
    along = np.asarray(found["projection"])
    np.testing.assert_allclose(along / scale, v @ Z / np.linalg.norm(Z), rtol=1e-12)
    bare = parts(PROBLEM, without_biases(network(scale=scale)))["alignment"]
    cosine = v[:, :2] @ Z[:2] / np.linalg.norm(v[:, :2], axis=1)
    np.testing.assert_allclose(bare, cosine / np.linalg.norm(Z[:2]), rtol=1e-12)


@pytest.mark.parametrize("scale", SIZES)
def test_similarity_is_the_cosine_of_pairs(scale):
    v = rows(network())
    found = np.asarray(parts(PROBLEM, network(scale=scale))["cosine_similarity"])
    for i in range(6):
        for j in range(6):
            cosine = v[i] @ v[j] / math.sqrt(v[i] @ v[i] * (v[j] @ v[j]))
            assert float(found[i, j]) == pytest.approx(cosine, rel=1e-12)
    assert np.max(np.abs(found)) <= 1


@pytest.mark.parametrize("scale", SIZES)
def test_sizes_of_weights(scale):
    inner, outer = map(np.asarray, parts(PROBLEM, network(scale=scale))["amplitudes"])
    np.testing.assert_allclose(inner / scale, np.linalg.norm(rows(network()), axis=1))
    np.testing.assert_allclose(outer / scale, np.abs(network().c))


@pytest.mark.parametrize("scale", SIZES)
def test_participation_ratio(scale):
    squares = np.sum(rows(network()) ** 2, axis=1)
    expected = squares.sum() ** 2 / np.sum(squares**2)
    found = parts(PROBLEM, network(scale=scale))["participation_ratio"]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    equal, one = padded([0, 10, 90, 200]), padded([0, 10, 90], [0, 3, 0])
    ratios = [float(parts(PLANE, n)["participation_ratio"]) for n in (equal, one)]
    assert ratios == [pytest.approx(4, rel=1e-14), 1]


def test_what_is_zero_has_no_direction():
    found = parts(PLANE, padded([0, 50], [1.0, 0.0]))
    assert np.asarray(found["alignment"])[1] == 0
    similarity = np.asarray(found["cosine_similarity"])
    np.testing.assert_array_equal(similarity[1, :2], [0, 0])
    silent = px.Problem(X[:, :1], 0 * Y)
    assert not np.any(parts(silent, padded([0, 50], [1.0, 0.0]))["alignment"])
    nothing = parts(PLANE, padded([0, 50], [0, 0]))["condensation"]
    assert all(float(value) == 0 for value in nothing)


def test_derivatives_are_right_and_finite_at_zero_rows():
    def numbers(net):
        found = look.condensation(PLANE, net)
        return found.alignment + found.weighted_alignment + found.participation

    value_and_gradient = jax.jit(jax.value_and_grad(numbers))
    for sizes in ([1.0, 0.0, 2.0], [0, 0, 0]):
        _, found = value_and_gradient(at_angles([10, 50, 200], sizes))
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(found))
    net = at_angles([10, 50, 200], [1.0, 0.5, 2.0])
    for i, g in enumerate(np.asarray(value_and_gradient(net)[1].b)):
        shifted = [
            px.TwoLayer(net.w, net.b + h * np.eye(3)[i], net.c, activation="tanh")
            for h in (1e-6, -1e-6)
        ]
        above, below = (float(value_and_gradient(n)[0]) for n in shifted)
        assert float(g) == pytest.approx((above - below) / 2e-6, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_order_in_the_plane_is_by_angle_from_the_widest_gap(seed):
    rng = np.random.default_rng(seed)
    angles = np.concatenate([rng.uniform(-60, 100, 7), rng.uniform(150, 260, 6)])
    rng.shuffle(angles)
    order = np.asarray(display_order(PLANE, at_angles(angles)))
    assert sorted(order) == list(range(13))
    turns = np.diff(angles[order]) % 360
    turns = turns if turns.sum() < 360 else (-np.diff(angles[order])) % 360
    ends = 360 - turns.sum()
    assert turns.sum() < 360
    assert ends >= turns.max() - 1e-9


@pytest.mark.parametrize("turn", [0, 100, 170, 260])
def test_order_of_a_fan_is_from_side_to_side(turn):
    angles = 7 * np.random.default_rng(0).permutation(13) + turn
    shown = angles[np.asarray(display_order(PLANE, at_angles(angles)))]
    assert shown.tolist() in (sorted(angles), sorted(angles, reverse=True))


def test_order_puts_parallel_weights_together_in_any_dimension():
    rng = np.random.default_rng(2)
    centre, of = (
        rng.normal(size=(3, 5)),
        rng.permutation(np.repeat([0, 1, 2], [8, 5, 3])),
    )
    v = rng.uniform(0.5, 2, 16)[:, None] * centre[of] + 0.01 * rng.normal(size=(16, 5))
    net = px.MLP([v], None, np.ones(16), activation="tanh")
    problem = px.Problem(rng.normal(size=(9, 5)), Y)
    blocks = of[np.asarray(display_order(problem, net))]
    assert np.count_nonzero(np.diff(blocks)) == 2


def test_order_on_the_line_is_by_sign():
    net = without_biases(at_angles([0, 180, 0, 180, 0]))
    signs = np.asarray(net.weights[0])[np.asarray(display_order(PLANE, net)), 0]
    assert np.count_nonzero(np.diff(signs)) == 1


def by_loops(net, least_cosine, negligible, oriented):
    """The rule of `directions`, in plain Python."""
    v, size = rows(net), np.abs(net.c) * np.linalg.norm(rows(net), axis=1)
    label = [-1] * len(v)
    leaders = []
    for i in np.argsort(-size, kind="stable"):
        if size[i] <= negligible * size.max():
            continue
        for number, leader in enumerate(leaders):
            cosine = v[i] @ v[leader] / np.linalg.norm(v[i]) / np.linalg.norm(v[leader])
            if (cosine if oriented else abs(cosine)) >= least_cosine:
                label[i] = number
                break
        else:
            label[i] = len(leaders)
            leaders.append(i)
    return label, leaders


@pytest.mark.parametrize("oriented", [False, True])
@pytest.mark.parametrize(("least_cosine", "negligible"), [(0.95, 0.01), (0.6, 0.2)])
def test_directions_are_those_of_the_rule(least_cosine, negligible, oriented):
    net = network(n=40)
    found = directions(PROBLEM, net, least_cosine, negligible, oriented)
    label, leaders = by_loops(net, least_cosine, negligible, oriented)
    assert int(found.count) == len(leaders) > 2
    assert found.label.tolist() == label
    found = found.leader.tolist()
    assert found[: len(leaders)] == leaders
    assert set(found[len(leaders) :]) == {-1}


@pytest.mark.parametrize(
    ("angles", "sizes", "oriented", "count"),
    [
        ([10, 12, 190, 188, 9], None, False, 1),
        ([10, 12, 190, 188, 9], None, True, 2),
        ([0, 45, 90, 135], None, False, 4),
        ([0, 90, 45], [1.0, 1.0, 0.05], False, 2),
        ([0, 90, 45], [1.0, 1.0, 0.2], False, 3),
    ],
)
def test_number_of_directions(angles, sizes, oriented, count):
    found = directions(PLANE, padded(angles, sizes), oriented=oriented)
    assert int(found.count) == count


def test_neurons_in_all_directions_are_not_one():
    """Nobody is alone, and between 180/36 and 180/18 leaders cover the half circle."""
    net = at_angles(np.arange(360), np.linspace(1, 2, 360))
    assert 5 <= int(directions(PLANE, net).count) <= 10


def test_neurons_that_are_parallel_are_one_direction_at_cosine_one():
    net = at_angles([33.3] * 13, np.linspace(0.1, 3, 13))
    assert int(directions(PLANE, net, least_cosine=1.0, negligible=0.0).count) == 1


def test_a_diverged_network_has_no_direction():
    net = network()
    lost = px.TwoLayer(net.w * np.nan, net.b, net.c, activation="tanh")
    found = parts(PROBLEM, lost)["condensation"]
    assert int(found.num_directions) == 0
    assert np.isnan(found.alignment)


def test_summary_is_what_its_parts_are():
    net = network()

    @eqx.filter_jit
    def both(least_cosine):
        found = look.condensation(PROBLEM, net, least_cosine=least_cosine)
        return found, look.directions(PROBLEM, net, least_cosine=least_cosine).count

    found, count = both(0.6)
    of = parts(PROBLEM, net)
    cosine = np.abs(of["alignment"])
    inner, outer = map(np.asarray, of["amplitudes"])
    assert float(found.alignment) == pytest.approx(np.mean(cosine), rel=1e-13)
    weighted = np.average(cosine, weights=inner * outer)
    assert float(found.weighted_alignment) == pytest.approx(weighted, rel=1e-13)
    assert int(found.largest) == np.argmax(inner)
    assert float(found.largest_inner) == np.max(inner)
    assert float(found.largest_outer) == outer[np.argmax(inner)]
    assert float(found.participation) == float(of["participation_ratio"])
    assert int(found.num_directions) == int(count)
    assert int(of["condensation"].num_directions) > int(count)


def test_a_batch_gives_what_a_loop_gives():
    nets = [network(seed=seed) for seed in range(3)]
    batch = stacked(nets)
    both = lambda net: (
        look.condensation(PROBLEM, net),
        look.display_order(PROBLEM, net),
        look.directions(PROBLEM, net),
    )
    found, alone = jax.jit(jax.vmap(both))(batch), jax.jit(both)
    for i, net in enumerate(nets):
        for many, one in zip(*map(jax.tree.leaves, (found, alone(net))), strict=True):
            np.testing.assert_allclose(np.asarray(many)[i], one, rtol=1e-12)


RECORD = {
    "all": look.condensation,
    "order": look.display_order,
    "rates": look.imbalance_rates,
    "distance": look.amplitude_distance,
}


def check_recorded(saved, net):
    saved = jax.tree.map(np.asarray, saved)
    first = parts(PROBLEM, net)["condensation"]
    np.testing.assert_allclose(saved["all"].alignment[0], first.alignment)
    np.testing.assert_allclose(saved["all"].participation[0], first.participation)
    assert (saved["order"].shape, saved["rates"][0].shape) == ((3, 6), (3, 6))
    distance = look.amplitude_distance(PROBLEM, net)
    np.testing.assert_allclose(saved["distance"][0], distance)


def test_descent_records_it():
    step = px.gradient_descent(0.1)
    save = {"save": px.at([0.0, 0.1, 0.2]), "record": RECORD}
    run = px.descend(PROBLEM, network(), step, num_steps=2, **save)
    check_recorded(run.saved, network())


@pytest.mark.slow
def test_queues_of_flows_record_it():
    starts = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), network())
    save = px.at([0.0, 0.1, 0.2])
    runs = px.flow_many(PROBLEM, starts, t1=0.2, save=save, record=RECORD)
    for lane, scale in enumerate((1.0, 2.0)):
        saved = jax.tree.map(lambda a, lane=lane: a[lane], runs.saved)
        check_recorded(saved, network(scale=scale))


def test_single_precision_stays():
    one = lambda leaf: jnp.asarray(np.asarray(leaf, np.float32))
    single = lambda tree: jax.tree.map(one, tree)
    found = parts(single(PROBLEM), single(network()))["condensation"]
    kinds = {a.dtype for a in found if jnp.issubdtype(a.dtype, jnp.floating)}
    assert kinds == {jnp.dtype("float32")}


EVERY = [
    look.alignment,
    look.amplitudes,
    look.condensation,
    look.cosine_similarity,
    look.directions,
    look.display_order,
    look.leading_vector,
    look.participation_ratio,
    look.projection,
    look.amplitude_distance,
]
DEEP = px.MLP([np.eye(2), np.eye(2)], None, np.ones(2), activation="tanh")
TWO = px.MLP([np.eye(2)], None, np.eye(2), activation="tanh")
NORMALISED = px.MLP([np.eye(2)], None, np.ones(2), kind="normalised", activation="tanh")


@pytest.mark.parametrize("function", EVERY, ids=lambda f: f.__name__)
def test_other_networks_are_refused(function):
    one = "one hidden layer without normalisation or embedding .* but is a "
    many = px.Problem(X, np.stack([Y, Y], axis=1))
    for problem, net, message in (
        (PROBLEM, DEEP, one + "plain MLP of 2 hidden layers with scalar output"),
        (many, TWO, one + "plain MLP of 1 hidden layer with vector output"),
        (PROBLEM, NORMALISED, one + "normalised MLP of 1 hidden layer"),
        (PLANE, network(), "as many inputs as the problem, 1, but has 2"),
        (PROBLEM, jax.tree.map(lambda a: a[None], network()), "use jax.vmap"),
    ):
        with pytest.raises(ValueError, match=message):
            function(problem, net)
    with pytest.raises(TypeError, match="`problem` must be a Problem, .* is a int"):
        function(3, network())
    with pytest.raises(TypeError, match="`network` must be a network .* is a str"):
        function(PROBLEM, "tanh")


@pytest.mark.parametrize("function", [look.directions, look.condensation])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least_cosine": 0.0}, r"`least_cosine` must be in \(0, 1\], but is 0.0"),
        ({"least_cosine": 1.5}, r"`least_cosine` must be in \(0, 1\], but is 1.5"),
        ({"negligible": 1.0}, r"`negligible` must be in \[0, 1\), but is 1.0"),
        ({"negligible": -0.1}, r"`negligible` must be in \[0, 1\), but is -0.1"),
        ({"negligible": np.nan}, r"`negligible` must be in \[0, 1\), but is nan"),
    ],
)
def test_thresholds_have_ranges(function, options, message):
    with pytest.raises(ValueError, match=message):
        eqx.filter_jit(function)(PROBLEM, network(), **options)
