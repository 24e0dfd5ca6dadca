"""The files of experiments/, which is no package, as modules."""

import functools
import importlib.util
import sys
from pathlib import Path

import jax

# For what runs once: code that is optimised takes ten times as long to compile.
quickly = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


def load(name: str):
    """experiments/<name>.py as a module."""
    folder = Path(__file__).parents[1] / "experiments"
    path = folder / f"{name}.py"
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # where a script finds its neighbours
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
