"""What the package promises to those who install it."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import plateaux as px

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def requirements(lines):
    """Requirement by canonical name of the distribution."""
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


def third_party_imports():
    """Top-level modules that any file of the package imports, anywhere in it."""
    names = set()
    for file in (ROOT / "plateaux").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module)
    return (
        {n.split(".")[0] for n in names} - set(sys.stdlib_module_names) - {"plateaux"}
    )


@pytest.mark.parametrize("name", ["jax", "jaxlib"])
def test_broken_versions_of_jax_are_refused(name):
    wanted = requirements(PROJECT["dependencies"])[name].specifier
    assert not wanted.contains("0.10.2")
    assert not wanted.contains("0.8.1")
    assert wanted.contains("0.8.2")
    assert wanted.contains("0.10.1")
    assert wanted.contains(importlib.metadata.version(name))


def test_every_import_is_declared():
    extras = [r for e in ("plot", "data", "sweep", "cluster") for r in EXTRAS[e]]
    declared = set(requirements(PROJECT["dependencies"])) | set(requirements(extras))
    providers = importlib.metadata.packages_distributions()
    for module in third_party_imports():
        found = {canonicalize_name(name) for name in providers[module]}
        assert found & declared, f"{module} is imported but not declared"


def test_all_is_all_that_users_need():
    (everything,) = requirements(EXTRAS["all"]).values()
    assert everything.extras == {"plot", "data", "sweep", "cluster"}


def test_version_stands_in_one_place():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.*)$", citation, re.M)[1] == px.__version__
    assert importlib.metadata.version("plateaux") == px.__version__


def test_changelog_opens_with_affected_results():
    text = (ROOT / "CHANGELOG.md").read_text()
    versions = re.split(r"^## ", text, flags=re.M)[1:]
    assert versions
    for version in versions:
        assert re.search(r"^### (.*)$", version, re.M)[1] == "Affected results"


def test_the_console_script_exists():
    (script,) = importlib.metadata.entry_points(
        name="plateaux", group="console_scripts"
    )
    assert callable(script.load())


def test_ci_checks_everything():
    script = (ROOT / ".ci" / "run").read_text()
    for target in ("test", "lint", "types", "docs", "experiments"):
        assert re.search(rf"^make {target}$", script, re.M)
        assert re.search(rf"^{target}: ", (ROOT / "Makefile").read_text(), re.M)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


CORE_ONLY = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Refuse())
import jax
before = dict(jax.config.values)
import plateaux as px
changed = {{k for k, v in before.items() if jax.config.values[k] != v}}
assert not changed, changed
import jax.numpy as jnp
problem = px.Problem(jnp.linspace(-1.0, 1.0, 5)[:, None], jnp.linspace(0.0, 1.0, 5))
network = px.networks.he(jax.random.key(0), width=3, in_dim=1)
run = px.descend(problem, network, px.gradient_descent(0.1), num_steps=40)
assert int(px.plateaus(run).count) >= 0
for use in (
    lambda: px.plot.loss_curve([0.0, 1.0], [1.0, 0.5]),
    lambda: px.problems.diabetes(),
    lambda: px.sweep(px.sweeps.SweepSpec(
        name="one", problem={{"name": "sine", "num_data": 4}}, network={{"width": 2}},
        initialiser={{"name": "he"}}, precision="float32",
        method={{"step_size": 0.1, "num_steps": 3}}, sweep={{"lanes": 2}})),
):
    try:
        use()
    except ImportError as error:
        print(error)
"""


def test_core_works_without_extras_and_names_the_missing_one():
    extras = [r for e in ("plot", "data", "sweep", "cluster") for r in EXTRAS[e]]
    distributions = set(requirements(extras))
    providers = importlib.metadata.packages_distributions().items()
    blocked = {
        m for m, ds in providers if {*map(canonicalize_name, ds)} & distributions
    }
    assert {"matplotlib", "sklearn", "zarr"} <= blocked
    code = CORE_ONLY.format(blocked=sorted(blocked))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for line, extra in zip(
        done.stdout.splitlines(), ("plot", "data", "sweep"), strict=True
    ):
        assert f"pip install 'plateaux[{extra}]'" in line
