"""experiments/README.md: a row and a section for every experiment, as it is."""

import fnmatch
import re
from pathlib import Path

import pytest

from plateaux.experiments import names, shelf

FOLDER = Path(__file__).parents[2] / "experiments"
TEXT = (FOLDER / "README.md").read_text()
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if "| `py" in line]


def row(name):
    (found,) = [row for row in ROWS if row[1] == f"`python experiments/{name}.py`"]
    return found


@pytest.mark.parametrize("name", names())
def test_every_experiment_has_a_row_with_its_seconds_and_a_section(name):
    claim, _, seconds, numbers, *_ = row(name)
    assert f"](#{name})" in claim
    assert f"\n## {name}\n" in TEXT
    sizes = shelf.expected(name)
    assert set(sizes) == {"full", "smoke"}
    assert seconds == ", ".join(f"{sizes[s]['seconds']:g}" for s in ("full", "smoke"))
    assert re.search(r"\d", numbers)


def test_rows_are_of_experiments_alone():
    assert len(ROWS) == len(names())
    scripts = {
        file.stem
        for file in FOLDER.glob("*.py")
        if "main(__file__, run, " in file.read_text()
    }
    assert scripts == set(names())


def test_every_link_leads_somewhere_and_every_figure_is_linked():
    links = re.findall(r"\]\(([^)]+)\)", TEXT)
    for link in links:
        if link.startswith("#"):
            assert f"\n## {link[1:]}\n" in TEXT
        elif not link.startswith("https://"):
            assert (FOLDER / link).is_file(), link
    figures = {f"figures/{file.name}" for file in (FOLDER / "figures").iterdir()}
    assert figures == {link for link in links if link.startswith("figures/")}
    for file in (FOLDER / "figures").iterdir():
        assert file.stat().st_size < 130_000, file


@pytest.mark.parametrize("name", names())
def test_what_has_rounding_has_a_rule(name):
    for size in shelf.expected(name).values():
        patterns = [rule["of"] for rule in size["rules"]]
        for path, value in leaves(size["numbers"]):
            ruled = any(fnmatch.fnmatchcase(path, of) for of in patterns)
            assert ruled or "." not in str(value), f"{name}: {path}"


def leaves(tree, path=""):
    """Paths and values of all that is no dictionary."""
    if not isinstance(tree, dict):
        yield path, tree
        return
    for key, value in tree.items():
        yield from leaves(value, f"{path}/{key}" if path else key)


@pytest.mark.parametrize("name", names())
def test_the_title_is_one_line(name):
    assert 10 < len(shelf.title(name)) < 100
