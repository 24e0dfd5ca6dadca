"""Draws cells.png: floors and exits of a staircase, local lines, last losses.

python docs/tutorials/cells_figure.py
"""

from pathlib import Path

import jax
import jax.numpy as jnp

import plateaux as px

OUT = Path(__file__).with_name("cells.png")
KEEP = {"network": lambda problem, network: network}


def staircase():
    """One neuron and an affine part on a parabola, with the networks at all events."""
    x = jnp.arange(1.0, 21.0)[:, None] / 20
    problem = px.Problem(x, x[:, 0] ** 2, normalisation="sum")
    network = px.TwoLayer([[1.0]], [-4.5 / 20], [1.2], [0.0, 0.0])
    run = px.flow(problem, network, t1=300.0)
    save = px.stages.at_events(run)
    return problem, px.flow(problem, network, t1=300.0, save=save, record=KEEP)


def fits():
    """A sine, and a network of four neurons, two of them in one gap."""
    x = jnp.linspace(0, 1, 41)[:, None]
    problem = px.Problem(x, jnp.sin(2 * jnp.pi * x[:, 0]))
    kinks = jnp.array([0.21, 0.44, 0.786, 0.79])
    outer = jnp.array([-2.2, -0.5, 1.1, 1.8])
    return problem, px.TwoLayer(3 * jnp.ones((4, 1)), -3 * kinks, outer, [4.5, 0.0])


def finals(problem, lanes: int = 64):
    """Last losses from random starts of two sizes."""
    draw = lambda key: px.networks.uniform_kinks(
        key, width=3, in_dim=1, affine=True, lo=0.0, hi=1.0
    )
    train = lambda net: px.descend(
        problem,
        net,
        px.gradient_descent(0.1),
        num_steps=5_000,
        save=px.every(5_000),
        watch=False,
    ).losses[-1]
    found = {}
    for name, scale in (("as drawn", 1.0), ("a third of it", 1 / 3)):
        starts = jax.vmap(draw)(jax.random.split(jax.random.key(0), lanes))
        starts = jax.tree.map(lambda a, s=scale: s * a, starts)
        found[name] = jax.jit(jax.vmap(train))(starts)
    return found


def main(out: Path = OUT):
    """Run, explain, draw, save."""
    import matplotlib.pyplot as plt

    jax.config.update("jax_enable_x64", True)
    fig, (left, middle, right) = plt.subplots(
        1, 3, figsize=(15, 4.2), layout="constrained"
    )
    problem, run = staircase()
    table = px.explain(problem, run)
    bound = px.patterns.certify(problem, run.network).lower
    px.plot.floors(run.times, run.losses, table, bound=bound, ax=left)
    problem, network = fits()
    lines = px.patterns.local_lines(problem, network)
    outputs = px.outputs(network, problem.x)
    px.plot.local_lines(problem.x, problem.y, lines, outputs=outputs, ax=middle)
    bounds = px.patterns.loss_bounds(problem, 3, affine=True)
    px.plot.distribution(finals(problem), bounds.lower, ax=right)
    fig.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
