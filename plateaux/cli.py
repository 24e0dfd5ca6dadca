"""The command line: thin, and quick to say its help (JAX loads when work begins).

Exit codes: 0 done, 1 a failed check of the doctor, 2 bad input, 130 interrupted.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

DESCRIPTION = (
    "Simulate how neural networks train, and explain why the loss stands still."
)


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
        _double_precision()
        from . import sweeps

        try:
            spec = sweeps.read_spec(self.spec)
        except (ValueError, TypeError) as error:
            _refuse(error)
        if self.dry_run:
            found = sweeps.estimate(spec)
            _print(asdict(found), self.json, _estimate_text(found))
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
        from . import sweeps

        found = sweeps.status(self.directory)
        _print(asdict(found), self.json, _status_text(found))
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
        _double_precision()
        from .sweeps.manifest import read_manifest
        from .sweeps.reading import stored_spec

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
        from . import sweeps

        files = sweeps.export(self.directory, self.out, format=self.format)
        names = [str(file) for file in files]
        _print({"files": names}, self.json, "\n".join(names))
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
            _refuse(
                "The merged sweep must have a folder, but none is named; add --out."
            )
        _double_precision()
        from . import sweeps

        found = sweeps.status(sweeps.merge(self.directories, self.out))
        _print(asdict(found), self.json, _status_text(found))
        return 0


@dataclass(frozen=True)
class Sweep:
    """Run, watch, resume, merge and export sweeps."""

    action: Run | Status | Resume | Merge | Export

    def __call__(self) -> int:
        """Do it."""
        return self.action()


@dataclass(frozen=True)
class Report:
    """Write the report of a sweep, one self-contained HTML page."""

    directory: Path
    """The folder of the sweep."""
    point: str | None = None
    """The grid point of the run with the slider: its number or label."""
    lane: int | None = None
    """The lane of the run with the slider; one with the median dwell by default."""
    view: bool = True
    """Show one run with a slider for time, which trains its chunk again."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Write it."""
        _double_precision()
        from .report import report

        numbered = self.point is not None and self.point.isdecimal()
        point = int(self.point or 0) if numbered else self.point
        file = str(report(self.directory, point=point, lane=self.lane, view=self.view))
        _print({"file": file}, self.json, file)
        return 0


@dataclass(frozen=True)
class Doctor:
    """Check this installation: versions, devices, precision, self-checks."""

    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Check it."""
        _double_precision()
        from .doctor import diagnose

        found = diagnose()
        more = {"healthy": found.healthy, "verdict": found.verdict}
        _print(asdict(found) | more, self.json, _doctor_text(found))
        return 0 if found.healthy else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the name of the program; those of the process if None.

    Returns:
        The exit code.
    """
    command = _parse(arguments)
    try:
        return command()
    except KeyboardInterrupt:
        _say("Interrupted.")
        return 130
    except ImportError as error:
        _refuse(error)
    except ValueError as error:
        from .sweeps import SweepError

        if not isinstance(error, SweepError):
            raise
        _refuse(error)


def _parse(arguments: list[str] | None) -> Any:
    try:
        import tyro
    except ImportError:
        _refuse("The command line needs tyro; run `pip install 'plateaux[sweep]'`.")
    conf = tyro.conf
    return tyro.cli(
        Sweep | Report | Doctor,  # pyright: ignore[reportArgumentType]
        prog="plateaux",
        description=DESCRIPTION,
        args=_with_local(sys.argv[1:] if arguments is None else arguments),
        config=(
            conf.PositionalRequiredArgs,
            conf.OmitSubcommandPrefixes,
            conf.FlagCreatePairsOff,
        ),
    )


def _with_local(words: list[str]) -> list[str]:
    """The words, with "local" after a --dask that has no address."""
    whole: list[str] = []
    for word, after in zip(words, [*words[1:], "--"], strict=True):
        whole += [word, "local"] if word == "--dask" and after[:1] == "-" else [word]
    return whole


def _run(command: Run | Resume, spec: Any, out: Path) -> int:
    """Run a sweep into its folder; an interruption says how to go on."""
    from . import sweeps
    from .sweeps.parts import as_part

    try:
        part = as_part(command.part)
    except ValueError as error:
        _refuse(error)
    shared = {"part": part, "dask": command.dask}
    try:
        sweeps.sweep(spec, out, progress=not command.quiet, **shared)
    except KeyboardInterrupt:
        _interrupted(out)
    found = sweeps.status(out)
    _print(asdict(found), command.json, _status_text(found))
    return 0


def _interrupted(out: Path) -> NoReturn:
    """Leave at once: chunks in work are lost, those stored are safe."""
    from . import sweeps

    try:
        found = sweeps.status(out)
        _say(
            f"Interrupted: {found.chunks_done} of {found.chunks} chunks are stored; "
            f"`plateaux sweep resume {out}` goes on from them."
        )
    except sweeps.SweepError:
        _say("Interrupted before anything was stored.")
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads would keep the process until their chunks are trained.
    os._exit(130)


def _double_precision() -> None:
    """Switch 64-bit mode on, before anything else touches JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)


def _refuse(error: object) -> NoReturn:
    """One sentence on stderr, exit code 2."""
    _say(" ".join(str(error).split()))
    raise SystemExit(2)


def _say(text: str) -> None:
    print(f"plateaux: {text}", file=sys.stderr)


def _print(found: dict[str, Any], as_json: bool, text: str) -> None:
    """The result on stdout, for people or for machines."""
    print(json.dumps(found, indent=2) if as_json else text)


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


def _doctor_text(found: Any) -> str:
    packages = [f"{k:<14}{v or 'not installed'}" for k, v in found.versions.items()]
    marks = {True: "ok    ", False: "FAILED"}
    checks = [f"{marks[c.passed]}  {c.name}: {c.detail}" for c in found.checks]
    head = [f"{'python':<14}{found.python}", f"{'platform':<14}{found.platform}"]
    devices = [f"{'device':<14}{device}" for device in found.devices]
    tail = [f"{'precision':<14}{found.precision}", "", *checks, "", found.verdict]
    return "\n".join(head + packages + devices + tail)
