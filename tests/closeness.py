"""Comparing arrays and batches: the tolerance comes from the dtype, in one place.

In NumPy: every operation of JAX on a new shape is a program to compile.
"""

import jax
import jax.numpy as jnp
import numpy as np


def assert_close(actual, expected, *, ulps=64.0):
    """Same shapes and dtypes, and entries within `ulps` rounding units of the scale."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, e = _array(a), _array(e)
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        if not np.issubdtype(a.dtype, np.floating):
            assert np.array_equal(a, e)
            continue
        assert np.array_equal(np.isfinite(a), np.isfinite(e))
        finite = np.isfinite(e)
        assert np.array_equal(a[~finite], e[~finite])
        scale = max(1.0, float(np.max(np.abs(e[finite]), initial=0.0)))
        error = float(np.max(np.abs(a[finite] - e[finite]), initial=0.0))
        assert error <= ulps * float(np.finfo(a.dtype).eps) * scale


def _array(value) -> np.ndarray:
    """The value in the dtype JAX gives it."""
    return np.asarray(jnp.asarray(value))


def lane(batch, i):
    """The i-th member of a batch of pytrees."""
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)[i]), batch)


def stacked(members):
    """The batch of pytrees of one kind."""
    return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *members)
