"""Factorisations are those of NumPy and SciPy, alone, in batches and side by side."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux._factorisations import lu, qr, qr_triangle, solve_triangle, solver

from .closeness import assert_close, lane

FILES = sorted((Path(__file__).parents[1] / "plateaux").rglob("*.py"))
MATRICES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 5, 5)))


def test_lu_rebuilds_its_matrix():
    for matrix in np.asarray(MATRICES).reshape(-1, 5, 5):
        factors, order = map(np.asarray, lu(jnp.asarray(matrix)))
        lower = np.tril(factors, -1) + np.eye(5)
        assert_close(lower @ np.triu(factors), matrix[order])


def test_qr_rebuilds_its_matrix_and_the_triangle_is_its_second_factor():
    tall = MATRICES[0, 0][:, :3]
    q, r = map(np.asarray, qr(tall))
    assert_close(q @ r, tall)
    assert_close(q.T @ q, np.eye(3))
    assert np.array_equal(qr_triangle(tall), r)
    assert np.array_equal(r, np.triu(r))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("unit_diagonal", [False, True])
def test_triangles_are_solved(lower, transposed, unit_diagonal):
    how = {"lower": lower, "transposed": transposed, "unit_diagonal": unit_diagonal}
    matrix, columns = MATRICES[0, 0], MATRICES[0, 1][:, :2]
    part = np.tril(matrix) if lower else np.triu(matrix)
    if unit_diagonal:
        np.fill_diagonal(part, 1.0)
    part = part.T if transposed else part
    for target in (columns, columns[:, 0]):
        found = np.asarray(solve_triangle(matrix, target, **how))
        assert_close(part @ found, target, ulps=1e4)
    solve = lambda target: solve_triangle(matrix, target, **how)
    together = jax.vmap(solve, in_axes=1, out_axes=1)(columns)  # one matrix for all
    assert_close(together, solve(columns))


def test_a_solver_solves_and_has_the_derivatives_of_an_inverse():
    matrix, target = MATRICES[0, 0], MATRICES[0, 1, 0]
    ours = lambda a, y: solver(a)(y) @ target
    plain = lambda a, y: jnp.linalg.inv(a) @ y @ target
    assert_close(ours(matrix, target), plain(matrix, target), ulps=1e4)
    for derivative in (jax.jacfwd, jax.jacrev):
        ours_of = jax.jit(derivative(ours, argnums=(0, 1)))(matrix, target)
        plain_of = jax.jit(derivative(plain, argnums=(0, 1)))(matrix, target)
        assert_close(ours_of, plain_of, ulps=1e5)


@pytest.mark.parametrize("factorise", [lu, qr, qr_triangle])
def test_batches_of_batches_are_loops(factorise):
    together = jax.jit(jax.vmap(jax.vmap(factorise)))(MATRICES)
    for i in range(2):
        for j in range(3):
            alone = factorise(MATRICES[i, j])
            assert_close(lane(lane(together, i), j), alone)


@pytest.mark.parametrize(
    "factorise", [lu, qr, qr_triangle, lambda a: solve_triangle(a, a[0])]
)
def test_no_batch_is_handed_to_lapack(factorise):
    """Two programs that do so at the same time can wait for each other for ever."""
    batched = jax.vmap(factorise)
    text = jax.jit(batched).lower(MATRICES[0]).compile().as_text()
    calls = [line for line in text.splitlines() if "lapack_" in line]
    assert calls
    assert not any(re.search(r"f64\[3,", line) for line in calls)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_factorisations_of_jax_are_called_in_one_place(path):
    calls = (
        r"(jnp|lax|jsp|jax\.scipy)\.linalg\.(qr|lu|cholesky|solve|inv|det|lstsq)\b"
        r"|(triangular_solve|solve_triangular|cho_solve)\("
    )
    found = re.search(calls, path.read_text(encoding="utf-8"))
    assert not found or path.stem == "_factorisations"
