"""Training by least squares against gradient methods, batches and sweeps.

`race`: seconds until the loss reaches 1.5 times the RMSE of the dynamic-programming
bound on y = sin 5πx, K = 200, n = 20, float64, one seed after another, compilation not
counted: the joint method, Adam for up to `--adam` jitted iterations at two step sizes,
optax L-BFGS, and optimistix Levenberg–Marquardt. A run that does not get there counts
as infinite. `batch`: runs a second of one vmapped batch over those of a Python loop of
single compiled runs. `sweep`: one exact sweep of 100 neurons over 1e5 data.

    python benchmarks/anls.py [--seeds 8] [--adam 200000] [--lanes 256] [--repeats 3]
"""

import argparse
import math
import os
import statistics
import time

os.environ.setdefault("JAX_ENABLE_X64", "1")

import common
import jax
import jax.numpy as jnp
import numpy as np
import optax

import plateaux as px  # isort: skip
from plateaux.anls import exact_sweep, sort_data
from plateaux.patterns import segmented_fit


def sine(num: int = 200) -> px.Problem:
    x = np.linspace(0, 1, num)
    return px.Problem(x[:, None], np.sin(5 * np.pi * x))


def start(key, width: int = 20) -> px.TwoLayer:
    return px.networks.unit_kinks(key, width=width, in_dim=1, affine=True, lo=0.0)


def seconds(run, *arguments):
    """The result, and the time a call takes once it is compiled."""
    begin = time.perf_counter()
    result = jax.block_until_ready(run(*arguments))
    return result, time.perf_counter() - begin


def time_to(problem, train, keys, target: float) -> tuple[list[float], list[float]]:
    """Seconds to the target, and of the whole run.

    The first are the share of steps before the target of the second. `train` returns
    losses at evenly spaced steps up to the last that was taken.
    """
    run = jax.jit(train)
    jax.block_until_ready(run(start(keys[0]), keys[0]))
    times, wholes = [], []
    for key in keys:
        (losses, steps), taken = seconds(run, start(key), key)
        wholes.append(taken)
        below = np.flatnonzero(np.asarray(losses) <= target)
        last = max(int(steps), 1)
        times.append(taken * below[0] / last if len(below) else math.inf)
    return times, wholes


def race(args) -> dict:
    problem = sine()
    bound = float(segmented_fit(problem, 21).values[-1])
    keys = list(jax.random.split(jax.random.key(0), args.seeds))

    def by_anls(method, num_steps):
        def train(net, key):
            run = px.anls(problem, net, num_steps=num_steps, method=method, key=key)
            return run.losses, run.stats.num_steps

        return train

    def by_descent(optimizer, num_steps, every):
        def train(net, _):
            run = px.descend(
                problem,
                net,
                optimizer,
                num_steps=num_steps,
                save=px.every(every),
                watch=False,
            )
            return run.losses, jnp.asarray(num_steps // every)

        return train

    adam = lambda h: by_descent(optax.adam(h), args.adam, max(args.adam // 1000, 1))
    entries = {
        "joint": by_anls("joint", 300),
        "levenberg_marquardt": by_anls("levenberg_marquardt", 1000),
        "gauss_newton": by_anls("gauss_newton", 300),
        "adam 1e-2": adam(1e-2),
        "adam 1e-3": adam(1e-3),
        "lbfgs": by_descent(optax.lbfgs(), 2000, 10),
    }
    out = {}
    for name, train in entries.items():
        times, wholes = time_to(problem, train, keys, 1.5**2 * bound)
        reached = sum(map(math.isfinite, times))
        arrival, whole = common.spread(times), common.spread(wholes)
        # a run that does not arrive took at least all its time
        least = [min(pair) for pair in zip(times, wholes, strict=True)]
        joint = out["joint"]["seconds"] if out else arrival
        ratio = statistics.median(least) / joint["median"]
        out[name] = {
            "seconds": arrival,
            "whole_run": whole,
            "reached": reached,
            "at_least_times_joint": ratio,
        }
        print(
            f"{name:20} median {arrival['median']:8.3g} s, fastest {min(times):8.3g} s,"
            f" {reached} of {len(times)} arrived, whole runs {whole['median']:.3g} s: "
            f"at least {ratio:.3g} times joint",
            flush=True,
        )
    return out | convex(bound, min(args.seeds, 3))


CONVEX = (("gated_relu", 20), ("gated_relu", 2000), ("relu", 40))


def convex(bound: float, seeds: int) -> dict:
    """Errors over the bound and seconds of pyscnn; {} where it is not installed."""
    try:
        from scnn.optimize import optimize
    except ImportError:
        print("pyscnn: not installed")
        return {}
    x = np.linspace(-1, 1, 200)
    data, y = np.stack([x, np.ones(200)], axis=1), np.sin(2.5 * np.pi * (x + 1))
    out = {}
    for kind, gates in CONVEX:
        times, errors = [], []
        for seed in range(seeds):
            begin = time.perf_counter()
            # with unit columns its predictions are not those of its objective
            model, _ = optimize(
                kind,
                gates,
                data,
                y[:, None],
                dtype="float64",
                unitize_data=False,
                seed=seed,
            )
            times.append(time.perf_counter() - begin)
            rest = np.ravel(model(data)) - y
            errors.append(float(np.sqrt(np.mean(rest**2) / (2 * bound))))
        name = f"pyscnn {kind}, {gates} gates"
        out[name] = {"seconds": common.spread(times), "over_bound": errors}
        print(
            f"{name:30} median {statistics.median(times):.3g} s, error "
            f"{statistics.median(errors):.3g} times the bound of 20 neurons, "
            f"{model.parameters[0].shape[0]} neurons",
            flush=True,
        )
    return out


def batch(args) -> dict:
    out = {}
    for num, width in ((20, 3), (100, 5)):
        problem = sine(num)
        keys = jax.random.split(jax.random.key(1), args.lanes)
        starts = jax.vmap(lambda key: start(key, width))(keys)  # noqa: B023
        one = jax.jit(
            lambda net, key: (
                px.anls(  # noqa: B023
                    problem,  # noqa: B023
                    net,
                    num_steps=20,
                    key=key,
                    patience=20,
                    save=px.log_spaced(2),
                ).losses
            )
        )
        together = jax.jit(jax.vmap(one))
        first = jax.tree.map(lambda leaf: leaf[0], starts)
        jax.block_until_ready((one(first, keys[0]), together(starts, keys)))
        ratios = []
        for _ in range(args.repeats):
            _, batched = seconds(together, starts, keys)
            begin = time.perf_counter()
            for i in range(min(args.lanes, 32)):
                net = jax.tree.map(lambda leaf: leaf[i], starts)  # noqa: B023
                jax.block_until_ready(one(net, keys[i]))
            looped = (time.perf_counter() - begin) * args.lanes / min(args.lanes, 32)
            ratios.append(looped / batched)
        name = f"K = {num}, n = {width}"
        out[name] = common.spread(ratios)
        print(f"batch of {args.lanes}, {name}: {out[name]['median']:.2f} times a loop")
    return out


def sweep(args) -> dict:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=args.data)
    problem = px.Problem(x[:, None], np.sin(20 * x) + rng.normal(size=args.data))
    network = start(jax.random.key(0), 100)
    data = jax.block_until_ready(
        jax.jit(sort_data)(problem.x[:, 0], problem.sample_weights)
    )
    run = jax.jit(exact_sweep)
    jax.block_until_ready(run(problem, network, data))
    times = [seconds(run, problem, network, data)[1] for _ in range(args.repeats)]
    print(f"one exact sweep, K = {args.data}, n = 100: {min(times):.2f} s")
    return common.spread(times)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--adam", type=int, default=200_000)
    parser.add_argument("--lanes", type=int, default=256)
    parser.add_argument("--data", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("race", "batch", "sweep"))
    parser.add_argument("--out")
    args = parser.parse_args(arguments)
    parts = {"race": race, "batch": batch, "sweep": sweep}
    chosen = [args.only] if args.only else parts
    common.write("anls", {name: parts[name](args) for name in chosen}, args.out)


if __name__ == "__main__":
    main()
