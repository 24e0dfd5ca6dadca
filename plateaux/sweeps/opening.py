"""Opening a sweep's folder: it must be of this specification, data and versions."""

from pathlib import Path
from typing import Any

from .._environment import environment, now, version
from .errors import SweepError
from .grid import differences
from .lanes import Ready
from .locks import setting_up
from .manifest import FILE, fingerprint, new_manifest, read_manifest, write_manifest
from .reading import stored_spec
from .spec import SweepSpec
from .store import ZARR, Store, marked, one_sentence

# Packages whose version may change a number.
NUMERICAL = ("plateaux", "jax", "jaxlib", "equinox", "optax", "numpy")


def check_fits(spec: SweepSpec, directory: Path, ready: list[Ready]) -> dict[str, Any]:
    """The manifest of a folder, if it is of this specification and these data."""
    manifest = read_manifest(directory)
    check_same_spec(stored_spec(directory, manifest), spec, directory)
    for one in ready:
        if manifest["data"].get(one.point.label) != fingerprint(one.problem):
            raise SweepError(
                f"The data must be those {directory} was started with, but those of "
                f"point {one.point.label!r} have changed since; choose another folder."
            )
    return manifest


def check_same_spec(there: SweepSpec, here: SweepSpec, directory: Path) -> None:
    """Refuse another specification than that of the folder, with the first leaf."""
    unequal = differences(there, here)
    if unequal:
        leaf, old, new = unequal[0]
        more = f" and {len(unequal) - 1} more" if len(unequal) > 1 else ""
        raise SweepError(
            f"The specification must be the one {directory} was started with, but "
            f"`{leaf}` is {old!r} there and {new!r} here{more}; choose another folder."
        )


def check_versions(manifest: dict[str, Any], directory: Path) -> None:
    """Refuse to train with other versions than those the sweep was started with."""
    started = manifest["runs"][0]["versions"]
    for package in NUMERICAL:
        if started.get(package) != version(package):
            raise SweepError(
                f"All lanes of {directory} must be trained with the versions it was "
                f"started with, but {package} is {started.get(package)} there and "
                f"{version(package)} here; install that one or choose another folder."
            )


def check_not_foreign(directory: Path) -> None:
    """Refuse a folder that has arrays but no manifest."""
    if (directory / ZARR).exists() and not (directory / FILE).exists():
        raise SweepError(
            f"The folder must be new or hold a sweep, but {directory} has a {ZARR} "
            f"without {FILE}; choose another folder."
        )


def begin(
    directory: Path, spec: SweepSpec, ready: list[Ready], units: list[str], alone: bool
) -> Store:
    """Note this start in the manifest and lay the arrays out.

    Args:
        directory: The folder, locked.
        spec: The specification.
        ready: Its points.
        units: Their units of time.
        alone: Whether no other process writes to the folder.

    Returns:
        The store.

    Raises:
        SweepError: If the folder holds another sweep or cannot be written.
    """
    check_not_foreign(directory)
    new = None if (directory / FILE).exists() else new_manifest(spec, ready)
    with setting_up(directory), one_sentence(directory):
        if new is None or (directory / FILE).exists():  # another part was quicker
            manifest = check_fits(spec, directory, ready)
            manifest["runs"].append(environment())
        else:
            manifest = new
        write_manifest(directory, manifest)
        return Store(spec, directory, units, tidy=alone)


def finish(directory: Path, spec: SweepSpec, *, enough: bool = False) -> None:
    """Note in the manifest when the last chunk was stored, once it is.

    Args:
        directory: The folder.
        spec: The specification.
        enough: Whether no more chunks are wanted, stored or not.
    """
    with setting_up(directory), one_sentence(directory):
        manifest = read_manifest(directory)
        whole = enough or marked(spec, directory).all()
        if manifest["finished"] is None and whole:
            write_manifest(directory, manifest | {"finished": now()})
