"""Nanoseconds per lane-step of gradient descent, side by side with peers in one run.

A two-layer ReLU network with n neurons, K data on a line, float64, B lanes. Contenders:

* ours: `plateaux.descend` with patterns watched at every step, as sweeps run it;
* ours, unwatched: the same with `watch=False`;
* plain: the obvious JAX, `jit(scan(vmap(grad)))`, which keeps only parameters;
* torch: the obvious PyTorch, `torch.func.vmap(torch.func.grad)` in a loop, which keeps
  nothing either; left out where torch is not installed.

Every contender starts from the same parameters; the last losses are compared before any
time is taken. Repetitions alternate between contenders, and ratios are taken within a
repetition, so that a slow minute of the machine falls on all of them.

PyTorch pays a fixed price per operation, so its time per lane falls with the number of
lanes; therefore two numbers of lanes by default, a sweep's chunk and eight of them.

    python benchmarks/descent.py [--lanes 256 2048] [--steps 2000] [--repeats 5]
"""

import argparse
import time

import common
import jax
import jax.numpy as jnp
import numpy as np

STEP_SIZE = 1e-2


def data(num_data: int):
    """x and y as NumPy arrays."""
    x = np.linspace(-1, 1, num_data)
    return x, np.sin(2 * np.pi * x)


def starts(lanes: int, width: int):
    """w, b, c of all lanes as NumPy arrays (B, n)."""
    rng = np.random.default_rng(0)
    w, b, c = rng.normal(size=(3, lanes, width))
    return w, 0.5 * b, c / np.sqrt(width)


def ours(x, y, params, num_steps: int, *, watch: bool):
    """`plateaux.descend` over lanes; returns a function that gives the last losses."""
    import plateaux as px

    problem = px.Problem(x[:, None], y)
    networks = jax.vmap(lambda w, b, c: px.TwoLayer(w[:, None], b, c))(
        *map(jnp.asarray, params)
    )
    train = lambda network: px.descend(
        problem,
        network,
        px.gradient_descent(STEP_SIZE),
        num_steps=num_steps,
        watch=watch,
    )
    run = jax.jit(lambda networks: jax.vmap(train)(networks).losses[:, -1])
    return lambda: run(networks).block_until_ready()


def plain(x, y, params, num_steps: int):
    """The obvious JAX."""
    x, y, params = jnp.asarray(x), jnp.asarray(y), tuple(map(jnp.asarray, params))

    def loss(params):
        w, b, c = params
        f = c @ jax.nn.relu(w[:, None] * x[None, :] + b[:, None])
        return 0.5 * jnp.mean((f - y) ** 2)

    def step(params, _):
        gradients = jax.vmap(jax.grad(loss))(params)
        return jax.tree.map(lambda p, g: p - STEP_SIZE * g, params, gradients), None

    @jax.jit
    def run(params):
        params, _ = jax.lax.scan(step, params, None, num_steps)
        return jax.vmap(loss)(params)

    return lambda: run(params).block_until_ready()


def torch_peer(x, y, params, num_steps: int):
    """The obvious PyTorch."""
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)
    start = tuple(torch.from_numpy(p) for p in params)

    def loss(params):
        w, b, c = params
        f = c @ torch.relu(w[:, None] * x[None, :] + b[:, None])
        return 0.5 * torch.mean((f - y) ** 2)

    gradient = torch.func.vmap(torch.func.grad(loss))

    def run():
        params = start
        for _ in range(num_steps):
            params = tuple(
                p - STEP_SIZE * g for p, g in zip(params, gradient(params), strict=True)
            )
        return torch.func.vmap(loss)(params).numpy()

    return run


def contenders(args, lanes: int):
    """By name: (function to time, its number of steps)."""
    x, y = data(args.data)
    params = starts(lanes, args.width)
    steps = args.steps
    found = {
        "ours": (ours(x, y, params, steps, watch=True), steps),
        "ours, unwatched": (ours(x, y, params, steps, watch=False), steps),
        "plain": (plain(x, y, params, steps), steps),
    }
    try:
        import torch  # noqa: F401
    except ImportError:
        print("torch: not installed")
        return found
    # a Python loop costs the same at every step, so fewer steps measure it as well
    few = max(1, steps // 10)
    return {**found, "torch": (torch_peer(x, y, params, few), few)}


def check(args, lanes: int):
    """Refuse to time contenders that do not compute the same thing."""
    x, y = data(args.data)
    params = starts(lanes, args.width)
    few = min(50, args.steps)
    reference = np.asarray(plain(x, y, params, few)())
    for watch in (True, False):
        np.testing.assert_allclose(
            ours(x, y, params, few, watch=watch)(), reference, rtol=1e-9
        )
    try:
        np.testing.assert_allclose(
            torch_peer(x, y, params, few)(), reference, rtol=1e-9
        )
    except ImportError:
        pass


def measure(found, lanes: int, repeats: int) -> dict[str, list[float]]:
    """Nanoseconds per lane-step, by contender and repetition."""
    times = {name: [] for name in found}
    for run, _ in found.values():
        run()
    for _ in range(repeats):
        for name, (run, steps) in found.items():
            began = time.perf_counter()
            run()
            elapsed = time.perf_counter() - began
            times[name].append(1e9 * elapsed / (lanes * steps))
    return times


def report(times: dict[str, list[float]], pairs: int) -> dict:
    """Medians and paired ratios, printed and returned."""
    print(f"{'':<18}{'ns / lane-step':>18}{'min to max':>22}{'ns / pair':>11}")
    for name, values in times.items():
        s = common.spread(values)
        span = f"{s['min']:.0f} to {s['max']:.0f}"
        print(f"{name:<18}{s['median']:>18.0f}{span:>22}{s['median'] / pairs:>11.2f}")
    ratios = {}
    for peer in ("plain", "torch"):
        for mine in ("ours", "ours, unwatched"):
            if peer in times:
                quotients = [
                    p / m for p, m in zip(times[peer], times[mine], strict=True)
                ]
                ratios[f"{peer} / {mine}"] = common.spread(quotients)
    for name, s in ratios.items():
        print(f"{name:<26}{s['median']:>8.2f}x  ({s['min']:.2f} to {s['max']:.2f})")
    nanoseconds = {name: common.spread(values) for name, values in times.items()}
    return {"nanoseconds_per_lane_step": nanoseconds, "ratios": ratios}


def main(argv: list[str] | None = None) -> dict:
    """Measure, print, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, nargs="+", default=[256, 2048])
    parser.add_argument("--width", type=int, default=20)
    parser.add_argument("--data", type=int, default=50)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", help="JSON file, by default results/descent.json")
    args = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    check(args, args.lanes[0])
    result = {"settings": {k: v for k, v in vars(args).items() if k != "out"}}
    for lanes in args.lanes:
        print(f"\n{lanes} lanes, n={args.width}, K={args.data}, float64")
        times = measure(contenders(args, lanes), lanes, args.repeats)
        result[f"{lanes} lanes"] = report(times, args.width * args.data)
    common.write("descent", result, args.out)
    return result


if __name__ == "__main__":
    main()
