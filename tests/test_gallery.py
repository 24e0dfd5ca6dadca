"""The gallery and the notebooks: what they must have, without running them."""

import ast
import json
import re
from pathlib import Path

import plateaux as px

DOCS = Path(__file__).parents[1] / "docs"
SCRIPTS = sorted((DOCS / "gallery").glob("*/*.py"))
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))
PLACES = re.compile(r"/(home|work|tmp|root|Users|mnt)/")


def cells(notebook):
    """The code cells of a notebook."""
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def code():
    """Everything that the documentation runs for a picture."""
    in_notebooks = (
        "".join(cell["source"]) for file in NOTEBOOKS for cell in cells(file)
    )
    scripts = (script.read_text(encoding="utf-8") for script in SCRIPTS)
    return "\n".join([*scripts, *in_notebooks])


def test_there_are_enough():
    assert len(SCRIPTS) >= 22
    assert len(NOTEBOOKS) >= 3


def test_every_figure_function_is_shown():
    public = {name for name, value in vars(px.plot).items() if callable(value)}
    shown = set(re.findall(r"px\.plot\.(\w+)\(", code()))
    assert public - shown == set()


def test_every_script_has_a_title_a_reference_and_its_precision():
    for script in SCRIPTS:
        text = script.read_text(encoding="utf-8")
        title, rule, *rest = ast.get_docstring(ast.parse(text)).splitlines()
        assert rule == "=" * len(title), script.name
        assert re.search(r"^(After|See also|.*See also)", "\n".join(rest), re.M), (
            script.name
        )
        assert 'jax.config.update("jax_enable_x64", True)' in text, script.name
        assert len(text.splitlines()) <= 100, f"{script.name}: a figure is missing?"


def test_no_script_is_left_out_of_the_gallery():
    assert sorted((DOCS / "gallery").rglob("*.py")) == SCRIPTS
    sections = {script.parent for script in SCRIPTS}
    assert all((folder / "GALLERY_HEADER.rst").exists() for folder in sections)
    listed = (DOCS / "conf.py").read_text(encoding="utf-8")
    assert all(re.search(rf"\b{folder.name}\b", listed) for folder in sections)


def test_notebooks_were_run_from_top_to_bottom():
    for notebook in NOTEBOOKS:
        counts = [cell["execution_count"] for cell in cells(notebook)]
        assert counts == list(range(1, len(counts) + 1)), notebook.name
        assert any(cell["outputs"] for cell in cells(notebook)), notebook.name


def test_outputs_have_no_errors_and_no_places():
    for notebook in NOTEBOOKS:
        for output in (out for cell in cells(notebook) for out in cell["outputs"]):
            assert output["output_type"] != "error", notebook.name
            assert output.get("name") != "stderr", notebook.name
            assert not PLACES.search(words(output)), notebook.name


def words(output):
    """The text of an output, without its pictures."""
    data = output.get("data", {})
    told = (data[kind] for kind in data if kind.startswith("text/"))
    return "".join(
        part if isinstance(part, str) else "".join(part)
        for part in [output.get("text", ""), *told]
    )


def test_pytest_does_not_run_them(pytestconfig):
    left_out = pytestconfig.getini("norecursedirs")
    assert {"gallery", "_gallery", "notebooks"} <= set(left_out)
