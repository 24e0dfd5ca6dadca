"""Neural chains: many at once over one at a time, in float64.

Chains of depth 64, uniform weights of variance 1, one datum x = y = 1.

* training: 1000 chains by gradient descent in one batch over one at a time, by calls of
  `px.descend` and by its compiled program alone, without the call's checks;
* statistics: the signals of all layers in one batch over one compiled call a chain.

On one core the compiled program of a single chain is bound by its arithmetic, as the
batch is: what a batch saves there is what calls cost, and on an accelerator launches.

    python benchmarks/chains.py [--only training statistics] [--lanes 1000]
"""

import time

import common
import jax
import jax.numpy as jnp


def problem():
    import plateaux as px

    return px.Problem(jnp.ones((1, 1)), jnp.ones(1))


def starts(args):
    import plateaux as px

    draw = lambda key: px.networks.chain(key, depth=args.depth)
    return jax.vmap(draw)(jax.random.split(jax.random.key(0), args.lanes))


def seconds(run) -> float:
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def compared(args, function) -> dict:
    """One batch over single calls, after one of each that compiles."""
    many, together = starts(args), jax.jit(jax.vmap(function))
    lane = lambda i: jax.tree.map(lambda leaf: leaf[i], many)
    lanes = [lane(i) for i in range(args.singles)]
    seconds(lambda: together(many))
    batch = common.spread(
        [seconds(lambda: together(many)) for _ in range(args.repeats)]
    )
    found = {
        "lanes": args.lanes,
        "depth": args.depth,
        "seconds of the batch": batch,
    }
    for name, single in (("calls", function), ("programs", jax.jit(function))):
        seconds(lambda single=single: single(lanes[0]))
        rows = [seconds(lambda net=net, one=single: one(net)) for net in lanes]
        one = common.spread(rows)
        ratio = one["median"] * args.lanes / batch["median"]
        found |= {f"seconds of one, {name}": one, f"throughput ratio, {name}": ratio}
    return found


def training(args) -> dict:
    """Gradient descent, losses at 20 times."""
    import plateaux as px

    data = problem()
    train = lambda net: (
        px.descend(
            data,
            net,
            px.gradient_descent(args.step_size),
            num_steps=args.steps,
            save=px.log_spaced(20),
        ).losses
    )
    return {"steps": args.steps} | compared(args, train)


def statistics(args) -> dict:
    """Forward, backward and gradient norms of every layer."""
    import plateaux as px

    data = problem()
    return compared(args, lambda net: px.diagnostics.signals(data, net))


PARTS = {"training": training, "statistics": statistics}
OPTIONS = {
    "repeats": 3,
    "lanes": 1000,
    "depth": 64,
    "steps": 1000,
    "step_size": 0.01,
    "singles": 20,
}


def main(arguments=None):
    common.run_parts("chains", __doc__, PARTS, OPTIONS, arguments)


if __name__ == "__main__":
    main()
