"""ReLU and linear networks over depth and width, through the sweep engine."""

import math
from typing import Any

import jax.numpy as jnp

import plateaux as px

from .rows import QUARTILES, distance, median, say

laws = px.statistics
IN_DIM = 4
ONE = {"num_data": 1, "in_dim": IN_DIM}  # one normal input
# name -> activation, initialiser that keeps the mean square, law of log(‖h_L‖²/‖x‖²)
STACKS = {
    "ReLU": ("relu", "he", laws.relu_law),
    "linear": ("identity", "lecun", laws.linear_law),
}
INITIALISERS = ("he", "he_uniform", "xavier", "lecun", "orthogonal", "pytorch")


def specification(
    activation: str, initialisers, widths, depths, lanes: int
) -> px.sweeps.SweepSpec:
    """Networks as they are drawn, at one datum with y = 1."""
    return px.sweeps.SweepSpec.from_dict(
        {
            "name": "vanishing depth",
            "problem": {"name": "single_index", "coefficients": [[1.0]]} | ONE,
            "network": {
                "kind": "mlp",
                "activation": activation,
                "width": list(widths),
                "depth": list(depths),
            },
            "initialiser": {"name": list(initialisers)},
            "method": {"name": "initialisation"},
            "sweep": {"lanes": lanes, "chunk": min(lanes, 100)},
        }
    )


def measure(spec: px.sweeps.SweepSpec, law=None) -> dict:
    """(initialiser, width, depth) -> what is claimed, and quantiles for the figure."""
    data, found = px.sweep(spec), {}
    for point in px.sweeps.grid(spec):
        network, start = point.settings["network"], point.settings["initialiser"]
        width, depth = network["width"], network["depth"]
        summary = px.sweeps.initial_summary(data, spec, point.index)
        here = data.isel(point=point.index)
        row, fan = stack_row(summary, here, width, depth, law)
        found[start["name"], width, depth] = row, fan
    return found


def stack_row(summary, here, width: int, depth: int, law) -> tuple[dict, Any]:
    """What is claimed of one width and depth, next to the law of ½ log Π.

    By symmetry of signs the masks of a ReLU network may be taken as independent of all
    weights, so ‖∂f/∂W_1‖²/‖x‖² is a product of L factors with the law of ‖h_L‖²'s,
    too. The gradient of the biases makes ‖x‖² 1 + ‖x‖².
    """
    alive = ~here["dead"].values
    made: dict = {"dead": list(map(float, summary.dead))}
    if not alive.any():
        return made, None
    # ‖h_L‖ over the root of its mean square, which the first layer makes √(d/in_dim).
    size = math.log(width / IN_DIM) / 2
    forward = here["log_forward"].values[alive, depth - 1] - size
    square = float(jnp.sum(px.problems.single_index(**ONE).x ** 2))
    first = here["log_gradient"].values[alive, 0] - math.log1p(square) / 2
    first = first - here["log_backward"].values[alive, depth]  # without the residual
    made |= {"log |h|": median(forward), "log |df/dW_1|": median(first)}
    band = laws.quantile_band(forward, QUARTILES)
    if law is None:
        return made, (band, None)
    exact = law(width, depth)
    made["median, law"] = exact.median / 2
    made["log |h|, distance"] = distance(2 * forward, exact)
    made["log |df/dW_1|, distance"] = distance(2 * first, exact)
    return made, (band, exact.quantile(QUARTILES) / 2)


def measure_all(lanes: int, stacks, depths, widths, initialisers) -> tuple[dict, dict]:
    """Laws over widths and depths, widths in step with depth, and initialisers."""
    rows, seen = {}, {}
    for name in stacks:
        activation, start, law = STACKS[name]
        found = measure(specification(activation, [start], widths, depths, lanes), law)
        for depth in depths if name == "ReLU" else ():
            for width in (max(depth // 2, 2), depth):
                if (start, width, depth) not in found:
                    spec = specification(activation, [start], [width], [depth], lanes)
                    found |= measure(spec, law)
        for (_, width, depth), (row, fan) in sorted(found.items()):
            if activation == "relu":
                row["dead, law"] = 1 - laws.alive_probability(width, depth)
            rows[f"{name}, d = {width}, L = {depth}"] = row
            seen[name, width, depth] = row, fan
            say(f"{name}, d = {width}, L = {depth}", row)
    others = [name for name in initialisers if name != "he"]
    if not others:
        return rows, seen
    found = measure(specification("relu", others, [16], depths[::2], lanes))
    for (start, _, depth), (row, fan) in found.items():
        rows[f"ReLU, {start}, d = 16, L = {depth}"] = row
        seen[start, 16, depth] = row, fan
        say(f"ReLU, {start}, d = 16, L = {depth}", row)
    return rows, seen
