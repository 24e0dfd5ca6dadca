"""Gradients and Hessians of two-layer networks beside automatic differentiation.

`steps`: microseconds of a step of gradient descent, one univariate network in float64:
`plateaux.descend` along sorted data and over all pairs, and the obvious JAX,
`jit(scan(grad))`. `hessian`: milliseconds of a Hessian with P = 200 parameters and 1000
data in two dimensions, softplus: ours, `jax.hessian`, and, where torch is installed,
`torch.func.hessian`. Values are compared before any time is taken; repetitions
alternate, and ratios are taken within a repetition.

    python benchmarks/gradients.py [--repeats 5] [--sizes 20,50 1000,1000 1000,10000]
"""

import argparse
import time

import common
import jax
import numpy as np
from jax.flatten_util import ravel_pytree

STEP_SIZE = 1e-3


def seconds(run) -> float:
    """The time of one call, after one that fills the caches others have emptied."""
    jax.block_until_ready(run())
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


def compare(runs: dict, repeats: int, scale: float, unit: str, ours: str) -> dict:
    """Times by contender, and ratios to ours within each repetition."""
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(seconds(run) * scale)
    out = {unit: {name: common.spread(values) for name, values in times.items()}}
    out["ratios"] = {}
    for name in runs:
        ratios = [a / b for a, b in zip(times[name], times[ours], strict=True)]
        if name != ours:
            out["ratios"][f"{name} / {ours}"] = common.spread(ratios)
        s, r = common.spread(times[name]), common.spread(ratios)
        print(
            f"  {name:10} {s['median']:10.4g} {unit} ({s['min']:.4g} to "
            f"{s['max']:.4g}), {r['median']:.3g} times {ours}"
        )
    return out


def steps(width: int, num_data: int, repeats: int) -> dict:
    """One step of descent, sorted, over pairs, and by automatic differentiation."""
    import plateaux as px

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, num_data)
    problem = px.Problem(x[:, None], np.sin(6 * x))
    network = px.networks.he(
        jax.random.key(0), width=width, in_dim=1, bias="normal", affine=True
    )
    # descent takes its steps in rows of 32
    rows = max(1, min(64, 600_000 // (width * num_data)))
    count = 32 * rows - 1

    def ours(how):
        train = jax.jit(
            lambda network: (
                px.descend(
                    problem,
                    network,
                    px.gradient_descent(STEP_SIZE),
                    num_steps=count,
                    save=px.log_spaced(2),
                    watch=False,
                    gradient=how,
                ).network
            )
        )
        return lambda: train(network)

    @jax.jit
    def train(network):
        def step(network, _):
            slope = jax.grad(lambda net: px.loss(problem, net))(network)
            return jax.tree.map(lambda p, g: p - STEP_SIZE * g, network, slope), None

        return jax.lax.scan(step, network, None, count)[0]

    runs = {
        "sorted": ours("sorted"),
        "pairs": ours("dense"),
        "autodiff": lambda: train(network),
        "automatic choice": ours(None),
    }
    ends = [ravel_pytree(run())[0] for run in runs.values()]
    for end in ends[1:]:
        np.testing.assert_allclose(end, ends[0], rtol=1e-8, atol=1e-10)
    print(f"n = {width}, K = {num_data}: one step")
    return compare(runs, repeats, 1e6 / count, "microseconds", "sorted")


def hessian(repeats: int) -> dict:
    """The Hessian of 50 softplus neurons in two dimensions."""
    import plateaux as px

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, 2)), rng.normal(size=1000)
    problem = px.Problem(x, y)
    network = px.networks.he(
        jax.random.key(0), width=50, in_dim=2, bias="normal", activation="softplus"
    )
    flat, build = ravel_pytree(network)
    by_jax = jax.jit(jax.hessian(lambda v: px.loss(problem, build(v))))
    ours = jax.jit(lambda v: px.dynamics.hessian(problem, build(v)))
    runs = {"ours": lambda: ours(flat), "jax": lambda: by_jax(flat)}
    np.testing.assert_allclose(runs["ours"](), runs["jax"](), atol=1e-12)
    try:
        runs["torch"] = _torch_hessian(x, y, flat)
        np.testing.assert_allclose(runs["torch"](), runs["jax"](), atol=1e-10)
    except ImportError:
        print("torch: not installed")
    print(f"Hessian, P = {flat.size}, 1000 data")
    return compare(runs, repeats, 1e3, "milliseconds", "ours")


def _torch_hessian(x, y, flat):
    import torch

    torch.set_num_threads(1)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    start = torch.from_numpy(np.array(flat))

    def loss(v):
        w, b, c = v[:100].reshape(50, 2), v[100:150], v[150:]
        f = torch.nn.functional.softplus(x @ w.T + b) @ c
        return 0.5 * torch.mean((f - y) ** 2)

    return lambda: torch.func.hessian(loss)(start).numpy()


def main(argv: list[str] | None = None) -> dict:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    sizes = ["20,50", "100,100", "100,1000", "1000,1000", "1000,10000"]
    parser.add_argument("--sizes", nargs="+", default=sizes, metavar="n,K")
    parser.add_argument("--out", help="JSON file, by default results/gradients.json")
    args = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    result = {
        f"n, K = {size}": steps(*map(int, size.split(",")), args.repeats)
        for size in args.sizes
    }
    result["hessian"] = hessian(args.repeats)
    common.write("gradients", result, args.out)
    return result


if __name__ == "__main__":
    main()
