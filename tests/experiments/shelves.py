"""A shelf of tiny experiments in a folder of the test's own."""

import json
from pathlib import Path

from plateaux.experiments import checking, running, shelf

SCRIPT = '''"""{title}.

More about it.
"""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from plateaux.experiments import main


@dataclass(frozen=True)
class Inner:
    """Steps.

    Attributes:
        steps: How many.
    """

    steps: int = 3


@dataclass(frozen=True)
class Config:
    """What is run.

    Attributes:
        lanes: How many networks.
        parts: What of it.
        inner: Steps.
    """

    lanes: int = 4
    parts: tuple[str, ...] = ("one", "two")
    inner: Inner = Inner()


def run(config, out):
    import jax

    with open(Path(__file__).with_suffix(".runs"), "a") as file:
        print(os.getpid(), file=file)
    {body}
    print("this many lanes:", config.lanes)
    found = {{"one": {{"lanes": config.lanes, "x64": jax.config.jax_enable_x64}}}}
    return found | ({{"two": 0.5}} if "two" in config.parts else {{}})


if __name__ == "__main__":
    main(__file__, run, Config(lanes=1))
'''
CONFIG = {"parts": ["one", "two"], "inner": {"steps": 3}}


def size(lanes, seconds=1.0, **numbers):
    """An expectation."""
    found = {"one": {"lanes": lanes, "x64": True}, "two": 0.5} | numbers
    return {"config": {"lanes": lanes} | CONFIG, "seconds": seconds, "numbers": found}


def put(folder: Path, name: str, *, body="pass", seconds=1.0, **entries) -> Path:
    """An experiment and its expectation, entries of which may be replaced."""
    script = folder / f"{name}.py"
    script.write_text(SCRIPT.format(title=f"What {name} shows", body=body))
    (folder / "expected").mkdir(exist_ok=True)
    sizes = {"full": size(4), "smoke": size(1, seconds)} | entries
    (folder / "expected" / f"{name}.json").write_text(json.dumps(sizes))
    return script


def runs(folder: Path, name: str) -> int:
    """How often an experiment was run."""
    file = folder / f"{name}.runs"
    return len(file.read_text().split()) if file.exists() else 0


def pretend(monkeypatch, **manifest):
    """Runs that write results of a code without looking at any script."""
    made = []

    def run(self, words, log):
        name, out = Path(words[1]).stem, log.parent
        made.append(name)
        lanes = 1 if "--smoke" in words else 4
        whole = {"config": {"lanes": lanes} | CONFIG} | manifest
        numbers = size(lanes)["numbers"]
        (out / running.NUMBERS).write_text(json.dumps(numbers))
        (out / running.MANIFEST).write_text(json.dumps(whole))
        return 0

    monkeypatch.setattr(checking._Processes, "run", run)
    return made


def use(monkeypatch, folder: Path) -> None:
    """Take this folder for the shelf, in this process."""
    monkeypatch.setattr(shelf, "folder", lambda: folder)
