"""Recipes of the reference flows, and how the files under `data/` were made.

`python -m tests.flow_data seeds` and `python -m tests.flow_data nd` compute the files
`flow_seeds.json` (about ten minutes) and `flow_nd.json` (half a minute) anew.
"""

import json
import sys
from pathlib import Path

import numpy as np

from tests.scipy_flow import reference_flow

DATA = Path(__file__).parent / "data"
MADE = (
    "event-driven DOP853, rtol 1e-12, atol 1e-14, tests/scipy_flow.py; remade by "
    "`python -m tests.flow_data`"
)


def recipe_1d(seed, width=10, num_data=20):
    """x, y, v, c of the one-dimensional recipe."""
    rng = np.random.default_rng(seed)
    w, b, c = (
        rng.normal(size=width),
        0.5 * rng.normal(size=width),
        rng.normal(size=width),
    )
    x = np.linspace(-1, 1, num_data)
    v = np.column_stack([w, b])
    return x[:, None], np.sin(2 * np.pi * x), v, c / np.sqrt(width)


def recipe_nd(seed, dim, width=8, num_data=30):
    """x, y, v, c of the recipe with more than one input dimension."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(num_data, dim))
    y = np.sin(x[:, 0]) + 0.5 * np.cos(2 * x[:, dim - 1])
    w = rng.normal(size=(width, dim)) / np.sqrt(dim)
    b, c = 0.5 * rng.normal(size=width), rng.normal(size=width) / np.sqrt(width)
    return x, y, np.column_stack([w, b]), c


WEIGHTS = np.linspace(1.0, 2.0, 20) / 30.0  # q_k, sum 1
CASES = {
    "d3": (lambda: recipe_nd(0, 3), 30.0, {}),
    "d5": (lambda: recipe_nd(0, 5), 30.0, {}),
    "d10": (lambda: recipe_nd(0, 10), 30.0, {}),
    "leaky": (lambda: recipe_1d(1), 20.0, {"slope": 0.1}),
    "affine": (lambda: recipe_1d(2), 20.0, {"p": [0.1, -0.2], "weights": WEIGHTS}),
    "together": (
        lambda: recipe_nd(3, 2, width=10, num_data=20),
        20.0,
        {"slope": 0.1, "p": [0.1, -0.2, 0.3], "weights": WEIGHTS},
    ),
    "hidden_only": (lambda: recipe_1d(0), 20.0, {"train_output": False}),
}


def solve(case):
    recipe, t1, options = CASES[case]
    return reference_flow(*recipe(), t1, **options)


def rounded(array, digits=13):
    return [float(f"{value:.{digits}g}") for value in np.ravel(array)]


def record(flow):
    """What is kept of one flow; v is stored row by row, (w, b) of every neuron."""
    return {
        "loss": float(f"{flow['loss']:.14g}"),
        "sliding_time": float(f"{flow['sliding_time']:.11g}"),
        "max_sliding_on_one_neuron": flow["max_sliding_on_one_neuron"],
        "v": rounded(flow["v"]),
        "c": rounded(flow["c"]),
        "p": None if flow["p"] is None else rounded(flow["p"]),
        "times": rounded(flow["times"], 12),
        "neuron": flow["neuron"].tolist(),
        "datum": flow["datum"].tolist(),
        "kind": flow["kind"],
    }


def problem_of(case):
    (x, y, v, c), t1, options = CASES[case][0](), *CASES[case][1:]
    weights = options.get("weights")
    return {
        "t1": t1,
        "x": x.tolist(),
        "y": y.tolist(),
        "v0": v.tolist(),
        "c0": c.tolist(),
        "p0": options.get("p"),
        "weights": None if weights is None else weights.tolist(),
        "slope": options.get("slope", 0.0),
        "train_output": options.get("train_output", True),
    }


def make_nd():
    cases = {name: problem_of(name) | record(solve(name)) for name in CASES}
    about = "L = sum_k q_k r_k^2/2, q_k = weights or 1/K; v in rows (w, b). " + MADE
    return {"description": about, "cases": cases}


def make_seeds(flows, keep_parameters=32):
    """The table over seeds of the 1-d recipe (n=10, K=20, T=50) from its flows."""
    rows = {}
    for seed, flow in flows.items():
        row = record(flow)
        kinds = row.pop("kind")
        row["num_events"] = len(kinds)
        row |= {f"num_{k}": kinds.count(k) for k in ("on", "off", "slide", "collapse")}
        dropped = ["times", "neuron", "datum", "p"]
        dropped += [] if seed < keep_parameters else ["v", "c"]
        rows[str(seed)] = {k: row[k] for k in row if k not in dropped}
    about = "1-d recipe (seed; n=10, K=20), L = sum r^2/(2K), flow to T=50. " + MADE
    return {"description": about, "seeds": rows}


def write(name, content):
    text = json.dumps(content, separators=(",", ":"))
    (DATA / f"flow_{name}.json").write_text(text.replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "nd":
        write("flow_nd.json", make_nd())
    elif sys.argv[1] == "seeds":
        seeds = {s: reference_flow(*recipe_1d(s), 50.0) for s in range(256)}
        write("flow_seeds.json", make_seeds(seeds))
