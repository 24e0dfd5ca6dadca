"""Public docstrings are whole: every argument, what is returned, a running example."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import plateaux as px

PACKAGE = Path(px.__file__).parent
ROOMS = [
    *("networks", "problems", "dynamics", "dynamics.reduced", "patterns", "anls"),
    *("diagnostics", "diagnostics.curvature", "stages", "statistics", "sweeps"),
    *("plot", "report", "sklearn"),
]
# They need a stored sweep; the pages on sweeps run them.
SHOWN_ELSEWHERE = {
    "estimate",
    "export",
    "merge",
    "open_sweep",
    "status",
    "render",
    "forward_law_quantiles",
}


def exported(room):
    """Names that a room's __init__ hands out."""
    path = PACKAGE.joinpath(*room.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {a.name for node in imports for a in node.names if a.asname == a.name}
    own = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    return sorted(name for name in names | own if name[0] != "_")


def public():
    """Everything public, once."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"plateaux.{room}")
        for name in exported(room):
            found.setdefault(id(getattr(module, name)), (name, getattr(module, name)))
    return sorted(found.values(), key=lambda one: one[0])


def fields(kind, by_constructor):
    """What has to be said of a class: arguments of its constructor, or own fields."""
    if by_constructor:
        return list(inspect.signature(kind).parameters)
    own = kind.__dict__.get("__annotations__", {})
    named = getattr(kind, "_fields", [n for n in own if "ClassVar" not in str(own[n])])
    return [name for name in named if not name.startswith("_")]


FUNCTIONS = [one for one in public() if inspect.isroutine(one[1])]
CLASSES = [one for one in public() if inspect.isclass(one[1])]


def test_there_is_something_to_look_at():
    assert len(FUNCTIONS) > 250
    assert len(CLASSES) > 80


@pytest.mark.parametrize(("name", "function"), FUNCTIONS)
def test_functions_say_arguments_result_and_example(name, function):
    text, signature = inspect.getdoc(function), inspect.signature(function)
    if "rguments as for `" in text or "else as `" in text:
        return
    parameters = [p for p in signature.parameters if p not in ("self", "_")]
    for parameter in parameters:
        assert re.search(rf"^ +\*{{0,2}}.*\b{parameter}\b.*:", text, re.M), parameter
    assert not parameters or "Args:" in text
    if signature.return_annotation not in (None, "None"):
        assert "Returns:" in text or "Yields:" in text
    assert ">>>" in text or name in SHOWN_ELSEWHERE


@pytest.mark.parametrize(("name", "kind"), CLASSES)
def test_classes_say_their_fields(name, kind):
    text = inspect.getdoc(kind) or ""
    assert text
    for field in fields(kind, "Args:" in text):
        assert re.search(rf"\b{field}\b.*:|`{field}`", text), field
