"""`plateaux sweep`: run, watch, resume, merge and export sweeps."""

import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from .saying import double_precision, refuse, say, tell


@dataclass(frozen=True)
class Run:
    """Run a sweep, or go on with it where it was stopped."""

    spec: Path
    """The specification, a TOML file; "quick" is an example that comes along."""
    out: Path | None = None
    """The folder of the results; runs/NAME of the specification by default."""
    dry_run: bool = False
    """Only say points, lanes, chunks, bytes and estimated time."""
    part: str | None = None
    """I/N, I from 0 to N − 1: only every N-th chunk, for a job array."""
    dask: str | None = None
    """Address of a dask scheduler; without one, processes on this machine."""
    json: bool = False
    """Print the result as JSON."""
    quiet: bool = False
    """Show no progress."""

    def __call__(self) -> int:
        """Run it."""
        double_precision()
        from .. import sweeps

        try:
            spec = sweeps.read_spec(self.spec)
        except (ValueError, TypeError) as error:
            refuse(error)
        if self.dry_run:
            found = sweeps.estimate(spec)
            tell(asdict(found), self.json, _estimate_text(found))
            return 0
        return _run(self, spec, self.out or Path("runs", spec.name))


@dataclass(frozen=True)
class Status:
    """Say how far a sweep has come."""

    directory: Path
    """The folder of the sweep."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Say it."""
        from .. import sweeps

        found = sweeps.status(self.directory)
        tell(asdict(found), self.json, _status_text(found))
        return 0


@dataclass(frozen=True)
class Resume:
    """Go on with a sweep that was stopped, and repair damaged chunks."""

    directory: Path
    """The folder of the sweep."""
    part: str | None = None
    """I/N, I from 0 to N − 1: only every N-th chunk, for a job array."""
    dask: str | None = None
    """Address of a dask scheduler; without one, processes on this machine."""
    json: bool = False
    """Print the result as JSON."""
    quiet: bool = False
    """Show no progress."""

    def __call__(self) -> int:
        """Go on."""
        double_precision()
        from ..sweeps.manifest import read_manifest
        from ..sweeps.reading import stored_spec

        spec = stored_spec(self.directory, read_manifest(self.directory))
        return _run(self, spec, self.directory)


@dataclass(frozen=True)
class Export:
    """Write tables of a sweep, one row a lane and one row a plateau, or NetCDF."""

    directory: Path
    """The folder of the sweep."""
    out: Path | None = None
    """The folder of the files; the sweep's own by default."""
    format: Literal["csv", "parquet", "netcdf"] = "csv"
    """Tables as CSV or Parquet, or all arrays in one NetCDF file."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Write them."""
        from .. import sweeps

        files = sweeps.export(self.directory, self.out, format=self.format)
        names = [str(file) for file in files]
        tell({"files": names}, self.json, "\n".join(names))
        return 0


@dataclass(frozen=True)
class Merge:
    """Put stores of one sweep, trained in several folders, into one."""

    directories: tuple[Path, ...]
    """The folders of the stores."""
    out: Path | None = None
    """The folder to merge them into; new, or of the same sweep. Must be given."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Merge them."""
        if self.out is None:
            refuse("The merged sweep must have a folder, but none is named; add --out.")
        double_precision()
        from .. import sweeps

        found = sweeps.status(sweeps.merge(self.directories, self.out))
        tell(asdict(found), self.json, _status_text(found))
        return 0


@dataclass(frozen=True)
class Sweep:
    """Run, watch, resume, merge and export sweeps."""

    action: Run | Status | Resume | Merge | Export

    def __call__(self) -> int:
        """Do it."""
        return self.action()


def _run(command: Run | Resume, spec: Any, out: Path) -> int:
    """Run a sweep into its folder; an interruption says how to go on."""
    from .. import sweeps
    from ..sweeps.parts import as_part

    try:
        part = as_part(command.part)
    except ValueError as error:
        refuse(error)
    shared = {"part": part, "dask": command.dask}
    try:
        sweeps.sweep(spec, out, progress=not command.quiet, **shared)
    except KeyboardInterrupt:
        _interrupted(out)
    found = sweeps.status(out)
    tell(asdict(found), command.json, _status_text(found))
    return 0


def _interrupted(out: Path) -> NoReturn:
    """Leave at once: chunks in work are lost, those stored are safe."""
    from .. import sweeps

    try:
        found = sweeps.status(out)
        say(
            f"Interrupted: {found.chunks_done} of {found.chunks} chunks are stored; "
            f"`plateaux sweep resume {out}` goes on from them."
        )
    except sweeps.SweepError:
        say("Interrupted before anything was stored.")
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads would keep the process until their chunks are trained.
    os._exit(130)


def _status_text(found: Any) -> str:
    share = f"{found.chunks_done} of {found.chunks} chunks"
    damaged = f", {found.chunks_damaged} damaged" if found.chunks_damaged else ""
    resume = f"not yet; go on with `plateaux sweep resume {found.directory}`"
    ended = found.ended if found.complete else resume
    return "\n".join(
        [
            f"sweep     {found.name} in {found.directory} ({found.spec_hash[:12]})",
            f"stored    {found.stored} of {found.lanes} lanes, {share}{damaged}",
            f"lanes     {found.finished} finished, {found.failed} failed; "
            f"{found.censored} with a plateau still running at the end",
            f"started   {found.started}",
            f"complete  {ended}",
            *(
                f"interval  {label}: {middle:.4g} [{low:.4g}, {high:.4g}]"
                for label, (middle, low, high) in (found.intervals or {}).items()
            ),
        ]
    )


def _estimate_text(found: Any) -> str:
    return "\n".join(
        [
            *(f"point     {label}" for label in found.points),
            f"lanes     {found.lanes} a point, {found.chunk} together",
            f"chunks    {found.num_chunks}",
            f"bytes     {found.num_bytes:,} before compression",
            f"time      {found.seconds:.0f} s, from {found.how}",
        ]
    )
