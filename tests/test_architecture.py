"""The house: who may import whom, and what an import may do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plateaux"

# Rooms from the ground up; a room imports only rooms before it.
ROOMS = [
    "_checks",
    "_environment",
    "_factorisations",
    "_lengths",
    "_sums",
    "networks",
    "problems",
    "dynamics",
    "patterns",
    "anls",
    "sklearn",
    "diagnostics",
    "stages",
    "statistics",
    "sweeps",
    "plot",
    "report",
    "experiments",
    "doctor",
    "cli",
    "__main__",
]
HEAVY = ["matplotlib", "zarr", "xarray", "sklearn", "pandas", "scipy", "tqdm", "tyro"]
HEAVY += ["dask", "distributed", "netCDF4"]


def room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path):
    """Rooms that a file imports, anywhere in it."""
    depth = len(path.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        if node.level == 0 and (node.module or "").split(".")[0] == "plateaux":
            yield from (node.module.split(".")[1:2] or [a.name for a in node.names])
        if node.level == depth:
            yield from (
                [node.module.split(".")[0]]
                if node.module
                else [alias.name for alias in node.names]
            )


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down_only(path):
    allowed = set(ROOMS[: ROOMS.index(room(path)) + 1]) | {"__version__"}
    above = set(imported_rooms(path)) - allowed
    assert not above, f"{room(path)} must not import {above}"


def test_every_room_is_placed():
    assert {room(path) for path in FILES} == set(ROOMS)


def test_importing_changes_nothing_and_loads_nothing_heavy():
    code = (
        "import sys, jax\n"
        "before = dict(jax.config.values)\n"
        "import plateaux\n"
        "after = {name: jax.config.values[name] for name in before}\n"
        "assert after == before\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(result.stdout) == []


def test_top_level_is_as_agreed():
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode:  # an unpacked source archive
        pytest.skip("not a git checkout")
    names = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    assert names <= {
        *("plateaux", "experiments", "tests", "docs", "benchmarks", "pyproject.toml"),
        *("README.md", "Makefile", "CHANGELOG.md", "CITATION.cff", "LICENSE"),
        *("CONTRIBUTING.md", ".ci", ".gitignore"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_one_definition_of_relu(path):
    """jnp.maximum(z, 0) has slope 1/2 at 0: only activations.py knows the ReLU."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        assert node.func.attr != "relu"
        if ast.unparse(node.func) == "jnp.maximum" and room(path) == "networks":
            assert not any(ast.unparse(a) in ("0", "0.0") for a in node.args)


def test_no_global_configuration_in_the_package():
    """Precision belongs to the caller; only command lines choose it."""
    for path in FILES:
        if room(path) in ("cli", "__main__") or path.name == "running.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            assert called != "jax.config.update", path
