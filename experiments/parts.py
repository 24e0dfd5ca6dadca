"""What experiments of several parts share: command line, comparison, colours."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

# Okabe & Ito (2008)
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def parser(name: str, doc: str | None, parts: Sequence[str], lanes: int, smoke: str):
    """The options that all have."""
    made = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    made.add_argument("parts", nargs="*", help=f"of {', '.join(parts)}; all if none")
    made.add_argument("--smoke", action="store_true", help=smoke)
    made.add_argument("--lanes", type=int, default=lanes)
    made.add_argument("--out", type=Path, default=Path("runs") / name)
    return made


def parsed(made: argparse.ArgumentParser, parts: Sequence[str]) -> argparse.Namespace:
    """The command line, its parts known and its folder made."""
    args = made.parse_args()
    unknown = set(args.parts) - set(parts)
    if unknown:
        made.error(f"parts must be of {', '.join(parts)}, but are {sorted(unknown)}")
    args.parts = args.parts or parts
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def finish(
    args: argparse.Namespace,
    numbers: dict,
    expected: Path,
    disagreements: Callable[[dict, dict], list[str]],
    began: float,
) -> None:
    """Write the numbers, and compare those of full size."""
    (args.out / "numbers.json").write_text(json.dumps(numbers, indent=1) + "\n")
    if expected.exists() and not args.smoke:
        wrong = disagreements(numbers, json.loads(expected.read_text()))
        print("disagrees: " + "; ".join(wrong) if wrong else "as expected")
    print(f"{time.perf_counter() - began:.0f} s, results in {args.out}")
