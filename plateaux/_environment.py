"""What a result was computed with: versions, devices, the state of git, and when.

A module of its own: an experiment looks at it without loading sweeps.
"""

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("plateaux", "jax", "jaxlib", "equinox", "optax", "numpy", "zarr", "xarray")


def environment() -> dict[str, Any]:
    """Versions and devices of this process."""
    return {
        "started": now(),
        "versions": versions(),
        "platform": platform.platform(),
        "device": ", ".join(sorted({str(d.device_kind) for d in jax.devices()})),
        "num_devices": jax.device_count(),
        "num_cores": os.cpu_count(),
    }


def versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that decide results."""
    python = {"python": platform.python_version()}
    return python | {name: version(name) for name in PACKAGES}


def version(package: str) -> str | None:
    """The installed version of a package, None if it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def git_state(directory: Path = Path()) -> dict[str, Any] | None:
    """Commit of a folder and whether its checkout has changes; None outside git."""
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(directory, "status", "--porcelain")
    return {"commit": commit, "dirty": bool(changes)}


def now() -> str:
    """The time in UTC; fine enough to tell two runs apart."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _git(directory: Path, *arguments: str) -> str | None:
    words = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
