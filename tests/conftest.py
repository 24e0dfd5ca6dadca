"""Every test runs in float64, with silent broadcasting and promotion refused."""

import zlib
from pathlib import Path

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Compiled programs hold memory maps, of which Linux gives a process 65530."""
    yield
    maps = Path("/proc/self/maps")
    if not maps.exists() or len(maps.read_bytes().splitlines()) > 45_000:
        jax.clear_caches()


@pytest.fixture
def key(request):
    """A random key of the test's own, the same every day."""
    return jax.random.key(zlib.crc32(request.node.nodeid.encode()))
