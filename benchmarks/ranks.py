"""Seconds of recording spectra along a run, and of many initialisations at once.

A 1-50-50-1 tanh network learns three waves on 400 Gauss points by Adam, in float64.

* recording: a run with the spectra of both hidden layers at 200 log-spaced times over
  the same run without, in turn (and, for scale, one that records nothing but the same
  networks);
* batch: initialisations a second in one batch over a Python loop of single compiled
  runs.

    python benchmarks/ranks.py [--only recording batch] [--steps 10000] [--lanes 256]
"""

import time

import common
import jax
import jax.numpy as jnp
import optax

ADAM = optax.adam(1e-3)


def problem():
    import plateaux as px

    wave = lambda x: sum(jnp.sin(2 * jnp.pi * k * x[0]) / k for k in (1, 3, 6))
    return px.problems.sampled(wave, px.problems.gauss_legendre(400))


def network(key):
    import plateaux as px

    return px.networks.mlp(
        key, widths=(50, 50), in_dim=1, activation="tanh", initialiser="xavier"
    )


def seconds(run) -> float:
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def recording(args) -> dict:
    """The three runs in turn."""
    import plateaux as px

    data, start = problem(), network(jax.random.key(0))
    save = px.log_spaced(args.times)
    records = {
        "nothing": None,
        "networks": {"network": lambda _, network: network},
        "spectra": {"spectra": px.diagnostics.spectra},
    }
    train = lambda record: px.descend(
        data, start, ADAM, num_steps=args.steps, save=save, record=record
    )
    rows = {name: [] for name in records}
    for repeat in range(args.repeats + 1):
        for name, record in records.items():
            spent = seconds(lambda record=record: train(record))
            if repeat:
                rows[name].append(spent)
    found = {name: common.spread(row) for name, row in rows.items()}
    plain = found["nothing"]["median"]
    return {
        "steps": args.steps,
        "times": args.times,
        "seconds": found,
        "cost of the spectra": found["spectra"]["median"] / plain - 1,
        "cost of the networks": found["networks"]["median"] / plain - 1,
    }


def batch(args) -> dict:
    """One batch over a loop of single runs, spectra recorded in both."""
    import plateaux as px

    data = problem()
    train = lambda start: px.descend(
        data,
        start,
        ADAM,
        num_steps=args.batch_steps,
        save=px.log_spaced(20),
        record={"spectra": px.diagnostics.spectra},
    )
    starts = jax.vmap(network)(jax.random.split(jax.random.key(0), args.lanes))
    together = jax.jit(jax.vmap(train))
    lane = lambda i: jax.tree.map(lambda leaf: leaf[i], starts)
    seconds(lambda: together(starts).losses)
    seconds(lambda: train(lane(0)).losses)
    many = [seconds(lambda: together(starts).losses) for _ in range(args.repeats)]
    one = [seconds(lambda i=i: train(lane(i)).losses) for i in range(args.singles)]
    many, one = common.spread(many), common.spread(one)
    return {
        "lanes": args.lanes,
        "steps": args.batch_steps,
        "seconds of the batch": many,
        "seconds of one": one,
        "throughput ratio": one["median"] * args.lanes / many["median"],
    }


PARTS = {"recording": recording, "batch": batch}
OPTIONS = {
    "repeats": 3,
    "steps": 10_000,
    "times": 200,
    "lanes": 256,
    "batch_steps": 100,
    "singles": 8,
}


def main(arguments=None):
    common.run_parts("ranks", __doc__, PARTS, OPTIONS, arguments)


if __name__ == "__main__":
    main()
