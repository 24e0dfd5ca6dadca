"""The shelf: where the scripts of experiments stand, and what each expects."""

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._checks import known

HERE = Path(__file__).parent


def folder() -> Path:
    """The folder of the scripts: of the checkout, or of the installed package."""
    places = (HERE / "scripts", HERE.parents[1] / "experiments")
    return next((place for place in places if place.is_dir()), places[0])


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
        size, then those that the file states for both.
    """
    file = folder() / "expected" / f"{name}.json"
    sizes = json.loads(file.read_text()) if file.exists() else {}
    common = sizes.pop("rules", [])
    return {
        size: {**one, "rules": [*one.get("rules", []), *common]}
        for size, one in sizes.items()
    }


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
