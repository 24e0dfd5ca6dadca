"""The files of experiments/, which is no package, as modules."""

import importlib.util
from pathlib import Path


def load(name: str):
    """experiments/<name>.py as a module."""
    path = Path(__file__).parents[1] / "experiments" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
