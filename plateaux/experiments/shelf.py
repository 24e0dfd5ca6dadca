"""The shelf: where the scripts of experiments stand, and what each expects."""

import ast
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._checks import known
from .agreement import check_rules

HERE = Path(__file__).parent
INSTALLED = HERE / "scripts"
NEEDED = {"config", "seconds", "numbers"}


def folder() -> Path:
    """The folder of the scripts: of the installed package, or of the checkout."""
    return INSTALLED if INSTALLED.is_dir() else HERE.parents[1] / "experiments"


def code_state() -> dict[str, Any]:
    """Which code runs: versions, and in a checkout the commit."""
    from .._environment import git_state, versions

    git = None if folder() == INSTALLED else git_state(folder())
    return {"versions": versions(), "git": git}


def environment() -> dict[str, str]:
    """That of a process that runs a script, so that it takes this very code."""
    if folder() == INSTALLED:
        return dict(os.environ)
    path = [str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def names() -> list[str]:
    """Names of all experiments: scripts that have expected numbers.

    Example:
        >>> "staircase" in names()
        True
    """
    return sorted(file.stem for file in (folder() / "expected").glob("*.json"))


def find(name: str) -> Path:
    """The script of an experiment.

    Args:
        name: One of `names()`.

    Raises:
        ValueError: If there is no such experiment; the nearest name is said.

    Example:
        >>> find("staircase").name
        'staircase.py'
    """
    return folder() / f"{known('experiment', name, names())}.py"


def title(name: str) -> str:
    """The first line of the script's docstring, without running it."""
    docstring = ast.get_docstring(ast.parse(find(name).read_text())) or ""
    return docstring.splitlines()[0].removesuffix(".")


def expected(name: str) -> dict[str, dict[str, Any]]:
    """What an experiment must give at sizes "full" and "smoke".

    Returns:
        By size `config`, `seconds` on two cores, `numbers` and `rules`: those of the
        size, then those that the file states for both. Empty without a file.

    Raises:
        ValueError: If the file is no such thing.
    """
    file = folder() / "expected" / f"{name}.json"
    try:
        sizes = json.loads(file.read_text())
        if not isinstance(sizes, dict):
            raise TypeError("it is no table")
        common = sizes.pop("rules", [])
        found = {
            size: {**one, "rules": [*one.get("rules", []), *common]}
            for size, one in sizes.items()
        }
        for one in found.values():
            if missing := NEEDED - one.keys():
                raise ValueError(f"{', '.join(sorted(missing))} must be there")
            check_rules(one["rules"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"The file {file} must say what experiment {name} gives at sizes full and "
            f"smoke, but does not: {error}"
        ) from error
    return found


def expected_of(name: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Size and expectation of a configuration, whatever its parts; None if unknown."""
    whole = lambda one: {**one, "parts": None}
    for size, one in expected(name).items():
        if whole(one["config"]) == whole(config):
            return size, one
    return None


@dataclass(frozen=True)
class Entry:
    """One experiment, as a list shows it.

    Attributes:
        name: Its name.
        title: What it shows.
        seconds: How long it takes on two cores, at sizes "full" and "smoke".
    """

    name: str
    title: str
    seconds: dict[str, float]


def entry(name: str) -> Entry:
    """What the list of experiments says of one."""
    seconds = {size: one["seconds"] for size, one in expected(name).items()}
    return Entry(name, title(name), seconds)
