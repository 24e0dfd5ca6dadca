"""Peak memory of a sweep at a thousand and at a hundred thousand lanes.

Each sweep runs in a process of its own, with the same chunk; its peak resident memory
is what the operating system says when the process has ended. A sweep's memory is
bounded by its chunk, so the two peaks should be close.

    python benchmarks/memory.py [--lanes 1000 100000] [--chunk 500]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

COMMAND = [sys.executable, "-m", "plateaux"]
SPEC = """
name = "memory"
[problem]
name = "sine"
num_data = 20
[network]
width = 10
[initialiser]
name = "he"
[method]
step_size = 0.01
num_steps = {steps}
[recording]
num_times = 50
[sweep]
lanes = {lanes}
chunk = {chunk}
"""


def peak_of(command: list[str]) -> tuple[float, float]:
    """Peak resident memory in MB, and seconds, of one process.

    Linux counts the size of this process at the fork too, so it stays small.
    """
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command[1:])} ended with {process.returncode}:\n{said}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes here
    return usage.ru_maxrss * unit / 1e6, time.perf_counter() - began


def size_of(folder: Path) -> float:
    """Size of all files of a folder in MB."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 1e6


def sweep(lanes: int, chunk: int, steps: int) -> dict:
    """Run one sweep in a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        spec, out = Path(folder, "spec.toml"), Path(folder, "out")
        spec.write_text(SPEC.format(lanes=lanes, chunk=chunk, steps=steps))
        peak, seconds = peak_of(
            [*COMMAND, "sweep", "run", str(spec), "--out", str(out)]
        )
        stored = size_of(out)
    print(
        f"{lanes:>9} lanes: peak {peak:6.0f} MB, "
        f"{stored:7.1f} MB on disk, {seconds:.0f} s"
    )
    return {"lanes": lanes, "peak_mb": peak, "stored_mb": stored, "seconds": seconds}


def main(argv: list[str] | None = None) -> dict:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--chunk", type=int, default=500)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", help="JSON file, by default results/memory.json")
    args = parser.parse_args(argv)
    baseline, _ = peak_of([sys.executable, "-c", "import jax; jax.numpy.ones(1)"])
    print(f"          JAX alone: {baseline:6.0f} MB")
    sweeps = [sweep(lanes, args.chunk, args.steps) for lanes in args.lanes]
    ratio = sweeps[-1]["peak_mb"] / sweeps[0]["peak_mb"]
    print(
        f"peak at {args.lanes[-1]} lanes / peak at {args.lanes[0]} lanes: {ratio:.2f}"
    )
    result = {"jax_alone_mb": baseline, "sweeps": sweeps, "ratio": ratio}
    settings = {"chunk": args.chunk, "steps": args.steps}
    common.write("memory", {"settings": settings, **result}, args.out)
    return result


if __name__ == "__main__":
    main()
