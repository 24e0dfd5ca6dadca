"""Exact flow of ReLU networks: steps, work against error, lanes, horizons.

The recipe of the tests: x = linspace(−1, 1, 20), y = sin 2πx, ten neurons, NumPy seeds
0, 1, …, flow to T = 50, float64. Peers: vmapped diffrax Tsit5 and Dopri5 (left out
where diffrax is not installed), fixed-step RK4 and Euler as `jit(vmap(scan))`, and on
request SciPy's RK45, one seed after another. All start from the same parameters; the
error is the Euclidean distance of the last parameters to those of an exact flow at rtol
1e-13, median and worst over lanes, and the cost is seconds a trajectory after
compilation.

    python benchmarks/flow.py [--lanes 256] [--repeats 3] [--scipy 4] [--queue 4096]
"""

import argparse
import functools as ft
import os
import time

os.environ.setdefault("JAX_ENABLE_X64", "1")

import common
import jax
import jax.numpy as jnp
import numpy as np

from plateaux.dynamics.flow_arguments import checked
from plateaux.dynamics.flow_many import lane_efficiency

import plateaux as px  # isort: skip

NEURONS, DATA, END = 10, 20, 50.0
x = np.linspace(-1, 1, DATA)
problem = px.Problem(x[:, None], np.sin(2 * np.pi * x))


def networks(lanes: int) -> px.TwoLayer:
    """The recipe's initialisations, seeds 0 to lanes − 1."""
    rows = []
    for seed in range(lanes):
        rng = np.random.default_rng(seed)
        w, b, c = (rng.normal(size=NEURONS) for _ in range(3))
        rows.append(px.TwoLayer(w[:, None], 0.5 * b, c / np.sqrt(NEURONS)))
    return jax.tree.map(lambda *a: jnp.stack(a), *rows)


def flat(nets) -> np.ndarray:
    """w, b, c of every lane in one row."""
    rows = [nets.w.reshape(len(nets.b), -1), nets.b, nets.c]
    return np.concatenate([np.asarray(r) for r in rows], axis=1)


def ours(nets, rtol: float, *, end=END, lanes=64, method="auto"):
    """A function that runs all lanes, and gives states and lane efficiency."""
    plan = checked(problem, end, rtol, None, px.log_spaced(2), 128, 20_000, method)
    return lambda: lane_efficiency(problem, nets, plan, lanes)


def state_parameters(states) -> np.ndarray:
    v, c, _ = states.parameters
    rows = [v[:, :, 0], v[:, :, 1], c]
    return np.concatenate([np.asarray(r) for r in rows], axis=1)


def velocity(params):
    """Minus the gradient, by the closed form."""
    w, b, c = params
    z = w[:, None] * x[None, :] + b[:, None]
    h = jnp.where(z > 0, z, 0)
    e = (c @ h - problem.y) / DATA
    masked = jnp.where(z > 0, e[None, :], 0)
    return -c * (masked @ x), -c * jnp.sum(masked, axis=1), -(h @ e)


def fixed_step(nets, h: float, stages: int):
    """Euler (one stage) or the classical Runge–Kutta method (four) as a scan."""
    add = lambda p, k, a: jax.tree.map(lambda u, v: u + a * v, p, k)

    def step(p, _):
        k1 = velocity(p)
        if stages == 1:
            return add(p, k1, h), None
        k2 = velocity(add(p, k1, h / 2))
        k3 = velocity(add(p, k2, h / 2))
        k4 = velocity(add(p, k3, h))
        total = jax.tree.map(
            lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4
        )
        return add(p, total, h), None

    run = lambda p: jax.lax.scan(step, p, length=round(END / h))[0]
    program = jax.jit(jax.vmap(run))
    start = (nets.w[:, :, 0], nets.b, nets.c)
    return lambda: np.concatenate([np.asarray(a) for a in program(start)], axis=1)


def adaptive(nets, name: str, tol: float, max_steps: int):
    """Vmapped diffrax."""
    import diffrax

    solve = lambda p: (
        diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, _: velocity(y)),
            getattr(diffrax, name)(),
            0.0,
            END,
            None,
            p,
            stepsize_controller=diffrax.PIDController(rtol=tol, atol=tol),
            max_steps=max_steps,
            throw=False,
        ).ys
    )
    program = jax.jit(jax.vmap(solve))
    start = (nets.w[:, :, 0], nets.b, nets.c)
    return lambda: np.concatenate([np.asarray(a)[:, 0] for a in program(start)], axis=1)


def scipy_rk45(nets, tol: float, lanes: int):
    """SciPy's RK45, one lane after another."""
    from scipy.integrate import solve_ivp

    def field(_, p):
        w, b, c = p.reshape(3, -1)
        z = np.outer(w, x) + b[:, None]
        h = np.where(z > 0, z, 0)
        e = (c @ h - np.asarray(problem.y)) / DATA
        m = np.where(z > 0, e, 0)
        return -np.concatenate([c * (m @ x), c * m.sum(1), h @ e])

    start = flat(nets)[:lanes]
    solve = lambda p: solve_ivp(field, (0, END), p, rtol=tol, atol=tol).y[:, -1]
    return lambda: np.stack([solve(p) for p in start])


def measure(run, exact, repeats: int) -> dict:
    """Error and seconds a trajectory of one contender."""
    value = run()  # compiles
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        value = run()
        seconds.append((time.perf_counter() - start) / len(value))
    error = np.linalg.norm(value - exact[: len(value)], axis=1)
    error = np.where(np.isfinite(error), error, np.inf)
    return {
        "median_error": float(np.median(error)),
        "worst_error": float(np.max(error)),
        "seconds": common.spread(seconds),
    }


def contenders(nets, scipy_lanes: int) -> dict:
    table = {}
    for rtol in (1e-3, 1e-4, 1e-6, 1e-8, 1e-10):
        run = ours(nets, rtol)
        table[f"ours rtol {rtol:.0e}"] = lambda run=run: state_parameters(run()[0])
    for h in (0.1, 0.01, 0.002):
        table[f"RK4 h={h}"] = fixed_step(nets, h, 4)
    for h in (0.1, 0.01, 0.001):
        table[f"Euler h={h}"] = fixed_step(nets, h, 1)
    try:
        import diffrax  # noqa: F401
    except ImportError:
        print("diffrax is not installed: left out")
    else:
        for name in ("Tsit5", "Dopri5"):
            for tol in (1e-3, 1e-4, 1e-5):
                table[f"{name} tol {tol:.0e}"] = adaptive(nets, name, tol, 20_000)
    for tol in (1e-4, 1e-6) if scipy_lanes else ():
        table[f"SciPy RK45 tol {tol:.0e}"] = scipy_rk45(nets, tol, scipy_lanes)
    return table


def ratios(results: dict) -> dict:
    """Trajectories a second of ours over the best peer's, at no larger median error.

    Where no peer reaches an error, its cost is continued from its two finest runs by a
    power law in the error: the benchmark says so.
    """
    mine = {k: v for k, v in results.items() if k.startswith("ours")}
    peers = {k: v for k, v in results.items() if not k.startswith("ours")}
    out = {}
    for error in (1e-3, 1e-4, 1e-6):
        best = min(
            (
                v["seconds"]["median"]
                for v in mine.values()
                if v["median_error"] <= error
            ),
            default=None,
        )
        reached = [
            (v["seconds"]["median"], k)
            for k, v in peers.items()
            if v["median_error"] <= error
        ]
        continued = [] if reached else _continued(peers, error)
        if best and (reached or continued):
            seconds, name = min(reached or continued)
            out[f"{error:.0e}"] = {
                "ratio": seconds / best,
                "peer": name,
                "extrapolated": not reached,
            }
    return out


def _continued(peers: dict, error: float) -> list:
    families: dict[str, list] = {}
    for name, v in peers.items():
        families.setdefault(name.split()[0], []).append(v)
    found = []
    for name, rows in families.items():
        rows = sorted(rows, key=lambda v: -v["median_error"])[-2:]
        (e1, s1), (e2, s2) = ((v["median_error"], v["seconds"]["median"]) for v in rows)
        if e2 < e1 and np.isfinite(e1):
            slope = max(np.log(s2 / s1) / np.log(e1 / e2), 0)
            found.append((s2 * (e2 / error) ** slope, name))
    return found


def horizons(repeats: int) -> dict:
    """Cost of T = 1e6 over that of T = 1e3, seeds 0 to 7."""
    nets = networks(8)
    out = {}
    for end in (1e3, 1e6):
        run = ours(nets, 1e-8, end=end, lanes=8)
        run()
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - start)
        out[end] = common.spread(seconds)
    return {"seconds": out, "ratio": out[1e6]["median"] / out[1e3]["median"]}


def compile_time() -> float:
    """Seconds of the first call of `px.flow` less those of the second."""
    one = jax.tree.map(lambda a: a[0], networks(1))
    call = ft.partial(px.flow, problem, one, t1=END, rtol=1e-7)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(call().losses)
        times.append(time.perf_counter() - start)
    return times[0] - times[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lanes", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scipy", type=int, default=0)
    parser.add_argument("--queue", type=int, default=4096)
    parser.add_argument("--out")
    args = parser.parse_args()
    result: dict = {"compile_seconds": compile_time()}
    print(f"compile: {result['compile_seconds']:.1f} s", flush=True)
    nets = networks(args.lanes)
    exact_states, _ = ours(nets, 1e-13)()
    exact = state_parameters(exact_states)
    # (a) accepted steps where the true error is at most 1e-8
    states, _ = ours(networks(64), 1e-10)()
    error = np.linalg.norm(state_parameters(states) - exact[:64], axis=1)
    steps = np.asarray(states.monitor.steps)
    result["steps"] = {
        "rtol": 1e-10,
        "median_steps": float(np.median(steps)),
        "most_steps": int(steps.max()),
        "median_error": float(np.median(error)),
        "worst_error": float(error.max()),
    }
    print("steps:", result["steps"], flush=True)
    # (b) work against error
    result["work"] = {}
    for name, run in contenders(nets, args.scipy).items():
        row = result["work"][name] = measure(run, exact, args.repeats)
        print(
            f"{name:22s} error {row['median_error']:.1e} worst {row['worst_error']:.1e}"
            f"  {1e3 * row['seconds']['median']:9.3f} ms a trajectory "
            f"({1e3 * row['seconds']['min']:.3f} to {1e3 * row['seconds']['max']:.3f})",
            flush=True,
        )
    result["ratios"] = ratios(result["work"])
    print("ratios:", result["ratios"], flush=True)
    # (c) lanes
    if args.queue:
        _, efficiency = ours(networks(args.queue), 1e-8)()
        result["lane_efficiency"] = efficiency
        print(f"lane efficiency on {args.queue} lanes: {efficiency:.3f}", flush=True)
    # (d) horizons
    result["horizons"] = horizons(args.repeats)
    print(f"T=1e6 over T=1e3: {result['horizons']['ratio']:.2f}", flush=True)
    common.write("flow", result, args.out)


if __name__ == "__main__":
    main()
