"""Equations with known solutions: residuals, energies, networks that learn them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import plateaux as px
from plateaux.problems import (
    allen_cahn,
    burgers,
    gauss_legendre,
    part_losses,
    poisson,
    poisson_1d,
    poisson_2d,
    ritz_1d,
    ritz_2d,
    solution_error,
    tensor,
)

# an asymmetric domain and frequencies off the symmetric ones, so that signs count
DOMAIN = (-0.7, 1.1)
RESIDUALS = {
    "poisson_1d": lambda **o: poisson_1d(
        frequencies=(0.3, 1.1),
        amplitudes=(1.0, -0.4),
        num_points=12,
        domain=DOMAIN,
        **o,
    ),
    "poisson_2d": lambda **o: poisson_2d(frequency=0.4, num_side=4, domain=DOMAIN, **o),
    "burgers": lambda **o: burgers(num_times=4, num_points=5, **o),
    "allen_cahn": lambda **o: allen_cahn(num_points=12, **o),
}
ENERGIES = {
    "ritz_1d": lambda **o: ritz_1d(
        frequencies=(0.3, 1.1),
        amplitudes=(1.0, -0.4),
        num_points=32,
        domain=DOMAIN,
        **o,
    ),
    "ritz_2d": lambda **o: ritz_2d(frequency=0.4, num_side=12, domain=DOMAIN, **o),
}
PROBLEMS = RESIDUALS | ENERGIES


@eqx.filter_jit
def losses_at_and_off(problem):
    """The parts of the loss at the solution, and off it."""
    off = lambda x: problem.solution(x) + jnp.sin(x[-1])
    return part_losses(problem, problem.solution), part_losses(problem, off)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float64") for name in RESIDUALS]
    + [("burgers", "float32")]
    + [
        pytest.param(name, "float32", marks=pytest.mark.slow)
        for name in RESIDUALS
        if name != "burgers"
    ],
)
def test_solutions_have_no_residual(name, dtype):
    losses, off = losses_at_and_off(RESIDUALS[name](dtype=dtype))
    # residuals of size 10 to round-off, squared
    bound = (100 * jnp.finfo(dtype).eps) ** 2
    assert {"residual", "boundary"} <= set(losses)
    assert all(loss <= bound for loss in losses.values())
    assert all(loss > 1e-4 for loss in off.values())


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem(name):
    for dtype in ("float32", "float64"):
        problem = PROBLEMS[name](dtype=dtype)
        assert problem.name == name
        arrays = jax.tree.leaves(eqx.filter(problem, eqx.is_array))
        assert {array.dtype for array in arrays} == {jnp.dtype(dtype)}
        # functions made anew are the same program
        again = PROBLEMS[name](dtype=dtype)
        assert jax.tree.structure(again) == jax.tree.structure(problem)
    assert PROBLEMS[name]().order == (2 if name in RESIDUALS else 1)


def test_residuals_against_those_by_hand():
    """u = t²x + x³ at a point of Burgers, u = x³ of Poisson and Allen–Cahn."""
    t, x, nu = 0.3, -0.6, 0.05
    density = burgers(viscosity=nu).parts[0].density
    by_hand = 2 * t * x + (t**2 * x + x**3) * (t**2 + 3 * x**2) - nu * 6 * x
    field = lambda z: z[0] ** 2 * z[1] + z[1] ** 3
    found = jax.jit(lambda d, z: d(field, z))(density, np.array([t, x]))
    np.testing.assert_allclose(found, by_hand**2 / 2, rtol=1e-13)
    cube, point = lambda z: z[0] ** 3, np.array([x])
    at = jax.jit(lambda d: d(cube, jnp.asarray(point)))
    by_hand = -(0.2**2) * 6 * x + x**9 - x**3
    found = at(allen_cahn(width=0.2).parts[0].density)
    np.testing.assert_allclose(found, by_hand**2 / 2, rtol=1e-13)
    source = 0.5 * (0.8 * np.pi) ** 2 * np.sin(0.8 * np.pi * x)
    density = poisson_1d(frequencies=[0.4], amplitudes=[0.5]).parts[0].density
    np.testing.assert_allclose(at(density), (-6 * x - source) ** 2 / 2, rtol=1e-13)


def test_waves_and_kinks_are_where_they_are_said_to_be():
    wave = burgers(speed=0.3, height=0.7, position=0.1).solution
    np.testing.assert_allclose(wave(jnp.array([0.5, 0.25])), 0.3, rtol=1e-14)  # c
    np.testing.assert_allclose(wave(jnp.array([0.5, -9.0])), 1.0, rtol=1e-14)  # c + a
    np.testing.assert_allclose(wave(jnp.array([0.5, 9.0])), -0.4, rtol=1e-14)
    kink = allen_cahn(width=0.2, position=-0.3).solution
    np.testing.assert_allclose(kink(jnp.array([-0.3])), 0.0, atol=1e-15)
    assert kink(jnp.array([0.5])) > 0.99


def test_poisson_is_that_of_linear_equations(key):
    """The same points, the same loss: means, and β/2 for each end."""
    problem = poisson_1d(
        frequencies=[0.3], amplitudes=[0.7], num_points=6, boundary_weight=8.0
    )
    inside, ends = problem.parts
    omega = 0.6 * np.pi
    u_star = 0.7 * np.sin(omega * np.asarray(ends.x)[:, 0])
    source = 0.7 * omega**2 * np.sin(omega * np.asarray(inside.x)[:, 0])
    rows = poisson(inside.x, source, ends.x, u_star, boundary_weight=8.0)
    weights = np.concatenate([inside.weights, np.asarray(rows.sample_weights)[6:]])
    rows = eqx.tree_at(lambda r: r.sample_weights, rows, jnp.asarray(weights))
    rng = np.random.default_rng(9)
    w, b, c = rng.normal(size=(4, 1)), rng.normal(size=4), rng.normal(size=4)
    u, loss = px.TwoLayer(w, b, c, activation="tanh"), jax.jit(px.loss)
    np.testing.assert_allclose(loss(problem, u), loss(rows, u), rtol=1e-13)
    np.testing.assert_allclose(np.sum(inside.weights), 1.0, rtol=1e-14)
    np.testing.assert_allclose(ends.weights, [4.0, 4.0])


def test_points_cover_domain_and_boundary():
    problem = poisson_2d(num_side=3, domain=(0.0, 2.0))
    inside, sides = problem.parts
    assert inside.x.shape == (9, 2)
    assert sides.x.shape == (12, 2)
    edge = np.asarray(sides.x)
    on_side = (edge == 0) | (edge == 2)
    assert np.sum(on_side, axis=1).tolist() == [1] * 12
    assert np.sum(on_side, axis=0).tolist() == [6, 6]
    np.testing.assert_allclose(np.mean(edge, axis=0), [1.0, 1.0])
    for part, total in ((inside, 1.0), (sides, 100.0)):
        np.testing.assert_allclose(np.sum(part.weights), total, rtol=1e-14)
    waves = burgers(num_times=3, num_points=4)
    assert [part.x.shape for part in waves.parts] == [(12, 2), (4, 2), (6, 2)]
    assert np.all(np.asarray(waves.parts[1].x)[:, 0] == 0)
    assert np.all(np.abs(np.asarray(waves.parts[2].x)[:, 1]) == 1)


# --- energies ----------------------------------------------------------------------


def squares(problem, v, beta, fine, shifted):
    """½∫|∇v|² + (β/2)∮(v [+ ∂_n u*/β])² of a deviation v, by other rules."""
    slope = jax.grad(problem.solution)
    total = (
        0.5
        * fine.weights
        @ jax.vmap(lambda x: jnp.sum(jax.grad(v)(x) ** 2))(fine.points)
    )
    line = gauss_legendre(30, domain=DOMAIN)
    for axis in range(problem.in_dim):
        for end, sign in ((DOMAIN[0], -1.0), (DOMAIN[1], 1.0)):
            if problem.in_dim == 1:
                points, weights = jnp.array([[end]]), jnp.ones(1)
            else:
                points = jnp.insert(line.points, axis, end, axis=1)
                weights = line.weights
            known = lambda x, a=axis, s=sign: s * slope(x)[a] / beta
            gap = jax.vmap(v)(points)
            gap = gap + jax.vmap(known)(points) if shifted else gap
            total = total + beta / 2 * weights @ gap**2
    return total


@pytest.mark.parametrize("consistent", [False, True])
@pytest.mark.parametrize("name", ENERGIES)
def test_energies_are_sums_of_squares(name, consistent):
    beta = 7.0
    problem = ENERGIES[name](boundary_weight=beta, consistent=consistent)
    line = gauss_legendre(30, domain=DOMAIN)
    fine = line if problem.in_dim == 1 else tensor(line, line)

    @jax.jit
    def both(problem, size):
        v = lambda x: size * (0.3 * x[0] ** 2 + 0.4 * x[-1] - 0.2)
        found = problem.loss_of(lambda x: problem.solution(x) + v(x))
        return found, squares(problem, v, beta, fine, shifted=not consistent)

    for size in (0.0, 1.0):
        np.testing.assert_allclose(*both(problem, size), rtol=1e-11, atol=1e-12)


@jax.jit
def least_line(problem):
    """The line by which u* is moved to the least L, that L, and slopes of u*."""

    def at(a):
        return problem.loss_of(lambda x: problem.solution(x) + a[0] + a[1] * x[0])

    zero = jnp.zeros(2)
    best = -jnp.linalg.solve(jax.hessian(at)(zero), jax.grad(at)(zero))
    slopes = jax.vmap(jax.grad(problem.solution))(jnp.array(DOMAIN)[:, None])
    return best, at(best), slopes[:, 0]


def test_the_penalty_moves_the_minimiser():
    """In one dimension v is a line: the least L is found by hand."""
    for beta in (10.0, 100.0):
        problem = ENERGIES["ritz_1d"](boundary_weight=beta)
        best, value, slopes = (np.asarray(a) for a in least_line(problem))
        # v = −q/β + O(1/β²) at the ends, q the outward slopes of u*
        q = slopes * [-1, 1]
        v = np.array([best[0] + best[1] * x for x in DOMAIN])
        gap = np.abs(v + q / beta).max()
        assert gap < 60 / beta**2
        # L = ½ |Ω| b² + (β/2) Σ (v + q/β)², of order 1/β²
        least = 0.9 * best[1] ** 2 + beta / 2 * np.sum((v + q / beta) ** 2)
        np.testing.assert_allclose(value, least, rtol=1e-9)
        assert 0 < least < 300 / beta**2


def test_closed_forms_of_energies():
    # sin(πx) on (−1, 1): E = −½ ∫ u'² = −π²/2; products: E = −π²
    zero = lambda x: 0.0 * x[0]
    line = ritz_1d(frequencies=[0.5], amplitudes=[1.0], consistent=True)
    np.testing.assert_allclose(
        line.parts[0].loss_of(zero), np.pi**2 / 2 - np.pi**2 / 500
    )
    square = ritz_2d(consistent=True)
    # ∮ (∂_n u)² = 4 π²
    np.testing.assert_allclose(
        square.parts[0].loss_of(zero), np.pi**2 - 4 * np.pi**2 / 1000
    )


# --- training ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "optimizer"),
    [
        ("poisson_2d", optax.lbfgs()),
        ("burgers", optax.adam(1e-2)),
        pytest.param("allen_cahn", px.gradient_descent(1e-3), marks=pytest.mark.slow),
        pytest.param("ritz_1d", optax.adam(1e-2), marks=pytest.mark.slow),
    ],
)
def test_networks_train(name, optimizer, key):
    problem = PROBLEMS[name]()
    options = {"activation": "tanh", "bias": "normal", "readout_bias": True}
    u = px.networks.mlp(key, widths=(5, 5), in_dim=problem.in_dim, **options)
    run = px.descend(problem, u, optimizer, num_steps=80, save=px.every(40))
    assert run.outcome == px.Outcome.completed
    assert run.losses[-1] < 0.3 * run.losses[0]


@pytest.mark.slow
def test_a_network_learns_the_solution():
    """1-16-16-1 by L-BFGS: the relative error falls below one in a thousand."""
    problem = poisson_1d(num_points=60)
    rule = gauss_legendre(200)
    u = px.networks.mlp(
        jax.random.key(0),
        widths=(16, 16),
        in_dim=1,
        activation="tanh",
        bias="normal",
        readout_bias=True,
    )
    run = px.descend(problem, u, optax.lbfgs(), num_steps=1500)
    assert solution_error(problem, run.network, rule).relative < 1e-3


# --- refusals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: poisson_1d(frequencies=[1.0]),
            ValueError,
            "of one length, but have 1",
        ),
        (lambda: poisson_1d(num_points=0), ValueError, "`num` must be at least 1"),
        (lambda: poisson_1d(domain=(1.0, 0.0)), ValueError, "increasing"),
        (lambda: poisson_1d(boundary_weight=0.0), ValueError, "must be positive"),
        (lambda: poisson_2d(frequency="1"), TypeError, "`frequency` must be a number"),
        (lambda: burgers(viscosity=-1.0), ValueError, "`viscosity` must be positive"),
        (lambda: burgers(height=0.0), ValueError, "`height` must be positive"),
        (lambda: allen_cahn(width=0.0), ValueError, "`width` must be positive"),
        (lambda: allen_cahn(position=np.nan), ValueError, "`position` must be finite"),
        (lambda: ritz_1d(consistent=1), TypeError, "must be true or false"),
        (lambda: ritz_2d(dtype="int32"), TypeError, "floating-point type"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()
