"""Checking many experiments: each in a process of its own, some at a time."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import shelf
from .running import MANIFEST, NUMBERS, code_state, compare

LOG = "log.txt"
ONE_CORE = {"NPROC": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


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


def check(
    names: Sequence[str], out: Path, size: str, *, jobs: int, again: bool = False
) -> Iterator[Checked]:
    """Run experiments, the longest first, and compare their numbers.

    Results that the folder holds already are compared and not made again, if they were
    made by this version of the code: of the same commit without changes, or, outside a
    checkout, of the same release.

    Args:
        names: Which experiments.
        out: The folder of results, one folder in it for each experiment.
        size: "full" or "smoke".
        jobs: How many run at a time, each on one core.
        again: Whether to run also those whose results are there.

    Yields:
        What came of each, as they end.
    """
    longest_first = sorted(names, key=lambda name: -_seconds(name, size))
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(_check, n, out / n, size, again) for n in longest_first]
        try:
            for done in as_completed(running):
                yield done.result()
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(cancel_futures=True)
            raise


def _seconds(name: str, size: str) -> float:
    return shelf.expected(name).get(size, {}).get("seconds", 0.0)


def _check(name: str, out: Path, size: str, again: bool) -> Checked:
    if size not in shelf.expected(name):
        return Checked(name, False, f"expects nothing at {size} size", [], 0.0, False)
    began, stored = time.perf_counter(), not again and _stored(name, out, size)
    code = 0 if stored else _run(name, out, size)
    seconds = 0.0 if stored else time.perf_counter() - began
    if code not in (0, 1):
        problem = f"ended with exit code {code}; see {out / LOG}"
        return Checked(name, False, problem, [], seconds, stored)
    wrong = compare(name, _config(name, size), _read(out / NUMBERS))
    assert wrong is not None  # the configuration is the expected one
    return Checked(name, not wrong, "differs:" * bool(wrong), wrong, seconds, stored)


def _run(name: str, out: Path, size: str) -> int:
    """Run the script, its words into a file; the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    words = [sys.executable, str(shelf.find(name)), "--out", str(out)]
    words += ["--smoke"] if size == "smoke" else []
    with (out / LOG).open("w") as log:
        return subprocess.run(
            words, stdout=log, stderr=log, env={**os.environ, **ONE_CORE}, check=False
        ).returncode


def _stored(name: str, out: Path, size: str) -> bool:
    """Whether the folder holds results of this size, made by this code."""
    try:
        manifest, _ = _read(out / MANIFEST), _read(out / NUMBERS)
    except (OSError, ValueError):
        return False
    ours = code_state()
    clean = not (ours["git"] or {}).get("dirty", False)
    same = all(manifest.get(key) == value for key, value in ours.items())
    return same and clean and manifest.get("config") == _config(name, size)


def _config(name: str, size: str) -> dict[str, Any]:
    return shelf.expected(name)[size]["config"]


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())
