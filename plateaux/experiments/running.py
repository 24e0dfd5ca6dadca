"""Running an experiment: its command line, manifest, numbers, and their comparison."""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from .agreement import as_json, disagreements, plain
from .shelf import expected

MANIFEST, NUMBERS = "manifest.json", "numbers.json"
Config = TypeVar("Config")
Run = Callable[[Any, Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Options(Generic[Config]):
    """The options that every experiment has, and its own."""

    config: Config
    smoke: bool
    """A short run, of seconds."""
    out: Path
    """The folder of results."""


def main(script: str, run: Run, smoke: Any) -> None:
    """The command line of one experiment; ends the process.

    Every field of the configuration is an option. Written into the folder of results:
    `manifest.json` (configuration, versions, devices, seconds, whether the numbers
    agreed) and `numbers.json`, beside what the experiment itself draws there. Numbers
    of a configuration that experiments/expected/NAME.json knows are compared with
    those; the exit code is 1 if one differs.

    Args:
        script: The script's `__file__`.
        run: Runs a configuration, given the folder of results; returns the numbers,
            nested dictionaries of what JSON can hold or of arrays.
        smoke: The configuration of a short run, an instance of the frozen dataclass
            whose defaults are the full size. A field `parts` with names of parts may
            be shortened by the user; numbers of those not run are not compared.
    """
    name = Path(script).stem
    module = sys.modules[run.__module__]
    config, out = _options(name, module.__doc__ or "", smoke)
    import jax

    jax.config.update("jax_enable_x64", True)
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    numbers = plain(run(config, out))
    seconds = time.perf_counter() - began
    wrong = compare(name, plain(dataclasses.asdict(config)), numbers)
    _write(out / NUMBERS, numbers)
    _write(out / MANIFEST, _manifest(name, config, seconds, wrong))
    print(f"{_verdict(wrong)}; {seconds:.0f} s, results in {out}")
    raise SystemExit(bool(wrong))


def compare(
    name: str, config: dict[str, Any], numbers: dict[str, Any]
) -> list[str] | None:
    """What differs from the expected numbers; None if none are known for this size."""
    for known in expected(name).values():
        theirs = known["config"]
        if {**config, "parts": None} == {**theirs, "parts": None}:
            partial = config.get("parts") != theirs.get("parts")
            return disagreements(
                numbers, known["numbers"], known["rules"], partial=partial
            )
    return None


def _options(name: str, docstring: str, smoke: Any) -> tuple[Any, Path]:
    """Configuration and folder, from the command line."""
    import tyro

    short = "--smoke" in sys.argv[1:]
    kind = type(smoke)
    out = Path("runs", "smoke", name) if short else Path("runs", name)
    options = tyro.cli(
        Options[kind],
        default=Options(config=smoke if short else kind(), smoke=False, out=out),
        prog=f"python experiments/{name}.py",
        description=docstring,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
    return options.config, options.out


def code_state() -> dict[str, Any]:
    """Which code runs: the version, and in a checkout the commit."""
    from .. import __version__
    from ..sweeps.manifest import git_state

    return {"version": __version__, "git": git_state()}


def _manifest(name: str, config: Any, seconds: float, wrong: list[str] | None) -> dict:
    from ..sweeps.manifest import environment, now

    return {
        "experiment": name,
        "config": plain(dataclasses.asdict(config)),
        "seconds": round(seconds, 1),
        **code_state(),
        "environment": environment(),
        "finished": now(),
        "disagreements": wrong,
    }


def _verdict(wrong: list[str] | None) -> str:
    if wrong is None:
        return "no numbers are expected of this configuration"
    return "\n".join(["differs:", *wrong]) if wrong else "as expected"


def _write(file: Path, value: Any) -> None:
    """Replace the file as a whole."""
    partial = file.with_suffix(".partial")
    partial.write_text(as_json(value) + "\n")
    partial.replace(file)
