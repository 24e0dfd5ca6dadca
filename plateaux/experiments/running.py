"""Running an experiment: its command line, manifest, numbers, and their comparison."""

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from .._checks import known
from .agreement import as_json, disagreements, plain
from .shelf import code_state, expected_of
from .waiting import ticking

MANIFEST, NUMBERS = "manifest.json", "numbers.json"
# not in runs itself: a sweep of the same name has its manifest in runs/NAME
OUT = Path("runs", "experiments")
Config = TypeVar("Config")
Run = Callable[[Any, Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Options(Generic[Config]):
    """The options that every experiment has, and its own."""

    config: Config
    smoke: bool
    """A short run, of seconds; other options change it."""
    out: Path
    """The folder of results."""


def main(script: str, run: Run, smoke: Any) -> NoReturn:
    """The command line of one experiment; ends the process.

    Every field of the configuration is an option. Written into the folder of results:
    `manifest.json` (configuration, versions, devices, seconds, what differed) and
    `numbers.json`, beside what the experiment itself draws there. Numbers of a
    configuration that experiments/expected/NAME.json knows are compared with those.
    Exit codes: 0 as expected, 1 if a number differs, 2 bad input, 130 interrupted.

    Args:
        script: The script's `__file__`.
        run: Runs a configuration, given the folder of results; returns the numbers,
            nested dictionaries of what JSON can hold or of arrays.
        smoke: The configuration of a short run, an instance of the frozen dataclass
            whose defaults are the full size. A field `parts` with names of parts may
            be shortened by the user; numbers of those not run are not compared.
    """
    name = Path(script).stem
    try:
        config, out = _options(name, sys.modules[run.__module__].__doc__ or "", smoke)
        size = expected_of(name, plain(dataclasses.asdict(config)))
    except ValueError as error:
        _end(str(error), 2)
    sys.stdout.reconfigure(line_buffering=True)  # pyright: ignore  # logs are watched
    try:
        with ticking(size[1]["seconds"] if size else None):
            code = _run(name, run, config, out)
    except KeyboardInterrupt:
        _end(f"Interrupted: the results in {out} are not complete.", 130)
    raise SystemExit(code)


def _run(name: str, run: Run, config: Any, out: Path) -> int:
    """Run, store and compare; the exit code."""
    import jax

    jax.config.update("jax_enable_x64", True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)  # without it, results are not complete
    began = time.perf_counter()
    numbers = plain(run(config, out))
    seconds = time.perf_counter() - began
    _write(out / NUMBERS, numbers)
    wrong = compare(name, plain(dataclasses.asdict(config)), numbers)
    _write(out / MANIFEST, _manifest(name, config, seconds, wrong))
    print(f"{_verdict(wrong)}; {seconds:.0f} s, results in {out}")
    return int(bool(wrong))


def compare(
    name: str, config: dict[str, Any], numbers: dict[str, Any]
) -> list[str] | None:
    """What differs from the expected numbers; None if none are known for this size."""
    size = expected_of(name, config)
    if size is None:
        return None
    one = size[1]
    partial = config.get("parts") != one["config"].get("parts")
    return disagreements(numbers, one["numbers"], one["rules"], partial=partial)


def _options(name: str, docstring: str, smoke: Any) -> tuple[Any, Path]:
    """Configuration and folder, from the command line."""
    try:
        import tyro
    except ImportError:
        _end("Experiments need tyro; run `pip install 'plateaux[all]'`.", 2)
    short, kind = "--smoke" in sys.argv[1:], type(smoke)
    out = OUT / "smoke" / name if short else OUT / name
    by_path = not Path(sys.argv[0]).is_absolute()
    options = tyro.cli(
        Options[kind],
        default=Options(config=smoke if short else kind(), smoke=False, out=out),
        prog=f"python {sys.argv[0]}" if by_path else f"plateaux experiments run {name}",
        description=docstring,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
    )
    for part in getattr(options.config, "parts", ()):
        known("part", part, kind().parts)
    return options.config, options.out


def _manifest(name: str, config: Any, seconds: float, wrong: list[str] | None) -> dict:
    from .._environment import environment, now

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
    return (
        "\n".join(["differs:", *wrong, "not as expected"]) if wrong else "as expected"
    )


def _end(sentence: str, code: int) -> NoReturn:
    """One sentence on stderr, and this exit code."""
    print(sentence, file=sys.stderr)
    raise SystemExit(code)


def _write(file: Path, value: Any) -> None:
    """Replace the file as a whole."""
    partial = file.with_suffix(".partial")
    partial.write_text(as_json(value) + "\n")
    partial.replace(file)
