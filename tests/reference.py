"""The reference problems of gradient flow, with independently computed trajectories.

x = linspace(-1, 1, K), y = sin(2πx), L = (1/2K) Σ r²; parameters from NumPy's
`default_rng(seed)`: w = normal(n), b = 0.5 normal(n), c = normal(n)/√n. The files under
`data/` hold their exact gradient flow, from an event-driven DOP853 integration.
"""

import json
from pathlib import Path

import numpy as np

import plateaux as px


def problem_1d(num_data=20):
    x = np.linspace(-1, 1, num_data)
    return px.Problem(x[:, None], np.sin(2 * np.pi * x))


def network_1d(seed, width=10):
    rng = np.random.default_rng(seed)
    w, b, c = (
        rng.normal(size=width),
        0.5 * rng.normal(size=width),
        rng.normal(size=width),
    )
    return px.TwoLayer(w[:, None], b, c / np.sqrt(width))


def load(name):
    path = Path(__file__).parent / "data" / f"{name}.json"
    return json.loads(path.read_text())


def final_network(reference):
    v = np.array(reference["final"]["v"])
    return px.TwoLayer(v[:, :-1], v[:, -1], np.array(reference["final"]["c"]))


def distance(a, b):
    leaves = zip((a.w, a.b, a.c), (b.w, b.b, b.c), strict=True)
    return float(np.sqrt(sum(np.sum(np.subtract(p, q) ** 2) for p, q in leaves)))
