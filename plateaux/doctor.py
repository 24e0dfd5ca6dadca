"""Whether this installation can be trusted: versions, devices, precision, self-checks.

Two releases of JAX have computed wrong numbers silently. The self-checks compare what
the present one computes with NumPy.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np

CORE = ("jax", "jaxlib", "equinox", "jaxtyping", "optax", "numpy")
OPTIONAL = ("matplotlib", "scikit-learn", "pandas", "pyarrow", "zarr", "xarray", "tqdm")
NUM_LANES = 20_000


@dataclass(frozen=True)
class Check:
    """One self-check.

    Attributes:
        name: What is checked.
        passed: Whether it came out right.
        detail: What came.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Diagnosis:
    """What the doctor found.

    Attributes:
        python: Version of Python.
        platform: The system.
        versions: Versions of packages; None where an optional one is missing.
        devices: Devices JAX computes on.
        precision: "float64" if 64-bit mode is on, else "float32".
        checks: The self-checks.
    """

    python: str
    platform: str
    versions: dict[str, str | None]
    devices: list[str]
    precision: str
    checks: list[Check]

    @property
    def healthy(self) -> bool:
        """Whether all checks passed."""
        return all(check.passed for check in self.checks)

    @property
    def verdict(self) -> str:
        """The conclusion in one sentence."""
        failed = [check.name for check in self.checks if not check.passed]
        if not failed:
            return "Healthy: every self-check passed."
        return (
            f"Not healthy: {', '.join(failed)} failed, so results of jax "
            f"{self.versions['jax']} cannot be trusted; install another version of jax "
            "and jaxlib."
        )


def diagnose() -> Diagnosis:
    """Look at versions, devices and precision, and run the self-checks.

    Returns:
        The findings; `verdict` says them in one sentence.

    Example:
        >>> diagnose().verdict
        'Healthy: every self-check passed.'
    """
    return Diagnosis(
        python=platform.python_version(),
        platform=platform.platform(),
        versions={name: _version(name) for name in CORE + OPTIONAL},
        devices=[
            f"{device.platform}: {device.device_kind}" for device in jax.devices()
        ],
        precision=str(jnp.result_type(float)),
        checks=[check() for check in CHECKS],
    )


def check_double_precision() -> Check:
    """Whether 64-bit mode gives numbers of 53 binary digits."""
    with jax.enable_x64(True):
        total = jax.jit(jnp.add)(jnp.asarray(1.0), jnp.asarray(2.0**-52))
        passed = total.dtype == jnp.float64 and float(total) == 1 + 2.0**-52
    return Check("double precision", passed, f"1 + 2^-52 is {float(total)!r}")


def check_batched_sums() -> Check:
    """Whether batched float64 sums of squares are right beyond 16384 lanes.

    jax 0.10.2 on a CPU gives wrong values for the lanes past 16384, with matrices of
    3 or 5 rows and columns but not with others.
    """
    generator = np.random.default_rng(0)
    wrong = np.zeros(NUM_LANES, bool)
    for size in (3, 5):
        rows = generator.normal(size=(NUM_LANES, size))
        matrix = generator.normal(size=(size, size))
        expected = np.sum((rows @ matrix.T) ** 2, axis=1)
        with jax.enable_x64(True):
            wrong |= ~np.isclose(_batched_sums(matrix, rows), expected, rtol=1e-10)
    return _verdict("batched sums", wrong)


def _batched_sums(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    constant = jnp.asarray(matrix)
    one = lambda row: jnp.sum((constant @ row) ** 2)
    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(rows)))


def check_constants() -> Check:
    """Whether `.at[].set` is right where vmap runs over a constant inside jit.

    jaxlib 0.8.1 and older fold the constant wrongly (openxla/xla issue 34260).
    """
    rows = np.random.default_rng(1).normal(size=(8, 6))
    places = np.array([1, 3, 4])
    expected = np.zeros((8, 6))
    expected[:, places] = rows[:, places] + 1
    with jax.enable_x64(True):
        got = _updated_constant(rows, places)
    return _verdict("constants under vmap", ~np.all(np.isclose(got, expected), axis=1))


def _updated_constant(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    constant, index = jnp.asarray(rows), jnp.asarray(places)
    blank = jnp.zeros(rows.shape[1])
    one = lambda row: blank.at[index].set(row[index] + 1)
    return np.asarray(jax.jit(lambda: jax.vmap(one)(constant))())


CHECKS: tuple[Callable[[], Check], ...] = (
    check_double_precision,
    check_batched_sums,
    check_constants,
)


def _verdict(name: str, wrong: np.ndarray) -> Check:
    count = int(np.sum(wrong))
    return Check(name, count == 0, f"{count} of {wrong.size} lanes wrong")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
