"""Merging stores of one sweep whose chunks were trained in several folders."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .errors import SweepError
from .locks import locked
from .manifest import FILE, write_manifest
from .opening import check_not_foreign, check_same_spec, finish
from .reading import Sweep, open_sweep
from .spec import SweepSpec
from .store import Store, chunk_files, lanes_of, marked, one_sentence


def merge(directories: Sequence[Any], out: Any) -> Path:
    """Put the chunks of several stores of one sweep into one folder.

    Chunks that several of them hold must be equal, bit for bit.

    Args:
        directories: Folders of sweeps of the same specification and data.
        out: The folder to merge them into: a new one, or one of the same sweep, whose
            chunks are kept. `plateaux sweep resume` trains what is still missing.

    Returns:
        The folder.

    Raises:
        SweepError: If there is nothing to merge, a folder holds no sweep, another one,
            damaged chunks or another schema, two hold different numbers for the same
            chunk, or the folder cannot be written.
        ImportError: If zarr or xarray is not installed.
    """
    out = Path(out)
    places = [Path(directory) for directory in directories]
    if (out / FILE).exists():
        places = [out, *(p for p in places if p.resolve() != out.resolve())]
    if not places:
        raise SweepError("There must be at least one folder to merge, but is none.")
    sources = [open_sweep(place) for place in places]
    _check_agree(sources)
    spec = sources[0].spec
    owners, differing = _owners(sources)
    if differing:
        point, chunk, one, other = differing[0]
        raise SweepError(
            f"Chunks in several folders must be equal, but chunk {chunk} of point "
            f"{point} has other numbers in {one} than in {other}; find out which run "
            "is wrong, and leave that folder out."
        )
    with one_sentence(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        check_not_foreign(out)
        with one_sentence(out):
            write_manifest(out, _merged_manifest(sources))
            units = [str(unit) for unit in sources[0].dataset["time_unit"].values]
            Store(spec, out, units)
            for (point, chunk), owner in owners.items():
                if owner.directory != out:
                    _copy(owner.directory, out, spec, point, chunk)
        finish(out, spec)
    return out


def _check_agree(sources: list[Sweep]) -> None:
    """Refuse stores of different specifications or data."""
    first = sources[0]
    for other in sources[1:]:
        check_same_spec(first.spec, other.spec, first.directory)
        data, theirs = first.manifest["data"], other.manifest["data"]
        for label in data:
            if data[label] != theirs.get(label):
                raise SweepError(
                    f"The data must be the same in all folders, but those of point "
                    f"{label!r} differ between {first.directory} and "
                    f"{other.directory}; merge only stores of the same data."
                )


def _owners(
    sources: list[Sweep],
) -> tuple[dict[tuple[int, int], Sweep], list[tuple[int, int, Path, Path]]]:
    """The first store that holds a chunk, and chunks that differ in a later one."""
    owners: dict[tuple[int, int], Sweep] = {}
    differing = []
    for source in sources:
        for point, chunk in np.argwhere(marked(source.spec, source.directory)).tolist():
            owner = owners.setdefault((point, chunk), source)
            if owner is not source and not _equal(owner, source, point, chunk):
                differing.append((point, chunk, owner.directory, source.directory))
    return owners, differing


def _equal(one: Sweep, other: Sweep, point: int, chunk: int) -> bool:
    """Whether two stores hold the same bits for a chunk, however compressed."""
    files = [chunk_files(s.directory, s.spec, point, chunk) for s in (one, other)]
    if all(a.read_bytes() == b.read_bytes() for a, b in zip(*files, strict=True)):
        return True
    left, right = (_values(sweep, point, chunk) for sweep in (one, other))
    return left == right


def _values(sweep: Sweep, point: int, chunk: int) -> list[bytes]:
    here = sweep.dataset.isel(point=point, lane=lanes_of(sweep.spec, chunk))
    names = [*here.data_vars, *(["times"] if "times" in here.coords else [])]
    return [here[name].values.tobytes() for name in names]


def _copy(source: Path, out: Path, spec: SweepSpec, point: int, chunk: int) -> None:
    """Copy the files of a chunk, each beside its place first, the mark last."""
    pairs = zip(
        chunk_files(source, spec, point, chunk),
        chunk_files(out, spec, point, chunk),
        strict=True,
    )
    for there, here in pairs:
        here.parent.mkdir(parents=True, exist_ok=True)
        partial = here.with_suffix(".partial")
        shutil.copyfile(there, partial)
        partial.replace(here)


def _merged_manifest(sources: list[Sweep]) -> dict[str, Any]:
    """The first manifest, with the runs of all in the order in which they began."""
    manifests = [dict(source.manifest) for source in sources]
    runs = sorted((r for m in manifests for r in m["runs"]), key=lambda r: r["started"])
    unique = [run for i, run in enumerate(runs) if run not in runs[:i]]
    started = min(manifest["started"] for manifest in manifests)
    return manifests[0] | {"runs": unique, "started": started, "finished": None}
