"""One run as numbers for a page: its networks at a few times, rounded."""

import base64
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import Trajectory
from ..networks import TwoLayer
from ..networks.network import outputs
from ..patterns import breakpoints, pattern

MOST_FRAMES, MOST_TIMES, MOST_NEURONS, MOST_DATA = 120, 400, 64, 128
NUM_POINTS = 121  # where the function is drawn
MARGIN = 0.15  # of the range of the data, on either side


class Shown(NamedTuple):
    """What of a run is shown, as arrays; F frames, S neurons and D data are shown.

    Attributes:
        times: Saved times of the loss curve, shape (t,).
        losses: Losses, shape (t,).
        frames: Places of the frames among these times, shape (F,).
        neurons: Numbers of the neurons shown, of `width`, shape (S,).
        data: Numbers of the data shown, in order of a single input or else of a
            single target, shape (D,).
        targets: Targets of the data shown, shape (D, …).
        predictions: Outputs at the data shown, shape (F, D, …).
        pattern: Activation pattern, shape (F, S, D).
        width: Neurons of the network, through all hidden layers.
        num_data: Data of the problem.
        x: Inputs of the data shown, shape (D,), or None if not univariate.
        points: Where the function was evaluated, shape (X,), or None.
        values: The function there, shape (F, X), or None.
        kinks: Positions of the kinks, shape (F, S), or None if there are none.
        heights: The function at the kinks, shape (F, S), or None.
    """

    times: np.ndarray
    losses: np.ndarray
    frames: np.ndarray
    neurons: np.ndarray
    data: np.ndarray
    targets: np.ndarray
    predictions: np.ndarray
    pattern: np.ndarray
    width: int
    num_data: int
    x: np.ndarray | None = None
    points: np.ndarray | None = None
    values: np.ndarray | None = None
    kinks: np.ndarray | None = None
    heights: np.ndarray | None = None


def shown(problem: Any, run: Trajectory) -> Shown:
    """Evaluate a run's networks at up to 120 of its saved times.

    Args:
        problem: The problem it was trained on.
        run: The run, with its networks in `saved["network"]`.

    Returns:
        What is shown: at most 64 neurons and 128 data, evenly chosen.
    """
    kept = _evenly(len(run.times), MOST_TIMES)
    frames = _evenly(len(kept), MOST_FRAMES)
    of_frames = jnp.asarray(kept[frames])
    networks = jax.tree.map(lambda leaf: leaf[of_frames], run.saved["network"])
    univariate = problem.in_dim == 1
    data = _order(problem)[_evenly(problem.num_data, MOST_DATA)]
    x = problem.x[jnp.asarray(data)]
    patterns, predictions = map(np.asarray, _at_data(networks, x))
    neurons = _evenly(patterns.shape[1], MOST_NEURONS)
    found = Shown(
        times=np.asarray(run.times)[kept],
        losses=np.asarray(run.losses)[kept],
        frames=frames,
        neurons=neurons,
        data=data,
        targets=np.asarray(problem.y)[data],
        predictions=predictions,
        pattern=patterns[:, neurons],
        width=patterns.shape[1],
        num_data=problem.num_data,
    )
    if not univariate or predictions.ndim > 2:
        return found
    return _with_function(found, networks, np.asarray(x)[:, 0], problem.x)


def _order(problem: Any) -> np.ndarray:
    """Data by the input if there is one, else by the target if that is a number."""
    if problem.in_dim == 1:
        return np.argsort(problem.x[:, 0], kind="stable")
    if problem.y.ndim == 1:
        return np.argsort(problem.y, kind="stable")
    return np.arange(problem.num_data)


@jax.jit
def _at_data(networks: Any, x: Any) -> tuple[Any, Any]:
    """Patterns (F, n, K) and outputs (F, K, …) of networks with a leading axis."""
    at_x = lambda network: (pattern(network, x), outputs(network, x))
    return jax.vmap(at_x)(networks)


@jax.jit
def _at_points(networks: Any, points: Any) -> Any:
    """The functions (F, X) of univariate networks, each at its row of points."""
    return jax.vmap(lambda network, z: outputs(network, z[:, None]))(networks, points)


@jax.jit
def _kinks(networks: Any) -> Any:
    return jax.vmap(breakpoints)(networks)


def _with_function(found: Shown, networks: Any, x: np.ndarray, inputs: Any) -> Shown:
    low, high = (float(end(inputs)) for end in (jnp.min, jnp.max))
    margin = MARGIN * (high - low) or 1.0
    points = jnp.linspace(low - margin, high + margin, NUM_POINTS, dtype=inputs.dtype)
    every = jnp.broadcast_to(points, (len(found.frames), NUM_POINTS))
    more = {"x": x, "points": np.asarray(points)}
    more["values"] = np.asarray(_at_points(networks, every))
    if isinstance(networks, TwoLayer) and networks.activation.kinked:
        kinks = _kinks(networks)[:, jnp.asarray(found.neurons)]
        more |= {
            "kinks": np.asarray(kinks),
            "heights": np.asarray(_at_points(networks, kinks)),
        }
    return found._replace(**more)


def as_json(of: Shown, plateaus: tuple[np.ndarray, ...], unit: str) -> dict[str, Any]:
    """Plain values for the page: four digits, six for times and losses.

    What is not finite becomes None. The pattern is packed into bits, frame by frame,
    row by row of neurons, and written in base 64.

    Args:
        of: What is shown.
        plateaus: Columns start, end, censored of the run's plateaus.
        unit: What one unit of time is.

    Returns:
        Lists, numbers and words.
    """
    start, end, censored = plateaus
    told: dict[str, Any] = {
        "unit": unit,
        "times": _rounded(of.times, 6),
        "losses": _rounded(of.losses, 6),
        "frames": of.frames.tolist(),
        "plateaus": [
            [*_rounded(np.array([a, b]), 6), bool(c)]
            for a, b, c in zip(start, end, censored, strict=True)
        ],
        "neurons": of.neurons.tolist(),
        "data": len(of.data),
        "order": _order_words(of),
        "pattern": base64.b64encode(np.packbits(of.pattern).tobytes()).decode("ascii"),
        "targets": _rounded(of.targets.reshape(-1)),
    }
    optional: Mapping[str, np.ndarray | None] = {
        "x": of.x,
        "points": of.points,
        "values": of.values,
        "kinks": of.kinks,
        "heights": of.heights,
    }
    if of.values is None:
        flat = of.predictions.reshape(len(of.frames), -1)
        optional = {"predictions": flat}
    return told | {k: _rounded(v) for k, v in optional.items() if v is not None}


def _order_words(of: Shown) -> str:
    if of.x is not None:
        return "data, in order of x"
    return "data, in order of the target" if of.targets.ndim == 1 else "data"


def _evenly(count: int, most: int) -> np.ndarray:
    """Up to `most` of so many places, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _rounded(values: Any, digits: int = 4) -> Any:
    """Nested lists of rounded numbers; None where not finite."""
    if np.ndim(values):
        return [_rounded(value, digits) for value in values]
    if not np.isfinite(values):
        return None
    number = float(f"{float(values):.{digits - 1}e}")
    return int(number) if number == int(number) and abs(number) < 1e6 else number
