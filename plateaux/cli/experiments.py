"""`plateaux experiments`: list, run and check the experiments."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .saying import refuse, say, tell


@dataclass(frozen=True)
class List:
    """List the experiments: seconds at both sizes, and what each shows."""

    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """List them."""
        from ..experiments import shelf

        try:
            found = [shelf.entry(name) for name in shelf.names()]
        except ValueError as error:
            refuse(error)
        head = f"{'':24}{'full':>7}{'smoke':>7}  seconds (smoke: of one core)"
        rows = [
            f"{one.name:24}{_seconds(one, 'full')}{_seconds(one, 'smoke')}  {one.title}"
            for one in found
        ]
        text = "\n".join([head, *rows])
        tell({"experiments": [*map(asdict, found)]}, self.json, text)
        return 0


@dataclass(frozen=True)
class Run:
    """Run one experiment. Its own options, --help among them, follow its name."""

    name: str
    """The experiment, one of `plateaux experiments list`."""

    def __call__(self) -> int:
        """Run it."""
        return run(self.name, ())


@dataclass(frozen=True)
class Check:
    """Run experiments, and compare their numbers with the expected ones."""

    names: tuple[str, ...]
    """Which ones; all if none is named."""
    full: bool = False
    """Full size, which takes hours, rather than smoke size, which takes minutes."""
    again: bool = False
    """Run also what the results folder holds already, made by this very code."""
    jobs: int = 2
    """Experiments at a time, each on one core."""
    out: Path = Path("runs", "experiments")
    """The folder of the results; those of smoke size are in its folder smoke."""
    json: bool = False
    """Print the result as JSON."""

    def __call__(self) -> int:
        """Run and compare them."""
        from ..experiments import checking, shelf

        if self.jobs < 1:
            refuse(f"There must be at least one job, but --jobs is {self.jobs}.")
        names = [*dict.fromkeys(self.names or shelf.names())]
        try:
            for name in names:
                shelf.find(name)
        except ValueError as error:
            refuse(error)
        size = "full" if self.full else "smoke"
        out = self.out if self.full else self.out / "smoke"
        found = []
        checks = checking.check(names, out, size, jobs=self.jobs, again=self.again)
        try:
            for one in checks:
                found.append(one)
                say(f"{len(found)} of {len(names)}: {_line(one)}")
        except KeyboardInterrupt:
            checks.close()
            say(
                f"Interrupted: {len(found)} of {len(names)} have ended, their results "
                f"are in {out}; the same command goes on where the code is committed."
            )
            return 130
        bad = [one.name for one in found if not one.agrees]
        verdict = "differ or failed: " + ", ".join(bad) if bad else "all as expected"
        tell({"experiments": [*map(asdict, found)]}, self.json, verdict)
        return 1 if bad else 0


@dataclass(frozen=True)
class Experiments:
    """List, run and check the experiments behind the claims."""

    action: List | Run | Check

    def __call__(self) -> int:
        """Do it."""
        return self.action()


def run(name: str, options: Sequence[str]) -> int:
    """Run an experiment in a process of its own; its exit code."""
    import subprocess
    import sys

    from ..experiments import shelf

    try:
        script = shelf.find(name)
    except ValueError as error:
        refuse(error)
    words = [sys.executable, str(script), *options]
    return subprocess.run(words, env=shelf.environment(), check=False).returncode


def _seconds(one: Any, size: str) -> str:
    return f"{one.seconds[size]:7.0f}" if size in one.seconds else f"{'–':>7}"


def _line(one: Any) -> str:
    told = "stored" if one.stored else f"{one.seconds:.0f} s"
    wrong = "\n  ".join([one.problem, *one.disagreements])
    return f"{one.name} ({told}): {'as expected' if one.agrees else wrong}"
