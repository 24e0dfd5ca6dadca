"""Sweeps: lanes a second, what the harness costs a lane, and two devices against one.

`flow`: the sweep of experiments/million.toml with fewer lanes, by the command line in a
process of its own: lanes a second of the chunks after the first of each worker, the
time a million would take, and the peak of its memory. `harness`: microseconds a lane
for boiling trajectories down, storing them and counting them, beside the training.
`devices`: throughput of `px.sweeps.over_devices` with two virtual devices of one thread
each over that with one, in processes of their own that alternate.

    python benchmarks/sweeps.py [--lanes 20480] [--repeats 3]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common
import memory

MILLION = Path(__file__).parents[1] / "experiments" / "million.toml"


def spec_of(lanes: int, chunk: int):
    """That sweep with so many lanes."""
    from plateaux.sweeps import SweepSpec, read_spec

    entries = read_spec(MILLION).to_dict()
    entries["sweep"] |= {"lanes": lanes, "chunk": min(chunk, lanes)}
    return SweepSpec.from_dict(entries)


def flow(lanes: int, chunk: int) -> dict:
    """Lanes a second, without compiling, and memory."""
    from plateaux.sweeps import open_sweep

    with tempfile.TemporaryDirectory() as folder:
        spec, out = Path(folder, "spec.toml"), Path(folder, "out")
        spec.write_text(spec_of(lanes, chunk).to_toml())
        command = [*memory.COMMAND, "sweep", "run", str(spec), "--out", str(out)]
        peak, seconds = memory.peak_of(command)
        marks = sorted(
            file.stat().st_mtime
            for file in (out / "store.zarr" / "done" / "c").rglob("*")
            if file.is_file()
        )
        failed = int((open_sweep(out).dataset["outcome"] != 0).sum())
    workers = len(os.sched_getaffinity(0))
    later = len(marks) - workers
    rate = later * chunk / (marks[-1] - marks[workers - 1]) if later > 0 else None
    result = {
        "lanes": lanes,
        "lanes_a_second": rate or lanes / seconds,
        "minutes_for_a_million": 1e6 / (rate or lanes / seconds) / 60,
        "seconds_with_start_and_compilation": seconds,
        "peak_megabytes": peak,
        "failed_lanes": failed,
    }
    print("flow", *(f"{k} {v:.4g}" for k, v in result.items()), sep="\n  ")
    return result


def harness(lanes: int, repeats: int) -> dict:
    """Microseconds a lane beside the training, of a chunk that is trained."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from plateaux.sweeps.lanes import prepare
    from plateaux.sweeps.programs import PROGRAMS, draw_chunk, train_lanes
    from plateaux.sweeps.progress import Tally
    from plateaux.sweeps.store import Store
    from plateaux.sweeps.summary import summarise

    spec = spec_of(lanes, lanes)
    (one,) = prepare(spec)
    draw = lambda: jax.block_until_ready(draw_chunk(spec, one, 0))
    starts = draw()
    runs = jax.block_until_ready(train_lanes(one, starts))
    arguments = (one.problem, runs, jnp.asarray(lanes), one.plan)
    boil = lambda: PROGRAMS.run(summarise, *arguments)
    stored = {name: np.asarray(array) for name, array in boil().items()}

    with tempfile.TemporaryDirectory() as folder:
        store = Store(spec, Path(folder), [one.time_unit])
        done = np.zeros((1, 1), bool)
        jobs = {
            "drawing": draw,
            "boiling down": boil,
            "storing": lambda: store.write(0, 0, stored),
            "counting": lambda: Tally(spec, done).add(stored),
        }
        times = {name: [] for name in jobs}
        for _ in range(repeats):
            for name, job in jobs.items():
                began = time.perf_counter()
                job()
                times[name].append((time.perf_counter() - began) / lanes * 1e6)
    print(f"harness, microseconds a lane, chunk of {lanes}")
    for name, values in times.items():
        print(f"  {name}: {common.spread(values)['median']:.3g}")
    return {name: common.spread(values) for name, values in times.items()}


WORK = """
import time, jax, sys
jax.config.update("jax_enable_x64", True)
import jax.numpy as jnp, plateaux as px
problem = px.problems.sine(num_data=50)
draw = lambda key: px.networks.he(key, width=20, in_dim=1, bias="normal")
networks = jax.vmap(draw)(jax.random.split(jax.random.key(0), 512))
train = lambda network: px.descend(
    problem, network, px.gradient_descent(0.01), num_steps=2000,
    save=px.log_spaced(2), watch=False).losses
run = jax.jit(px.sweeps.over_devices(jax.vmap(train)))
jax.block_until_ready(run(networks))
began = time.perf_counter()
jax.block_until_ready(run(networks))
print(512 / (time.perf_counter() - began))
"""


def devices(repeats: int) -> dict:
    """Lanes a second of one and of two virtual devices, and their ratio."""
    rates = {1: [], 2: []}
    for _ in range(repeats):
        for number, found in rates.items():
            flags = f"--xla_force_host_platform_device_count={number}"
            flags += " --xla_cpu_multi_thread_eigen=false"
            environment = os.environ | {"XLA_FLAGS": flags}
            command = [sys.executable, "-c", WORK]
            said = subprocess.check_output(command, env=environment, text=True)
            found.append(float(said))
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    spread = common.spread(ratios)
    print(
        f"two devices over one: {spread['median']:.3g} "
        f"({spread['min']:.3g} to {spread['max']:.3g})"
    )
    return {
        "lanes_a_second": {str(k): common.spread(v) for k, v in rates.items()},
        "two over one": spread,
    }


def main(argv: list[str] | None = None) -> dict:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, default=20_480)
    parser.add_argument("--chunk", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", help="JSON file, by default results/sweeps.json")
    args = parser.parse_args(argv)
    result = {
        "devices": devices(args.repeats),
        "flow": flow(args.lanes, args.chunk),
        "harness": harness(min(2 * args.chunk, args.lanes), args.repeats),
    }
    common.write("sweeps", result, args.out)
    return result


if __name__ == "__main__":
    import jax

    jax.config.update("jax_enable_x64", True)
    main()
