"""Seconds of the stages of training from small weights.

* moments: the moment flow of 100 and of 100 000 neurons, whose cost must not depend on
  the width (each with the look at its first and last network);
* reference: the flow of the reference run, 256 tanh neurons of initial size 1/256 on
  `sine_and_square`, through the secondary plateau to T = 600;
* batch: 256 such runs, one draw each, in one call of `flow_many`.

All in float64, after compilation; medians over repetitions.

    python benchmarks/stages.py [--only moments reference batch] [--repeats 5]
"""

import time

import common
import jax
import jax.numpy as jnp
import numpy as np

HORIZON = 600.0


def network(width: int, seed: int):
    """All parameters normal with standard deviation 1/width."""
    import plateaux as px

    theta = np.random.default_rng(seed).normal(size=3 * width) / width
    v = theta[width:].reshape(width, 2)
    return px.TwoLayer(v[:, :1], v[:, 1], theta[:width], activation="tanh")


def problem():
    import plateaux as px

    return px.problems.sine_and_square()


def seconds(run, repeats: int) -> list[float]:
    """Of every repetition, after one that compiles."""
    jax.block_until_ready(run())
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        found.append(time.perf_counter() - start)
    return found


def moments(args) -> dict:
    """The moment flow at two widths, repetitions in turn."""
    import plateaux as px

    data, flow = problem(), px.dynamics.reduced.moment_flow
    nets = {width: network(width, 0) for width in args.widths}
    rows = {width: [] for width in nets}
    for repeat in range(args.repeats + 1):
        for width, net in nets.items():
            start = time.perf_counter()
            run = jax.block_until_ready(flow(data, net, t1=args.horizon))
            if repeat:
                rows[width].append(time.perf_counter() - start)
    small, large = (common.spread(rows[width]) for width in args.widths)
    return {
        "seconds": {str(width): common.spread(row) for width, row in rows.items()},
        "steps": int(run.stats.num_steps),
        "ratio": large["median"] / small["median"],
    }


def reference(args) -> dict:
    """The reference run."""
    import plateaux as px

    data, net = problem(), network(args.width, 0)
    flow = lambda: px.flow(data, net, t1=args.horizon, rtol=args.rtol)
    run = flow()
    values = seconds(lambda: flow().losses, args.repeats)
    steps = int(run.stats.num_steps) + int(run.stats.num_rejected)
    return {
        "seconds": common.spread(values),
        "steps": steps,
        "milliseconds a step": 1e3 * common.spread(values)["median"] / steps,
        "last loss": float(run.losses[-1]),
    }


def batch(args) -> dict:
    """Many runs in one call."""
    import plateaux as px

    data = problem()
    nets = [network(args.width, seed) for seed in range(args.lanes)]
    nets = jax.tree.map(lambda *leaves: jnp.stack(leaves), *nets)
    many = lambda nets: px.flow_many(
        data,
        nets,
        t1=args.horizon,
        rtol=args.rtol,
        lanes=args.places,
        save=px.log_spaced(100),
    )
    # Compiles: the program depends on the number of places and of networks.
    jax.block_until_ready(many(jax.tree.map(jnp.zeros_like, nets)).losses)
    start = time.perf_counter()
    runs = jax.block_until_ready(many(nets))
    spent = time.perf_counter() - start
    steps = np.asarray(runs.stats.num_steps + runs.stats.num_rejected)
    return {
        "lanes": args.lanes,
        "places": args.places,
        "seconds": spent,
        "steps": {"median": float(np.median(steps)), "max": int(steps.max())},
        "microseconds a lane-step": 1e6 * spent / float(steps.sum()),
        "completed": int(jnp.sum(runs.outcome == px.Outcome.completed)),
    }


PARTS = {"moments": moments, "reference": reference, "batch": batch}
OPTIONS = {
    "repeats": 5,
    "widths": [100, 100_000],
    "width": 256,
    "lanes": 256,
    "places": 16,
    "horizon": HORIZON,
    "rtol": 1e-8,
}


def main(arguments=None):
    common.run_parts("stages", __doc__, PARTS, OPTIONS, arguments)


if __name__ == "__main__":
    main()
