"""What the benchmarks share: the machine in words, medians, the JSON file."""

import argparse
import json
import os
import platform
import statistics
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine() -> dict:
    """Processor, cores open to this process, operating system, versions."""
    packages = ("plateaux", "jax", "jaxlib", "numpy", "optax", "equinox", "torch")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "environment": {
            name: os.environ[name]
            for name in ("XLA_FLAGS", "NPROC", "OMP_NUM_THREADS")
            if name in os.environ
        },
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(li.split(":", 1)[1].strip() for li in lines if "model name" in li)
    except (OSError, StopIteration):
        return platform.processor()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def spread(values: list[float]) -> dict:
    """Median, smallest and largest."""
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "all": values,
    }


def run_parts(name: str, doc: str, parts: dict, defaults: dict, arguments=None) -> None:
    """The parts chosen on the command line, in float64, printed and written.

    Args:
        name: Of the file of results.
        doc: What the benchmark is, for the help.
        parts: Function of the options by name of the part.
        defaults: Options of the command line, by their names in Python.
        arguments: Of the command line; those of the process if None.
    """
    import jax  # not for those that measure the memory of a process

    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    for option, value in defaults.items():
        many = isinstance(value, list)
        how = {"type": type(value[0] if many else value), "default": value}
        how |= {"nargs": len(value)} if many else {}
        parser.add_argument(f"--{option.replace('_', '-')}", **how)
    parser.add_argument("--out", help=f"JSON file, by default results/{name}.json")
    args = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    result = {}
    for part in args.only:
        result[part] = parts[part](args)
        print(part, result[part])
    write(name, result, args.out)


def write(name: str, result: dict, out: str | None) -> None:
    """Write the result as JSON, to `out` or to results/<name>.json."""
    path = Path(out) if out else RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **result}, indent=2) + "\n")
    print(f"written: {path}", file=sys.stderr)
