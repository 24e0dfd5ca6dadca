"""Chains and saddles: closed forms against SciPy, quadrature, steps and the flow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit, hyp2f1

import plateaux as px
from plateaux.dynamics import reduced
from plateaux.dynamics.reduced.hypergeometric import fractions_sum as _fractions_sum

from ..closeness import assert_close

KEEP = {"network": lambda problem, network: network}
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)


def log_time_by_quadrature(depth, log_u0, log_u1, target=1.0, pieces=3000):
    """ln ∫ du/(L u^p (y − u)) in the variable ln(u/(y − u)), where it is smooth."""
    logit = lambda log_z: log_z - np.log(-np.expm1(log_z))
    ends = logit(np.array([log_u0, log_u1]) - np.log(target))
    edges = np.linspace(*ends, pieces + 1)
    half = np.diff(edges)[:, None] / 2
    points = (edges[1:] + edges[:-1])[:, None] / 2 + half * NODES
    power = 2 - 2 / depth
    log_f = (power - 1) * np.logaddexp(0, -points)
    top = log_f.max()
    total = np.sum(half * WEIGHTS * np.exp(log_f - top))
    return top + np.log(total) - np.log(depth) - power * np.log(target)


# --- the hypergeometric function -----------------------------------------------------


fractions_sum = jax.jit(_fractions_sum)


@pytest.mark.parametrize("beta", [2.0, 1.0, 2 / 3, 0.2, 0.002])
def test_hypergeometric_function(beta):
    logits = np.array([-3.0, -0.5, -1e-9, 1e-9, 0.5, 3.0, 5.0])
    expected = hyp2f1(1, beta, 1 + beta, expit(logits))
    ours = 1 + beta * np.asarray(fractions_sum(beta, logits))
    np.testing.assert_allclose(ours, expected, rtol=1e-13)  # SciPy gets a rounded 1 − z


def test_hypergeometric_function_beyond_where_z_is_1():
    """ln(1/(1 − z)) − ψ(1 + β) + ψ(1) is all that is left."""
    s = np.array([40.0, 1e5, 41.0, 50.0, 60.0, 1e2, 1e3])
    np.testing.assert_allclose(fractions_sum(1.0, s), s - 1, rtol=1e-14)


# --- escape times --------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 10, 64, 1000])
def test_escape_time_against_quadrature(depth):
    ends = [(-1.0, -0.1), (-12.0, -0.7), (-700.0, -0.01), (-5000.0, -1e-6)]
    for log_u0, log_u1 in [*ends, (-2.0, -1.99)]:
        for y in (1.0, 3.0):
            expected = log_time_by_quadrature(depth, log_u0, log_u1, y)
            found = reduced.log_chain_escape_time(log_u0, log_u1, depth=depth, target=y)
            # 1e-12: the ends (−2, −1.99) differ by 5e-3 of their rounding units.
            assert abs(float(found) - expected) < 1e-12 * max(1, abs(expected))


@pytest.mark.parametrize("depth", [1, 2, 3, 10, 1000])
def test_escape_time_against_an_integrated_flow(depth):
    """d(ln u)/dt = L x u^{1−2/L} (y − x u), with an input of another size."""
    u0, u1, x, y = 0.02, 1.2, 1.5, 2.0
    time = reduced.chain_escape_time(u0, u1, depth=depth, target=y, x=x)
    speed = lambda _, v: depth * x * np.exp(v * (1 - 2 / depth)) * (y - x * np.exp(v))
    start = [np.log(u0)]
    run = solve_ivp(speed, (0, float(time)), start, "DOP853", rtol=1e-12, atol=1e-13)
    # 1e-9: what the solver leaves of its tolerance over the whole run.
    np.testing.assert_allclose(np.exp(run.y[0, -1]), u1, rtol=1e-9)


def test_classical_formulas():
    y, u0, u1 = 1.7, 0.05, 1.3
    exponential = np.log((y - u0) / (y - u1))
    logistic = np.log(u1 * (y - u0) / (u0 * (y - u1))) / (2 * y)
    found = [reduced.chain_escape_time(u0, u1, depth=L, target=y) for L in (1, 2)]
    np.testing.assert_allclose(found, [exponential, logistic], rtol=1e-14)


def test_the_formula_of_the_papers_letters():
    """F(u) = (u/y)^{1−p}/((1−p) L y^p) ₂F₁(1, 1−p; 2−p; u/y), by SciPy."""
    depth, w0, y, u1 = 10, 0.3, 1.0, 0.5
    p = 2 - 2 / depth
    f = lambda u: (
        (u / y) ** (1 - p) / ((1 - p) * depth * y**p) * hyp2f1(1, 1 - p, 2 - p, u / y)
    )
    time = reduced.chain_escape_time(w0**depth, u1, depth=depth, target=y)
    np.testing.assert_allclose(time, f(u1) - f(w0**depth), rtol=1e-13)
    assert round(float(time), 1) == 1905.4
    assert round(1 / ((depth - 2) * y * w0 ** (depth - 2)), 1) == 1905.2


def test_the_plateau_where_nothing_can_be_written_without_logarithms():
    depth, w0 = 1000, 0.1
    log_time = reduced.log_chain_escape_time(depth * np.log(w0), -0.5, depth=depth)
    leading = -(depth - 2) * np.log(w0) - np.log(depth - 2)
    assert abs(float(log_time) - leading) < 1e-12 * leading


def test_logarithms_or_not():
    how = {"depth": 5, "target": 2.0, "x": 1.5}
    plain = reduced.chain_escape_time(0.01, 1.2, **how)
    log = reduced.log_chain_escape_time(np.log(0.01), np.log(1.2), **how)
    np.testing.assert_allclose(np.exp(log), plain, rtol=1e-14)
    assert float(reduced.log_chain_escape_time(-3.0, -3.0, depth=5)) == -np.inf


def test_single_precision():
    u0, u1 = np.float32(1e-6), np.float32(0.5)
    time = reduced.chain_escape_time(u0, u1, depth=6, target=np.float32(1))
    assert time.dtype == jnp.float32
    expected = reduced.chain_escape_time(float(u0), float(u1), depth=6)
    np.testing.assert_allclose(time, expected, rtol=1e-5)


def test_derivatives_of_the_escape_time_are_reciprocal_velocities():
    depth, u0, u1, y = 5, 0.01, 0.6, 1.3
    time = lambda a, b, y: reduced.chain_escape_time(a, b, depth=depth, target=y)
    slopes = jax.jit(jax.grad(time, argnums=(0, 1, 2)))(u0, u1, y)
    speed = lambda u: depth * u ** (2 - 2 / depth) * (y - u)
    by_target = lambda u: -depth * u ** (2 - 2 / depth) / speed(u) ** 2
    third = quad(by_target, u0, u1, epsrel=1e-12)[0]
    expected = [-1 / speed(u0), 1 / speed(u1), third]
    np.testing.assert_allclose(slopes, expected, rtol=1e-10)


def test_a_batch_of_escape_times_is_a_loop():
    u0 = np.array([1e-9, 1e-3, 0.2])
    one = lambda u: reduced.chain_escape_time(u, 0.5, depth=4)
    expected = np.stack([one(u) for u in u0])
    assert_close(jax.jit(jax.vmap(one))(u0), expected)
    assert_close(one(u0), expected)


def test_sign_flow_ignores_depth_and_curvature():
    u0, u1 = 0.3**10, 0.5
    np.testing.assert_allclose(
        reduced.sign_flow_time(u0, u1, depth=10), 0.5**0.1 - 0.3, rtol=1e-14
    )
    assert float(reduced.sign_flow_time(0.0, 1.0, depth=1000)) == 1.0


@pytest.mark.parametrize("imbalance", [0.0, 1e-6, 1.0, -30.0])
@pytest.mark.parametrize(("u0", "u1"), [(0.1, 0.5), (-0.5, 0.3), (-3.0, 0.999)])
def test_two_unequal_weights(imbalance, u0, u1):
    for y, x in [(1.0, 1.0), (2.0, 1.5)]:
        found = reduced.two_weight_escape_time(
            u0, u1, imbalance=imbalance, target=y, x=x
        )
        if imbalance == 0 and u0 <= 0:
            assert float(found) == np.inf
            continue
        speed = lambda u, y=y, x=x: x * (y - x * u) * np.hypot(imbalance, 2 * u)
        how = {"points": [0], "epsrel": 1e-13, "limit": 300}
        expected = quad(lambda u, speed=speed: 1 / speed(u), u0, u1, **how)[0]
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_two_weights_become_balanced():
    balanced = reduced.chain_escape_time(0.1, 0.5, depth=2)
    for imbalance in (0.0, 1e-9):
        time = reduced.two_weight_escape_time(0.1, 0.5, imbalance=imbalance)
        np.testing.assert_allclose(time, balanced, rtol=1e-15)
    by_imbalance = lambda c: reduced.two_weight_escape_time(0.1, 0.5, imbalance=c)
    assert float(jax.jit(jax.grad(by_imbalance))(0.0)) == 0


# --- the law in time -----------------------------------------------------------------

LAW = reduced.ChainLaw(10, jnp.array(1.3), jnp.array(0.7), jnp.array(10 * np.log(0.3)))


# Eight times throughout, for one program.
def test_the_law_inverts_its_times():
    end = float(LAW.time(1.2))
    times = end * np.array([0.0, 1e-6, *np.linspace(0.2, 1, 5), 2.0])
    outputs = np.asarray(LAW.output(times))
    # 1e-14 of the plateau: a product that has hardly moved tells no time.
    back = np.asarray(LAW.time(np.minimum(outputs, 1.25)))
    np.testing.assert_allclose(back[1:-1], times[1:-1], rtol=1e-12, atol=1e-14 * end)
    start = np.exp(LAW.log_start)
    np.testing.assert_allclose(outputs[0], start, rtol=1e-13)
    assert outputs[0] <= outputs[1]
    np.testing.assert_allclose(outputs[-1], 1.3, rtol=1e-15)


def test_the_end_of_the_law_is_exponential():
    """u̇ = L c ū^p (ū − u) near ū: the excess falls at twice that rate for ever."""
    after = float(LAW.time(1.2)) + np.linspace(10.0, 12.0, 8)
    logs = np.log(LAW.excess(after))
    rate = 2 * 10 * 0.7 * 1.3**1.8
    np.testing.assert_allclose(logs[-1] - logs[0], -2 * rate, rtol=1e-9)


def test_derivatives_of_the_law():
    time = float(LAW.time(0.6))
    output = lambda t, target, rate, start: reduced.ChainLaw(
        10, target, rate, start
    ).output(t)
    target, rate, log_start = (float(a) for a in (LAW.target, LAW.rate, LAW.log_start))
    at = tuple(map(np.asarray, (time, target, rate, log_start)))
    speed = lambda u: 10 * rate * u**1.8 * (target - u)
    look = jax.jit(jax.value_and_grad(output, argnums=(0, 1, 2, 3)))
    u, slopes = look(*at)
    u, start = float(u), np.exp(log_start)
    # 1e-8: an output on its way up knows its time to 1e-13 of the whole plateau.
    np.testing.assert_allclose(slopes[0], speed(u), rtol=1e-8)
    np.testing.assert_allclose(slopes[2], speed(u) * time / rate, rtol=1e-8)
    expected = speed(u) / speed(start) * start
    np.testing.assert_allclose(slopes[3], expected, rtol=1e-8)
    step = 1e-7
    shifted = [look(at[0], at[1] + s, *at[2:])[0] for s in (-step, step)]
    # 1e-6: central differences of step 1e-7.
    np.testing.assert_allclose(slopes[1], np.diff(shifted)[0] / 2 / step, rtol=1e-6)


PROBLEM = px.Problem([[1.0], [-0.5], [2.0]], [-1.5, 0.2, -2.0], weights=[1.0, 2.0, 1.0])


def test_chain_flow_is_the_flow():
    chain = px.networks.Chain([0.4, -0.4, 0.4, 0.4])
    end = 1.3 * float(reduced.chain_law(PROBLEM, chain).time(0.5))
    save = px.at(list(np.linspace(0, end, 9)[1:]))
    closed = reduced.chain_flow(PROBLEM, chain, t1=end, save=save, record=KEEP)
    flow = px.flow(PROBLEM, chain, t1=end, save=save, record=KEEP, rtol=1e-11)
    np.testing.assert_allclose(closed.times, flow.times)
    # 1e-8: the flow's own error, 1e-11 a step.
    np.testing.assert_allclose(closed.losses, flow.losses, rtol=1e-8)
    ours, theirs = closed.saved["network"].weights, flow.saved["network"].weights
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)
    assert closed.outcome == px.Outcome.completed
    last = jax.jit(px.loss)(PROBLEM, closed.network)
    np.testing.assert_allclose(last, np.asarray(closed.losses)[-1], rtol=1e-12)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        (px.networks.Chain([0.4, 0.4]), "between 0 and"),
        (px.networks.Chain([5.0, -5.0]), "between 0 and"),
        (px.networks.Chain([0.4, -0.3]), "balanced"),
        (px.networks.Chain([0.4, -0.4], activation="tanh"), "linear chain"),
        (px.networks.Chain([0.4, -0.4], residual_scale=1.0), "linear chain"),
    ],
)
def test_other_chains_are_refused(chain, message):
    with pytest.raises(ValueError, match=message):
        reduced.chain_law(PROBLEM, chain)


# --- quadratic saddles ---------------------------------------------------------------


def steps_of(method, x, radius, curvature, h, decay):
    """Steps of optax, one by one, along the direction that escapes."""
    import optax

    optimizer = {
        "descent": lambda: optax.sgd(h),
        "sign": lambda: optax.sign_sgd(h),
        "normalised": lambda: optax.sign_sgd(h),
        "rmsprop": lambda: optax.rmsprop(h, decay=decay, eps=0.0),
    }[method]()
    state = optimizer.init(x)

    def step(carry):
        x, state, count = carry
        update, state = optimizer.update(-curvature * x, state, x)
        return x + update, state, count + 1

    carry = (x, state, jnp.array(0))
    return jax.lax.while_loop(lambda c: c[0] < radius, step, carry)[2]


@pytest.mark.parametrize("method", ["descent", "sign", "normalised", "rmsprop"])
@pytest.mark.parametrize("curvature", [1.0, 1e-3])
def test_steps_out_of_a_saddle(method, curvature):
    x, radius, h, decay = 3e-3, 0.7, 0.01, 0.99
    found = reduced.saddle_escape_time(
        x, radius, curvature=curvature, method=method, step_size=h, decay=decay
    )
    counted = jax.jit(lambda x: steps_of(method, x, radius, curvature, h, decay))(x)
    assert int(np.ceil(found)) == int(counted)


def test_rmsprop_keeps_between_its_bounds_and_tends_to_sign_descent():
    ways = {"method": "rmsprop", "step_size": 0.01, "decay": 0.9}
    radii = np.array([0.1, 1.0, 100.0])
    steps = np.asarray(reduced.saddle_escape_time(1e-3, radii, **ways))
    straight = (radii - 1e-3) / 0.01
    assert np.all(np.sqrt(0.1) * straight <= steps)
    assert np.all(steps < straight + 1)
    assert 0.99 < float(steps[2] / straight[2]) < 1


def test_flow_out_of_a_saddle():
    time = reduced.saddle_escape_time(1e-3, 0.5, curvature=0.2)
    np.testing.assert_allclose(1e-3 * np.exp(0.2 * time), 0.5, rtol=1e-14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "adam"}, "rmsprop"),
        ({"method": "sign"}, "step_size"),
        ({"method": "flow", "step_size": 0.1}, "None for the flow"),
        ({"curvature": -1.0}, "positive"),
        ({"method": "rmsprop", "step_size": 0.1, "decay": 1.0}, "between 0 and 1"),
    ],
)
def test_saddles_refuse(options, message):
    with pytest.raises(ValueError, match=message):
        reduced.saddle_escape_time(0.1, 1.0, **options)
    with pytest.raises(ValueError, match="at least `start`"):
        reduced.saddle_escape_time(0.1, 0.01)


# --- deep linear networks ------------------------------------------------------------


def white_problem():
    rng = np.random.default_rng(4)
    x = np.linalg.qr(rng.normal(size=(8, 3)))[0] * np.sqrt(8 * 0.8)
    matrix = np.linalg.qr(rng.normal(size=(4, 4)))[0][:, :3] * [3.0, 1.5, 0.8]
    y = x @ (matrix @ np.linalg.qr(rng.normal(size=(3, 3)))[0]).T
    return px.Problem(x, y + 0.1 * rng.normal(size=(8, 4)))


def aligned(modes, depth):
    """W_l whose only singular values are u_0^{1/L}, in the modes' directions."""
    rng = np.random.default_rng(5)
    w = np.exp(np.asarray(modes.law.log_start) / depth)
    turns = [np.linalg.qr(rng.normal(size=(5, 5)))[0][:, :3] for _ in range(depth - 1)]
    sides = [np.asarray(modes.right), *turns, np.asarray(modes.left)]
    weights = [b * w @ a.T for a, b in zip(sides, sides[1:], strict=False)]
    return px.MLP(weights[:-1], None, weights[-1], activation="identity")


@pytest.mark.parametrize("depth", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_deep_linear_network_learns_mode_by_mode(depth):
    problem = white_problem()
    modes = reduced.linear_modes(problem, depth=depth, start=1e-3)
    network = aligned(modes, depth)
    end = 1.5 * float(modes.escape_times()[-1])
    save = px.at(list(np.linspace(0, end, 8)[1:]))
    run = px.flow(problem, network, t1=end, save=save, rtol=1e-10)
    # 1e-7: the flow's own error, 1e-10 a step.
    np.testing.assert_allclose(modes.loss(run.times), run.losses, rtol=1e-7)
    times = modes.escape_times()
    assert np.all(np.diff(times) > 0)
    # In the shape of the times of the run, for one program.
    strengths = np.asarray(modes.strengths(np.resize(times, run.times.shape)))
    shares = np.diag(strengths[:3]) / np.asarray(modes.law.target)
    np.testing.assert_allclose(shares, 0.5, rtol=1e-10)


def test_modes_without_target_are_left_out():
    x = np.array([[1.0, 1.0], [1.0, -1.0]])
    problem = px.Problem(x, 2 * x[:, 0])
    modes = reduced.linear_modes(problem, depth=3, start=0.1)
    np.testing.assert_allclose(modes.law.target, [2.0])
    np.testing.assert_allclose(modes.loss(0.0), (2 - 0.1) ** 2 / 2, rtol=1e-13)


def test_linear_modes_refuse():
    with pytest.raises(ValueError, match="white inputs"):
        reduced.linear_modes(px.Problem([[1.0, 2.0]], [1.0]), depth=2, start=0.1)
    with pytest.raises(ValueError, match="below the targets"):
        reduced.linear_modes(PROBLEM, depth=2, start=10.0)
    with pytest.raises(ValueError, match="learn nothing"):
        reduced.linear_modes(px.Problem([[1.0]], [0.0]), depth=2, start=0.1)
    logistic = px.Problem([[1.0]], [1.0], loss="logistic")
    with pytest.raises(TypeError, match="squared loss"):
        reduced.linear_modes(logistic, depth=2, start=0.1)


def test_bad_ends_are_refused():
    for u0, u1 in [(0.5, 0.1), (0.1, 1.0), (0.1, 2.0)]:
        with pytest.raises(ValueError, match="u0 <= u1"):
            reduced.chain_escape_time(u0, u1, depth=3)
        with pytest.raises(ValueError, match="log_u0 <= log_u1"):
            reduced.log_chain_escape_time(np.log(u0), np.log(u1), depth=3)
    with pytest.raises(ValueError, match="positive"):
        reduced.chain_escape_time(0.0, 0.5, depth=3)
    with pytest.raises(ValueError, match="at least 1"):
        reduced.chain_escape_time(0.1, 0.5, depth=0)
    with pytest.raises(ValueError, match="u0 <= u1"):
        reduced.two_weight_escape_time(0.6, 0.5, imbalance=1.0)
    with pytest.raises(ValueError, match="u0 <= u1"):
        reduced.sign_flow_time(0.6, 0.5, depth=3)


def test_what_is_traced_passes_the_door():
    jitted = eqx.filter_jit(lambda u: reduced.chain_escape_time(u, 0.5, depth=3))
    np.testing.assert_allclose(
        jitted(jnp.array(0.1)), reduced.chain_escape_time(0.1, 0.5, depth=3)
    )
