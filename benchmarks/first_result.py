"""Seconds from the start of a sweep's process to its first stored chunk.

What a person waits before there is something to look at: imports, compilation and the
first chunk of lanes. The whole sweep is not waited for, unless --finish is given.

    python benchmarks/first_result.py [SPEC.toml] [--repeats 3] [--finish]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
from memory import COMMAND

DEMO = Path(__file__).parents[1] / "experiments" / "quick.toml"


def stored_chunks(out: Path) -> int:
    """Chunks whose mark, written last, is in place."""
    marks = (out / "store.zarr" / "done" / "c").rglob("*")
    return sum(mark.is_file() and mark.suffix != ".partial" for mark in marks)


def start_to_first_chunk(spec: Path, finish: bool) -> tuple[float, float | None]:
    """Seconds to the first chunk, and to the end of the sweep if it is waited for."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryFile("w+") as said,
    ):
        out = Path(folder, "out")
        command = [*COMMAND, "sweep", "run", str(spec), "--out", str(out)]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=said)
        ended = False
        while not stored_chunks(out):
            if ended:
                said.seek(0)
                sys.exit(f"the sweep stored nothing, but said:\n{said.read()}")
            time.sleep(0.02)
            ended = process.poll() is not None
        first = time.perf_counter() - began
        if not finish:
            process.terminate()
        process.wait()
        return first, time.perf_counter() - began if finish else None


def main(argv: list[str] | None = None) -> dict:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("spec", nargs="?", type=Path, default=DEMO)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--finish", action="store_true", help="time the whole sweep too"
    )
    parser.add_argument("--out", help="JSON file, by default results/first_result.json")
    args = parser.parse_args(argv)
    runs = [start_to_first_chunk(args.spec, args.finish) for _ in range(args.repeats)]
    result = {"first_chunk_seconds": common.spread([first for first, _ in runs])}
    if args.finish:
        result["sweep_seconds"] = common.spread([whole for _, whole in runs])
    for name, s in result.items():
        print(f"{name}: {s['median']:.1f} ({s['min']:.1f} to {s['max']:.1f})")
    common.write("first_result", {"spec": args.spec.name, **result}, args.out)
    return result


if __name__ == "__main__":
    main()
