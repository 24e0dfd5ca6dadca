"""What the experiment on escapes of deep networks computes beside the library."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

import plateaux as px
from plateaux.experiments import shelf

from .closeness import lane
from .experiment_files import load, quickly

nets = load("escape_networks")
EXPECTED = shelf.expected("escape_networks")["full"]["numbers"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """An archive of 12 pictures of 4 × 3 pixels whose second pixel is their label."""
    rng = np.random.default_rng(0)
    labels = np.array([7, 2, 5] * 4, np.uint8)
    x = rng.integers(0, 255, size=(12, 4, 3), dtype=np.uint8)
    x[:, 0, 0], x[:, 0, 1] = 9, labels
    path = tmp_path_factory.mktemp("pictures") / "shapes.npz"
    np.savez(path, train=x, labels=labels)
    return path


@pytest.fixture(scope="module")
def told(pictures):
    """Two optimizers of a small network on the pictures."""
    data = nets.images(pictures, ("train", "labels"), 10)
    runs = ("gradient descent", 0.5, 30), ("Adam", 0.05, 30)
    return data, nets.part_pictures(3, data, runs, (2, 6))


def starts(depth, width, lanes, **options):
    """Networks as the experiment draws them, by one program."""
    return quickly(lambda: nets.starts(depth, width, lanes, **options))()


def test_targets_and_the_height_are_those_of_the_claim():
    data = nets.problem(3)
    x = np.asarray(data.x)
    assert x.shape == (128, 3)
    y = np.tanh(1.5 * x[:, 0]) + x[:, 1] / 2
    np.testing.assert_allclose(data.y, y, atol=1e-14)
    np.testing.assert_allclose(nets.height(data), np.mean(y**2) / 2)


def test_one_sided_functions_stand_between_the_two_shares():
    data = nets.problem(nets.WIDTH)
    found = []
    for sign in (1, -1):

        @jax.jit
        @jax.value_and_grad
        def loss(v, sign=sign):
            return jnp.mean((data.y - sign * jax.nn.relu(data.x @ v)) ** 2) / 2

        v = jnp.zeros(8).at[0].set(sign)
        found += [minimize(loss, v, jac=True, method="BFGS").fun / nets.height(data)]
    np.testing.assert_allclose(found, [0.573, 0.506], atol=5e-4)


def test_a_lane_is_the_same_however_many_there_are():
    few, more = (starts(2, 2, lanes) for lanes in (2, 3))
    assert few.biases is None
    for mine, theirs in zip(jax.tree.leaves(few), jax.tree.leaves(more), strict=True):
        np.testing.assert_array_equal(mine, np.asarray(theirs)[:2])
    readout = np.asarray(few.readout)
    assert not np.array_equal(readout[0], readout[1])


def test_weights_have_the_variances_of_the_theory():
    networks = starts(2, 8, 300)
    parts = networks.embedding, networks.weights[1], networks.readout
    found = [8 * np.var(np.asarray(part)) for part in parts]
    # 2400 draws at least: 5 standard errors of a variance
    np.testing.assert_allclose(found, [1, 2, 1], rtol=5 * (2 / 2400) ** 0.5)


def test_residual_branches_have_variance_1_over_d_l_and_are_not_scaled_again():
    networks = starts(2, 2, 3, **nets.ARCHITECTURES["residual"](32))
    plain = starts(2, 2, 3)
    for mine, he in zip(networks.weights, plain.weights, strict=True):
        mine, he = np.asarray(mine), np.asarray(he)
        np.testing.assert_allclose(64 * mine**2, he**2)  # 1/(dL) of 2/d, L = 32
    network = lane(networks, 0)
    weights = [np.asarray(w) for w in network.weights]
    h = np.asarray(network.embedding) @ np.ones(2)
    for w in weights:
        h = h + np.maximum(w @ h, 0)
    found = eqx.filter_jit(network)(np.ones(2))
    np.testing.assert_allclose(found, np.asarray(network.readout) @ h)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("gradient descent", [-0.3, 0.4]),
        ("momentum 0.9", [-0.3, 0.4]),
        ("normalised descent", [-0.06, 0.08]),
        ("sign descent", [-0.1, 0.1]),
        ("RMSprop", [-1, 1]),  # √(1 − 0.99) = 0.1: ten times the step size
        ("Adam", [-0.1, 0.1]),
    ],
)
def test_first_steps_of_the_optimizers(name, step):
    optimizer = nets.OPTIMIZERS[name](0.1)
    first = jax.jit(lambda g: optimizer.update(g, optimizer.init(g), g)[0])
    with jax.numpy_dtype_promotion("standard"):
        update = first(np.array([3.0, -4.0]))
    np.testing.assert_allclose(update, step, rtol=1e-6)  # eps = 1e-8


def test_a_run_is_descent_against_steps():
    data, networks = nets.problem(2), starts(2, 2, 2)
    found = nets.run_steps(data, networks, "gradient descent", 0.2, 3)
    np.testing.assert_array_equal(found.times, [[0, 1, 2, 3]] * 2)
    one, losses = lane(networks, 1), []
    slope_of = jax.jit(jax.value_and_grad(px.problems.loss, argnums=1))
    for _ in range(4):
        value, slope = slope_of(data, one)
        losses.append(float(value))
        one = jax.tree.map(lambda w, g: w - 0.2 * np.asarray(g), one, slope)
    np.testing.assert_allclose(found.losses[1], losses, rtol=1e-12)
    # a height of which 3/4 is the loss of this lane at step 2
    left = nets.tell({}, "lane", found, data, losses[2] / 0.75)
    np.testing.assert_allclose(left["3/4"].time[1], 2)
    assert left["1/2"].time[1] > 2


def test_the_best_step_size_has_most_escapes_then_the_shortest_median():
    row = lambda share, median: {"escaped": [share], "median": [median]}
    rows = row(0.9, np.inf), row(0.9, 40.0), row(0.9, 30.0), row(0.1, np.inf)
    made = {
        f"a: gradient descent {h:g}, 3/4": one
        for h, one in zip(nets.STEP_SIZES, rows, strict=True)
    }
    assert nets.best_step_size(made, "a") == nets.STEP_SIZES[2]


def test_pictures_become_rows_in_standard_units(pictures):
    data = nets.images(pictures, ("train", "labels"), 10)
    assert (data.x.shape, data.y.shape, data.name) == ((10, 12), (10, 3), "shapes")
    assert np.all(data.x[:, 0] == 0)
    np.testing.assert_allclose(np.mean(data.x, axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(np.std(data.x[:, 1:], axis=0), 1)
    # classes 2, 5, 7 in this order: the label pixel rises along them
    pixel, label = np.asarray(data.x[:, 1]), np.argmax(data.y, axis=1)
    line = np.polynomial.Polynomial.fit(np.array([2, 5, 7])[label], pixel, 1)
    np.testing.assert_allclose(line(np.array([2, 5, 7])[label]), pixel)
    assert line.convert().coef[1] > 0
    assert isinstance(data.loss, px.problems.CrossEntropy)


def test_pictures_are_learnt_and_told(told):
    data, (made, seen) = told
    assert len(made) == 4
    for how, (run, found) in seen.items():
        assert run.losses.shape == (3, 31)
        for words, share in (("3/4", 0.75), ("1/2", 0.5)):
            below = np.min(run.losses, axis=1) <= share * run.losses[:, 0]
            np.testing.assert_array_equal(~below, found[words].censored)
            first = np.argmax(run.losses <= share * run.losses[:, :1], axis=1)
            wanted = np.where(below, first, np.inf)
            np.testing.assert_array_equal(np.ceil(found[words].time), wanted)
            escaped = made[f"shapes: {how}, {words}"]["escaped"][0]
            np.testing.assert_allclose(escaped, np.mean(below))


def test_figures_name_every_optimizer_once(told, tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    _, (_, seen) = told
    nets.draw_digits(seen, tmp_path / "digits.png")
    found = {how: one for how, (_, one) in seen.items()}
    shapes = {(32, 8): found | {"Adam 3": None}, (32, 32): found}
    nets.draw_widths(shapes, tmp_path / "widths.png")
    for name in ("digits.png", "widths.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    fig, ax = plt.subplots()
    nets.draw_bands(ax, {how: run for how, (run, _) in seen.items()})
    nets.few_names(ax)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(seen)
    assert nets.colors(seen) == ["#0072B2", "black"]
    plt.close(fig)


def test_the_digits_are_the_bundled_ones_without_a_file(pictures):
    bundled = nets.pictures(nets.Config())
    assert (bundled.name, bundled.x.shape) == ("digits", (256, 64))
    own = nets.Config(file=str(pictures), arrays=("train", "labels"))
    assert nets.pictures(own).x.shape == (12, 12)


def test_expected_numbers_say_what_is_claimed():
    share = lambda name, part=0: EXPECTED[name]["escaped"][part]
    wide, narrow = "L = 32, d = 32: ", "L = 32, d = 8: "
    descent, adam = "gradient descent 0.03, ", "Adam 0.001, "
    assert share(narrow + descent + "3/4", 2) < share(narrow + adam + "3/4", 1)
    assert share(narrow + "gradient descent 0.3, 1/2") == 0
    for name in (descent, adam):
        assert share(wide + name + "1/2") > 0.9
        assert share(narrow + name + "1/2") < share(narrow + name + "3/4")
    skips = share("residual: gradient descent 0.003, 1/2", 1)
    assert share("plain: gradient descent 0.1, 1/2", 2) < skips
    names = {f"L = {depth}, d = {width}: " for depth, width in nets.SHAPES}
    names |= {f"{name}: " for name in (*nets.ARCHITECTURES, "digits")}
    for name in names:
        assert any(key.startswith(name) for key in EXPECTED)
