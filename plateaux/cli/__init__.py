"""The command line: thin, and quick to say its help (JAX loads when work begins).

Exit codes: 0 done, 1 a failed check of the doctor or of an experiment, 2 bad input, 130
interrupted.
"""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .experiments import Experiments, run
from .saying import double_precision, refuse, say, tell
from .sweep import Sweep

DESCRIPTION = (
    "Simulate how neural networks train, and explain why the loss stands still."
)


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
        double_precision()
        from ..report import report

        numbered = self.point is not None and self.point.isdecimal()
        point = int(self.point or 0) if numbered else self.point
        file = str(report(self.directory, point=point, lane=self.lane, view=self.view))
        tell({"file": file}, self.json, file)
        return 0


@dataclass(frozen=True)
class Doctor:
    """Check this installation: versions, devices, precision, self-checks."""

    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Check it."""
        double_precision()
        from ..doctor import diagnose

        found = diagnose()
        more = {"healthy": found.healthy, "verdict": found.verdict}
        tell(asdict(found) | more, self.json, _doctor_text(found))
        return 0 if found.healthy else 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the name of the program; those of the process if None.

    Returns:
        The exit code.
    """
    words = sys.argv[1:] if arguments is None else arguments
    try:
        return _command(words)()
    except KeyboardInterrupt:
        say("Interrupted.")
        return 130
    except ImportError as error:
        refuse(error)
    except ValueError as error:
        from ..sweeps import SweepError

        if not isinstance(error, SweepError):
            raise
        refuse(error)


def _command(words: list[str]) -> Callable[[], int]:
    """What the words ask for; options of an experiment are read by itself."""
    match words:
        case ["experiments", "run", name, *options] if not name.startswith("-"):
            return lambda: run(name, options)
    return _parse(words)


def _parse(words: list[str]) -> Callable[[], int]:
    try:
        import tyro
    except ImportError:
        refuse("The command line needs tyro; run `pip install 'plateaux[sweep]'`.")
    conf = tyro.conf
    return tyro.cli(
        Sweep | Report | Experiments | Doctor,  # pyright: ignore[reportArgumentType]
        prog="plateaux",
        description=DESCRIPTION,
        args=_with_local(words),
        config=(
            conf.PositionalRequiredArgs,
            conf.PositionalMetavarFromFieldName,
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


def _doctor_text(found: Any) -> str:
    packages = [f"{k:<14}{v or 'not installed'}" for k, v in found.versions.items()]
    marks = {True: "ok    ", False: "FAILED"}
    checks = [f"{marks[c.passed]}  {c.name}: {c.detail}" for c in found.checks]
    head = [f"{'python':<14}{found.python}", f"{'platform':<14}{found.platform}"]
    devices = [f"{'device':<14}{device}" for device in found.devices]
    tail = [f"{'precision':<14}{found.precision}", "", *checks, "", found.verdict]
    return "\n".join(head + packages + devices + tail)
