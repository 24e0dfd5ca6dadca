"""The pages of the project: their links, and the names they use."""

import functools
import re
import subprocess
from pathlib import Path

import pytest

import plateaux as px

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *)(`{3,}|:{3,}).*?^\1\2`*:* *$", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SRC = re.compile(r"(?:src|href)=\"([^\"]+)\"")
ROLE = re.compile(r"\{py:\w+\}`~?plateaux((?:\.[A-Za-z_]\w*)+)`")
NAME = re.compile(r"\bpx((?:\.[A-Za-z_]\w*)+)")
# Copied to the front page of the built site by `html_extra_path`.
BUILT = {"million_report.html": ROOT / "docs" / "reports" / "million_report.html"}


def pages():
    """Every Markdown file of the project: what git knows and what is new."""
    listed = ["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(
        ["git", *listed], cwd=ROOT, capture_output=True, text=True, check=False
    )
    paths = [ROOT / line for line in found.stdout.splitlines()]
    if found.returncode:  # an unpacked source archive
        paths = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path for path in paths if path.exists())


def prose(path):
    """The text of a page without its fenced code and displayed blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def slug(heading):
    """The anchor that MyST and GitHub make of a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@functools.cache
def anchors(path):
    return {slug(title) for title in re.findall(r"^#{1,3} (.+)$", prose(path), re.M)}


def broken(path):
    """Targets of the page's links that are not there."""
    text = prose(path)
    for target in [*LINK.findall(text), *SRC.findall(text)]:
        file, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        goal = (path.parent / file).resolve() if file else path
        goal = BUILT.get(Path(file).name, goal)
        missing = not goal.exists()
        if missing or (anchor and goal.suffix == ".md" and anchor not in anchors(goal)):
            yield target


@pytest.mark.parametrize("path", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(path):
    assert not list(broken(path))


@pytest.mark.parametrize("path", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_name_of_the_package_exists(path):
    """Whatever a page calls `px.…` or refers to is there."""
    text = path.read_text(encoding="utf-8")
    for dotted in {*NAME.findall(text), *ROLE.findall(text)}:
        thing = px
        for part in dotted.removeprefix(".").split("."):
            if part in getattr(thing, "__annotations__", ()):
                break  # a field
            assert hasattr(thing, part), f"px{dotted}"
            thing = getattr(thing, part)


def test_every_room_has_its_page():
    """The API lists all public names of the rooms, and of no others."""
    lines = "\n".join(p.read_text() for p in (ROOT / "docs" / "api").glob("*.md"))
    modules = re.findall(r"automodule:: plateaux\.(\w+)\n((?:   :.*\n)*)", lines)
    shown = {room for room, options in modules if ":members:" in options}
    assert shown == set(px._CONTENTS)


def test_the_glossary_is_in_alphabetical_order():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    (entries,) = re.findall(r"^```\{glossary\}\n(.*?)^```", text, re.M | re.S)
    words = re.findall(r"^(\S.*)$", entries, re.M)
    assert words == sorted(words, key=lambda w: w.lower().replace("ε", "epsilon"))
