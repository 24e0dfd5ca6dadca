"""The manifest of a store: what was run, with which versions, on what, and when."""

import datetime
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..patterns import loss_bounds
from ..problems import Problem
from ..problems.losses import SquaredError
from .errors import SweepError
from .lanes import Ready
from .spec import SweepSpec

SCHEMA_VERSION = 2
FILE = "manifest.json"
_MOST_WORK, _MOST_DATA = 1e9, 2000  # the fits by lines hold K × K arrays
PACKAGES = ("plateaux", "jax", "jaxlib", "equinox", "optax", "numpy", "zarr", "xarray")


def new_manifest(spec: SweepSpec, ready: list[Ready]) -> dict[str, Any]:
    """The manifest of a sweep that begins now.

    Args:
        spec: The specification.
        ready: Its points, for fingerprints of their data.

    Returns:
        Plain values, ready for JSON. `finished` is None until the last chunk is
        stored; `runs` has one entry for every start of the sweep.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "spec": spec.to_dict(),
        "spec_hash": spec.hash,
        "precision": spec.precision,
        "chunk": spec.chunk,
        "data": {one.point.label: fingerprint(one.problem) for one in ready},
        "proven_bounds": proven_bounds(ready),
        "git": git_state(),
        "started": now(),
        "finished": None,
        "runs": [environment()],
    }


def proven_bounds(ready: list[Ready]) -> dict[str, float]:
    """By label of a grid point a loss that no network of the point can be below.

    DP_{n+1}, see `px.patterns.loss_bounds`, where it is known: for two-layer ReLU
    networks of width n, one input and the squared loss, and while it takes seconds.
    """
    bounds, known = {}, {}
    for one in ready:
        network, problem = one.point.settings["network"], one.problem
        if not (
            network["kind"] == "two_layer"
            and network["activation"] == "relu"
            and isinstance(problem.loss, SquaredError)
            and (problem.in_dim, problem.out_dim) == (1, None)
            and problem.num_data <= _MOST_DATA
            and network["width"] * problem.num_data**2 <= _MOST_WORK
        ):
            continue
        key = (fingerprint(problem), network["width"])
        if key not in known:
            best = loss_bounds(problem, network["width"], affine=network["affine"])
            known[key] = float(best.lower)
        bounds[one.point.label] = known[key]
    return bounds


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


def fingerprint(problem: Problem) -> str:
    """SHA-256 of the data, so that a file that changed in between is noticed."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(problem):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


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


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest as a whole: a reader sees the old one or the new one."""
    path = directory / FILE
    partial = path.with_suffix(".json.partial")
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a sweep's folder.

    Args:
        directory: The folder.

    Returns:
        The manifest.

    Raises:
        SweepError: If there is none, or it is of another kind.
    """
    path = directory / FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        known = manifest["schema_version"]
    except FileNotFoundError as error:
        raise SweepError(
            f"The folder must hold a sweep, but {directory} has no {FILE}; start one "
            f"with `plateaux sweep run SPEC.toml --out {directory}`."
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SweepError(
            f"The file {path} must be the manifest of a sweep, but cannot be read as "
            "one."
        ) from error
    if known != SCHEMA_VERSION:
        raise SweepError(
            f"The store must have schema version {SCHEMA_VERSION}, but {directory} has "
            f"{known}; read it with the version of plateaux that wrote it."
        )
    return manifest


def _git(directory: Path, *arguments: str) -> str | None:
    words = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
