"""Every test runs in float64, with silent broadcasting and promotion refused."""

import zlib

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Every compiled program holds memory maps, of which a process may have 65530."""
    yield
    jax.clear_caches()


@pytest.fixture
def key(request):
    """A random key of the test's own, the same every day."""
    return jax.random.key(zlib.crc32(request.node.nodeid.encode()))
