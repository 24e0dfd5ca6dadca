"""Checking many experiments: each in a process of its own, some at a time."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import shelf
from .running import MANIFEST, NUMBERS, compare

LOG = "log.txt"
# XLA reads NPROC; processes that share a GPU must not each take most of its memory.
ENVIRONMENT = {
    **{"NPROC": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}


@dataclass(frozen=True)
class Checked:
    """What came of an experiment.

    Attributes:
        name: The experiment.
        agrees: Whether it ended well and its numbers are the expected ones.
        problem: What is wrong, in a few words; empty if it agrees.
        disagreements: A sentence for every number that differs.
        seconds: How long it took now; 0 if it was stored.
        stored: Whether its results were there already and only compared.
    """

    name: str
    agrees: bool
    problem: str
    disagreements: list[str]
    seconds: float
    stored: bool


@dataclass
class _Processes:
    """Those that run now, so that an interruption can end them."""

    running: set[subprocess.Popen] = field(default_factory=set)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, words: Sequence[str], log: Path) -> int:
        """Run a command, its words into a file; the exit code."""
        environment = {**shelf.environment(), **ENVIRONMENT}
        with log.open("w") as file:
            with self.lock:
                if self.closed:
                    return 130
                process = subprocess.Popen(
                    words, stdout=file, stderr=file, env=environment
                )
                self.running.add(process)
            code = process.wait()
        with self.lock:
            self.running.discard(process)
        return code

    def end(self) -> None:
        """End all, and start no other."""
        with self.lock:
            self.closed = True
            for process in self.running:
                process.terminate()


def check(
    names: Sequence[str], out: Path, size: str, *, jobs: int, again: bool = False
) -> Generator[Checked, None, None]:
    """Run experiments, the longest first, and compare their numbers.

    Results that the folder holds already are compared and not made again, if they were
    made by this very code: by the same versions of the packages and, in a checkout, by
    the same commit without changes. An interruption ends the experiments that run;
    results of those that have ended stay.

    Args:
        names: Which experiments.
        out: The folder of results, one folder in it for each experiment.
        size: "full" or "smoke".
        jobs: How many run at a time, each on one core.
        again: Whether to run also those whose results are there.

    Yields:
        What came of each, as they end.
    """
    longest_first = sorted(dict.fromkeys(names), key=lambda n: -_seconds(n, size))
    processes, code = _Processes(), shelf.code_state()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            running = [
                pool.submit(
                    _check, n, out / n, size, processes, None if again else code
                )
                for n in longest_first
            ]
            for done in as_completed(running):
                yield done.result()
        finally:
            processes.end()
            pool.shutdown(cancel_futures=True)


def _seconds(name: str, size: str) -> float:
    try:
        return float(shelf.expected(name)[size]["seconds"])
    except (ValueError, KeyError):  # told when its turn comes
        return 0.0


def _check(
    name: str,
    out: Path,
    size: str,
    processes: _Processes,
    code: dict[str, Any] | None,
) -> Checked:
    """Run it, unless results of this code are there, and compare."""
    began = time.perf_counter()
    try:
        known = shelf.expected(name).get(size)
    except ValueError as error:
        return Checked(name, False, str(error), [], 0.0, False)
    if known is None:
        return Checked(name, False, f"expects nothing at {size} size", [], 0.0, False)
    stored = code is not None and _stored(out, known["config"], code)
    problem = "" if stored else _run(name, out, size, processes)
    seconds = 0.0 if stored else time.perf_counter() - began
    if problem:
        return Checked(name, False, problem, [], seconds, stored)
    config = _read(out / MANIFEST)["config"]
    wrong = compare(name, config, _read(out / NUMBERS))
    if wrong is None or config != known["config"]:
        problem = f"ran another configuration than is expected at {size} size"
        return Checked(name, False, problem, [], seconds, stored)
    return Checked(name, not wrong, "differs:" * bool(wrong), wrong, seconds, stored)


def _run(name: str, out: Path, size: str, processes: _Processes) -> str:
    """Run the script; what went wrong, in a few words."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    words = [sys.executable, str(shelf.find(name)), "--out", str(out)]
    words += ["--smoke"] if size == "smoke" else []
    code = processes.run(words, out / LOG)
    if (out / MANIFEST).exists():  # the last file that a run writes
        return ""
    last = (out / LOG).read_text().strip().splitlines()[-1:] or ["nothing was said"]
    return f"ended with exit code {code}: {last[0]} (all of it in {out / LOG})"


def _stored(out: Path, config: dict[str, Any], code: dict[str, Any]) -> bool:
    """Whether the folder holds results of this configuration, made by this code."""
    try:
        manifest, _ = _read(out / MANIFEST), _read(out / NUMBERS)
    except (OSError, ValueError):
        return False
    clean = not (code["git"] or {}).get("dirty", False)
    same = all(manifest.get(key) == value for key, value in code.items())
    return clean and same and manifest.get("config") == config


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())
