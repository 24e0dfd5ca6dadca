"""Factorisations are those of NumPy and SciPy, alone, in batches and side by side."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from plateaux._factorisations import lu, qr, triangle

from .closeness import assert_close

FILES = sorted((Path(__file__).parents[1] / "plateaux").rglob("*.py"))
MATRICES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 5, 5)))


def test_lu_rebuilds_its_matrix():
    for matrix in MATRICES.reshape(-1, 5, 5):
        factors, order = lu(matrix)
        lower = jnp.tril(factors, -1) + jnp.eye(5)
        assert_close(lower @ jnp.triu(factors), matrix[order])


def test_qr_rebuilds_its_matrix_and_the_triangle_is_its_second_factor():
    tall = MATRICES[0, 0][:, :3]
    q, r = qr(tall)
    assert_close(q @ r, tall)
    assert_close(q.T @ q, jnp.eye(3))
    assert jnp.array_equal(triangle(tall), r)
    assert jnp.array_equal(r, jnp.triu(r))


@pytest.mark.parametrize("factorise", [lu, qr, triangle])
def test_batches_of_batches_are_loops(factorise):
    together = jax.jit(jax.vmap(jax.vmap(factorise)))(MATRICES)
    for i in range(2):
        for j in range(3):
            alone = factorise(MATRICES[i, j])
            assert_close(jax.tree.map(lambda a, i=i, j=j: a[i, j], together), alone)


@pytest.mark.parametrize("factorise", [lu, qr, triangle])
def test_no_batch_is_handed_to_lapack(factorise):
    """Two programs that do so at the same time can wait for each other for ever."""
    batched = jax.vmap(factorise)
    text = jax.jit(batched).lower(MATRICES[0]).compile().as_text()
    calls = [line for line in text.splitlines() if "lapack_" in line]
    assert calls
    assert not any(re.search(r"f64\[3,", line) for line in calls)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_factorisations_of_jax_are_called_in_one_place(path):
    calls = r"(jnp|lax|jsp|jax\.scipy)\.linalg\.(qr|lu|cholesky|solve|inv|det|lstsq)\b"
    found = re.findall(calls, path.read_text(encoding="utf-8"))
    assert not found or path.stem == "_factorisations"
