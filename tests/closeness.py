"""Comparing arrays: the tolerance comes from the dtype, in one place."""

import jax
import jax.numpy as jnp


def assert_close(actual, expected, *, ulps=64.0):
    """Same shapes and dtypes, and entries within `ulps` rounding units of the scale."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        a, e = jnp.asarray(a), jnp.asarray(e)
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        if not jnp.issubdtype(a.dtype, jnp.floating):
            assert jnp.array_equal(a, e)
            continue
        assert jnp.array_equal(jnp.isfinite(a), jnp.isfinite(e))
        finite = jnp.isfinite(e)
        assert jnp.array_equal(a[~finite], e[~finite])
        scale = max(1.0, float(jnp.max(jnp.abs(e[finite]), initial=0.0)))
        error = float(jnp.max(jnp.abs(a[finite] - e[finite]), initial=0.0))
        assert error <= ulps * float(jnp.finfo(a.dtype).eps) * scale


def lane(batch, i):
    """The i-th member of a batch of pytrees."""
    return jax.tree.map(lambda leaf: leaf[i], batch)
