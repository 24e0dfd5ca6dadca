"""Hessian-vector products beside automatic differentiation, and λ_max along a run.

* product: microseconds of the product of the Hessian with a vector, a two-layer
  network with P = 401 parameters and 1000 data, float64: ours, once and as one of many
  at the same network; the obvious JAX, `jit(jvp(grad))` and `linearize(grad)`; and
  curvlinops (torch) where installed. Values are compared before any time is taken.
* tracking: seconds of λ_max, λ_min and ρ at 200 saved times of 10 000 steps of gradient
  descent, over the seconds of the training itself.

    python benchmarks/curvature.py [--only product tracking] [--repeats 5]
"""

import time

import common
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

MANY = 200  # products timed together


def setting(activation):
    import plateaux as px

    x = np.random.default_rng(0).uniform(-1, 1, 1000)
    network = px.networks.he(
        jax.random.key(0),
        width=133,
        in_dim=1,
        bias="normal",
        affine=True,
        activation=activation,
    )
    return px.Problem(x[:, None], np.sin(6 * x)), network


def in_turn(runs: dict, repeats: int, scale: float) -> dict:
    """Times of every run in turn, after one that compiles."""
    times = {name: [] for name in runs}
    for repeat in range(repeats + 1):
        for name, run in runs.items():
            began = time.perf_counter()
            jax.block_until_ready(run())
            if repeat:
                times[name].append(scale * (time.perf_counter() - began))
    return times


def ratios(times: dict, ours: str) -> dict:
    """Of every contender to ours, within each repetition."""
    return {
        f"{name} / {ours}": common.spread(
            [a / b for a, b in zip(times[name], times[ours], strict=True)]
        )
        for name in times
        if name != ours
    }


def product(args) -> dict:
    """One product, by every contender."""
    import plateaux as px

    problem, network = setting(args.activation)
    flat, build = ravel_pytree(network)
    vector = jax.random.normal(jax.random.key(1), flat.shape)
    gradient = jax.grad(lambda at: px.loss(problem, build(at)))
    ravel = lambda net: ravel_pytree(net)[0]
    once = px.dynamics.hessian_vector_product
    programs = {
        "ours": jax.jit(lambda at, v: ravel(once(problem, build(at), build(v)))),
        "jax": jax.jit(lambda at, v: jax.jvp(gradient, (at,), (v,))[1]),
    }

    @jax.jit
    def in_a_row(at, v):
        operator = px.dynamics.hessian_operator(problem, build(at))
        step = lambda v, _: (ravel(operator(build(v))) / 10, None)
        return jax.lax.scan(step, v, None, MANY)[0]

    @jax.jit
    def linearised(at, v):
        _, along = jax.linearize(gradient, at)
        return jax.lax.scan(lambda v, _: (along(v) / 10, None), v, None, MANY)[0]

    expected = programs["jax"](flat, vector)
    np.testing.assert_allclose(programs["ours"](flat, vector), expected, atol=1e-10)
    repeated = lambda program: lambda: [program(flat, vector) for _ in range(MANY)]
    runs = {name: repeated(program) for name, program in programs.items()}
    runs["ours, of many"] = lambda: in_a_row(flat, vector)
    runs["jax, of many"] = lambda: linearised(flat, vector)
    try:
        by_torch = _curvlinops(problem, network, args.activation, np.array(vector))
        np.testing.assert_allclose(by_torch(), expected, atol=1e-8)
        runs["curvlinops"] = lambda: [by_torch() for _ in range(MANY)]
    except ImportError as error:
        print(f"curvlinops: not installed ({error})")
    times = in_turn(runs, args.repeats, 1e6 / MANY)
    return {
        "activation": args.activation,
        "parameters": flat.size,
        "microseconds": {name: common.spread(row) for name, row in times.items()},
        "ratios": ratios(times, "ours"),
    }


def _curvlinops(problem, network, activation, vector):
    """The product by curvlinops, parameters in our order."""
    import torch
    from curvlinops import HessianLinearOperator

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name in ("w", "b", "c", "p"):
                value = torch.from_numpy(np.array(getattr(network, name)))
                setattr(self, name, torch.nn.Parameter(value))

        def forward(self, x):
            act = getattr(torch.nn.functional, activation)
            f = act(x @ self.w.T + self.b) @ self.c
            return (f + x @ self.p[:-1] + self.p[-1])[:, None]

    class Half(torch.nn.MSELoss):
        def forward(self, f, y):
            return 0.5 * super().forward(f, y)

    model = Model()
    x, y = (torch.from_numpy(np.array(a)) for a in (problem.x, problem.y))
    operator = HessianLinearOperator(
        model,
        Half(),
        [p for p in model.parameters() if p.requires_grad],
        [(x, y[:, None])],
        check_deterministic=False,
    )
    v = torch.from_numpy(vector)
    return lambda: (operator @ v).detach().numpy()


def tracking(args) -> dict:
    """Curvature at the saved times over the training."""
    import plateaux as px

    problem, network = setting(args.activation)
    train = lambda: px.descend(
        problem,
        network,
        px.gradient_descent(args.step_size),
        num_steps=args.steps,
        save=px.log_spaced(args.times),
        record={"network": lambda _, net: net},
    )
    networks = train().saved["network"]
    track = lambda: px.diagnostics.curvature.curvature_along(problem, networks)
    found = track()
    dense = jax.lax.map(lambda n: px.dynamics.hessian(problem, n), networks)
    values = np.linalg.eigvalsh(dense)
    times = in_turn({"training": train, "tracking": track}, args.repeats, 1.0)
    radius = np.max(np.abs(values), axis=1)
    return {
        "activation": args.activation,
        "steps": args.steps,
        "times": args.times,
        "seconds": {name: common.spread(row) for name, row in times.items()},
        "ratios": ratios(times, "training"),
        "products a time": float(jnp.mean(found.num_products)),
        "all converged": bool(jnp.all(found.converged)),
        "error of largest in units of rho": float(
            np.max(np.abs(found.largest - values[:, -1]) / radius)
        ),
        "error of smallest in units of rho": float(
            np.max(np.abs(found.smallest - values[:, 0]) / radius)
        ),
    }


PARTS = {"product": product, "tracking": tracking}
OPTIONS = {
    "repeats": 5,
    "activation": "tanh",
    "steps": 10_000,
    "step_size": 0.01,
    "times": 200,
}


def main(arguments=None):
    common.run_parts("curvature", __doc__, PARTS, OPTIONS, arguments)


if __name__ == "__main__":
    main()
