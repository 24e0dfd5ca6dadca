"""Seconds of one stiff gradient flow, side by side with CVODE at equal true error.

The problem is that of MLPGradientFlow.jl's paper in kind: a 2-4-1 softplus network
(with biases, 16 parameters) learns a 2-5-1 teacher from N = 10⁴ normal inputs, summed
squared loss, flow to T = 30, float64. The largest eigenvalue of the Hessian is about
1e5, so an explicit method needs 10⁶ steps.

Contenders, all with the closed-form gradient and Hessian of this package:

* ours: `smooth_flow`, method "stiff", alone and as a batch of lanes;
* CVODE: BDF of SUNDIALS through scikit-sundae, one start after another; left out where
  that is not installed.

Both run a ladder of tolerances; true errors are relative, in the parameters at T,
against our own flow at 1e-10. The time at a given true error is interpolated on the
ladder (log against log), medians over repetitions that alternate between contenders.
`--clock cpu` counts processor time instead, for a machine with other work.

    python benchmarks/smooth_flow.py [--data 10000] [--lanes 32] [--repeats 3]
"""

import argparse
import time

import common
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

HORIZON = 30.0
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
REFERENCE = 1e-10
MAX_STEPS = 100_000
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def problem(num_data: int):
    import plateaux as px

    x = jax.random.normal(jax.random.key(0), (num_data, 2))
    teacher = px.networks.he(
        jax.random.key(5), width=5, in_dim=2, bias="normal", activation="softplus"
    )
    return px.Problem(x, px.networks.outputs(teacher, x), normalisation="sum")


def starts(lanes: int):
    import plateaux as px

    draw = lambda index: px.networks.he(
        jax.random.fold_in(jax.random.key(1), index),
        width=4,
        in_dim=2,
        bias="normal",
        activation="softplus",
    )
    return jax.vmap(draw)(jnp.arange(lanes))


def ours(data, networks, tol):
    """A function that gives the last parameters of all lanes, and the steps taken."""
    from plateaux.dynamics.smooth_flow import smooth_flow

    def one(network, tol):
        flow = smooth_flow(
            data,
            network,
            times=jnp.array([0.0, HORIZON]),
            rtol=tol,
            atol=0.0,
            max_steps=MAX_STEPS,
            method="stiff",
        )
        return ravel_pytree(flow.network)[0], flow.num_steps, flow.completed

    # One program for a whole batch; a program of its own for a lane alone.
    batched = len(jax.tree.leaves(networks)[0]) > 1
    run = _compiled(batched, one)

    def result():
        last, steps, completed = jax.block_until_ready(run(networks, tol))
        assert bool(jnp.all(completed))
        return np.asarray(last), np.asarray(steps)

    return result


_PROGRAMS = {}


def _compiled(batched, one):
    if batched not in _PROGRAMS:
        squeezed = lambda networks, tol: jax.tree.map(
            lambda leaf: leaf[None],
            one(jax.tree.map(lambda leaf: leaf[0], networks), tol),
        )
        many = jax.vmap(one, in_axes=(0, None))
        _PROGRAMS[batched] = jax.jit(many if batched else squeezed)
    return _PROGRAMS[batched]


def cvode(data, networks, tol):
    """The same for CVODE, one lane after another."""
    from sksundae.cvode import CVODE

    from plateaux.dynamics import evaluate, hessian

    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], networks))
    del flat
    if "cvode" not in _PROGRAMS:
        gradient = lambda v: ravel_pytree(evaluate(data, unravel(v)).gradient)[0]
        _PROGRAMS["cvode"] = (
            jax.jit(lambda v: -gradient(v)),
            jax.jit(lambda v: -hessian(data, unravel(v))),
        )
    field, matrix = _PROGRAMS["cvode"]

    def rhs(t, y, yp):
        yp[:] = np.asarray(field(y))

    def jacobian(t, y, yp, jac):
        jac[:, :] = np.asarray(matrix(y))

    solver = CVODE(
        rhs, jacfn=jacobian, rtol=tol, atol=tol * 1e-3, max_num_steps=MAX_STEPS
    )
    rows = np.asarray(jax.vmap(lambda net: ravel_pytree(net)[0])(networks))

    def result():
        runs = [solver.solve(np.array([0.0, HORIZON]), row) for row in rows]
        assert all(run.success for run in runs)
        return np.stack([run.y[-1] for run in runs]), np.array(
            [run.nfev for run in runs]
        )

    return result


def contenders():
    """By name, those that are installed."""
    found = {"ours": ours}
    try:
        import sksundae  # noqa: F401
    except ImportError:
        print("CVODE: scikit-sundae is not installed")
        return found
    return {**found, "CVODE": cvode}


def ladder(data, networks, repeats: int, names, clock):
    """By contender and tolerance: true error, steps or evaluations, seconds a lane."""
    lanes = len(jax.tree.leaves(networks)[0])
    reference, _ = ours(data, networks, REFERENCE)()
    size = np.linalg.norm(reference, axis=1)
    rows = {name: [] for name in names}
    for tol in TOLERANCES:
        runs = {name: make(data, networks, tol) for name, make in names.items()}
        seconds = {name: [] for name in names}
        for name, run in runs.items():  # compiles
            last, counts = run()
            error = np.linalg.norm(last - reference, axis=1) / size
            rows[name].append(
                {
                    "tolerance": tol,
                    "error": float(np.median(error)),
                    "worst error": float(np.max(error)),
                    "count": float(np.mean(counts)),
                }
            )
        for _ in range(repeats):
            for name, run in runs.items():
                start = clock()
                run()
                seconds[name].append((clock() - start) / lanes)
        for name, values in seconds.items():
            rows[name][-1]["seconds"] = common.spread(values)
    return rows


def at_error(rows, error: float, pick=lambda s: s["median"]) -> float:
    """Seconds a lane at a true error, on the line through the ladder's points."""
    errors = np.log([row["error"] for row in rows])
    seconds = np.log([pick(row["seconds"]) for row in rows])
    order = np.argsort(errors)
    return float(np.exp(np.interp(np.log(error), errors[order], seconds[order])))


def compare(rows, error: float):
    """Seconds at equal true error and the ratio, with its spread."""
    result = {name: at_error(table, error) for name, table in rows.items()}
    if "CVODE" in rows:
        result["CVODE / ours"] = common.spread(
            [
                at_error(rows["CVODE"], error, lambda s, i=i: s["all"][i])
                / at_error(rows["ours"], error, lambda s, i=i: s["all"][i])
                for i in range(len(rows["ours"][0]["seconds"]["all"]))
            ]
        )
    return result


def show(title, rows, result):
    print(f"\n{title}")
    for name, table in rows.items():
        for row in table:
            print(
                f"  {name:6} tol {row['tolerance']:.0e}  error {row['error']:.1e} "
                f"(worst {row['worst error']:.1e})  count {row['count']:6.0f}  "
                f"{row['seconds']['median']:.3f} s a lane"
            )
    for error, values in result.items():
        seconds = "  ".join(
            f"{name} {value:.3f} s" for name, value in values.items() if name in rows
        )
        ratio = values.get("CVODE / ours")
        spread = (
            f"  CVODE / ours {ratio['median']:.2f} "
            f"({ratio['min']:.2f} to {ratio['max']:.2f})"
            if ratio
            else ""
        )
        print(f"  at true error {error}: {seconds}{spread}")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=int, default=10_000)
    parser.add_argument("--lanes", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--out")
    args = parser.parse_args(arguments)
    jax.config.update("jax_enable_x64", True)
    data, names = problem(args.data), contenders()
    result = {"data": args.data, "horizon": HORIZON, "clock": args.clock}
    for lanes in sorted({1, args.lanes}):
        rows = ladder(data, starts(lanes), args.repeats, names, CLOCKS[args.clock])
        # Nothing is read off beyond the end of a ladder.
        reached = max(min(row["error"] for row in table) for table in rows.values())
        equal = {
            f"{error:.0e}": compare(rows, error)
            for error in (1e-4, 1e-5, 1e-6)
            if error >= reached
        }
        show(f"{lanes} lanes", rows, equal)
        result[f"{lanes} lanes"] = {"ladder": rows, "at equal true error": equal}
    common.write("smooth_flow", result, args.out)


if __name__ == "__main__":
    main()
