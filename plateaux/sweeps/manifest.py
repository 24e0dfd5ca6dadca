"""The manifest of a store: what was run, with which versions, on what, and when."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .._environment import environment, git_state, now
from ..patterns import loss_bounds
from ..problems import Problem
from ..problems.losses import SquaredError
from .errors import SweepError
from .lanes import Ready
from .spec import SweepSpec

SCHEMA_VERSION = 2
FILE = "manifest.json"
_MOST_WORK, _MOST_DATA = 1e9, 2000  # the fits by lines hold K × K arrays


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


def fingerprint(problem: Problem) -> str:
    """SHA-256 of the data, so that a file that changed in between is noticed."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(problem):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


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
