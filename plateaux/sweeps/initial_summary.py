"""What a sweep says of networks as they are drawn, next to the exact laws."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..statistics import (
    Interval,
    chain_law,
    linear_law,
    quantile_band,
    relu_law,
    residual_chain_law,
    wilson,
)
from .errors import SweepError
from .grid import find_point
from .lanes import make_problem
from .spec import SweepSpec
from .spec_tables import hidden_widths, num_layers

QUARTILES = (0.25, 0.5, 0.75)
_NORMS = ("log_forward", "log_backward", "log_gradient")
_NUMBERS = ("loss", "largest_eigenvalue", "smallest_eigenvalue")
# Weights of one input: law, and standard deviation over that of variance 1.
_ONE_INPUT = {
    "he": ("gaussian", 2**0.5),
    "lecun": ("gaussian", 1.0),
    "xavier": ("gaussian", 1.0),
    "he_uniform": ("uniform", 2**0.5),
    "lecun_uniform": ("uniform", 1.0),
    "xavier_uniform": ("uniform", 1.0),
    "pytorch": ("uniform", 3**-0.5),
}


class InitialSummary(NamedTuple):
    """Numbers of one grid point; those of quantiles are over its alive lanes.

    Attributes:
        lanes: Stored lanes.
        dead: Share of lanes whose gradient is exactly zero, with Wilson's interval.
        quantiles: Variable of the store to its quantiles with intervals: shape (q,) for
            one number a lane, (q, m) for one a layer. Empty if no lane is alive.
        forward_law: The quantiles of `log_forward` by the exact law, shape (q, m), NaN
            for layers without one; see `forward_law_quantiles`.
    """

    lanes: int
    dead: Interval
    quantiles: Mapping[str, Interval]
    forward_law: np.ndarray


def initial_summary(
    dataset: Any,
    spec: SweepSpec,
    point: Any = 0,
    *,
    probabilities: Sequence[float] = QUARTILES,
    confidence: float = 0.95,
) -> InitialSummary:
    """Quantiles over the lanes of a sweep with the method "initialisation".

    Means over initialisations are dominated by rare draws; medians and quantiles say
    what a typical network does. Dead lanes are counted, and left out of the quantiles.

    Args:
        dataset: What `sweep` gave, or `open_sweep(directory).dataset`.
        spec: The specification of that sweep.
        point: Number or label of the grid point.
        probabilities: Of the quantiles, shape (q,).
        confidence: Two-sided coverage of every interval.

    Returns:
        The numbers.

    Raises:
        SweepError: If the sweep trains, or no lane of the point is stored.
        ValueError: If there is no such point, or a probability is out of range.

    Example:
        >>> from plateaux.sweeps import SweepSpec, sweep
        >>> spec = SweepSpec(
        ...     name="chains",
        ...     problem={"name": "sine", "num_data": 8},
        ...     network={"kind": "chain", "depth": 20},
        ...     initialiser={"name": "lecun_uniform"},
        ...     method={"name": "initialisation"},
        ...     sweep={"lanes": 300, "chunk": 300},
        ... )
        >>> found = initial_summary(sweep(spec), spec)
        >>> output = [part[1, -1] for part in found.quantiles["log_forward"]]
        >>> median = found.forward_law[1, -1]
        >>> print(median.round(3), bool(output[1] < median < output[2]))
        -8.682 True
    """
    if spec.trains:
        raise SweepError(
            "Argument `spec` must be that of a sweep with the method 'initialisation', "
            f"but its method is {spec.method.name!r}."
        )
    of = find_point(spec, point)
    here = dataset.isel(point=of.index)
    done = here["done"].values
    if not done.any():
        raise SweepError(
            f"Grid point {of.label} must have a stored lane, but has none."
        )
    dead, layers = here["dead"].values[done], num_layers(of.settings["network"])
    alive = {
        name: here[name].values[done][~dead]
        for name in (*_NUMBERS, *_NORMS)
        if name in here and not dead.all()
    }
    alive |= {name: alive[name][:, :layers] for name in _NORMS if name in alive}
    band = lambda values: quantile_band(values, probabilities, confidence=confidence)
    return InitialSummary(
        lanes=int(done.sum()),
        dead=wilson(int(dead.sum()), dead.size, confidence=confidence),
        quantiles={name: band(values) for name, values in alive.items()},
        forward_law=forward_law_quantiles(
            of.settings, probabilities, precision=spec.precision
        ),
    )


def forward_law_quantiles(
    settings: Mapping[str, Mapping[str, Any]],
    probabilities: Sequence[float],
    *,
    precision: str = "float64",
) -> np.ndarray:
    """Quantiles of log(‖h_l‖/‖x‖) at initialisation by the laws of `px.statistics`.

    They are those of one datum, given that the network is alive on it; linear chains
    have the same on all data. Known are

    * chains with independent weights, linear, ReLU or (normal weights) residual;
    * the hidden layers of plain networks with layers of one width and zero biases:
      ReLU or linear, normal weights ("he", "lecun").

    Args:
        settings: The tables of a grid point, `Point.settings`.
        probabilities: Of the quantiles, shape (q,).
        precision: With which the problem is read, for its number of inputs.

    Returns:
        Shape (q, m), m layers; NaN where there is no law.
    """
    network, start = settings["network"], settings["initialiser"]
    p = np.asarray(probabilities, float)
    found = np.full((p.size, num_layers(network)), np.nan)
    if network["kind"] == "chain":
        for layer in range(found.shape[1]):
            found[:, layer] = _of_chain(network, start, layer + 1, p)
    elif _is_plain(network, start):
        in_dim = make_problem(settings["problem"], precision).in_dim
        for layer in range(found.shape[1] - 1):
            found[:, layer] = _of_mlp(network, start, in_dim, layer + 1, p)
    return found


def _of_chain(network: Any, start: Any, depth: int, p: np.ndarray) -> np.ndarray:
    law, size = _ONE_INPUT.get(start["name"], (None, 1.0))
    size, skip = size * start["scale"], network.get("residual_scale")
    if law is None or network["activation"] not in ("identity", "relu"):
        return np.full(p.shape, np.nan)
    if skip is None:
        return chain_law(depth, law).quantile(p) + depth * math.log(size)
    if law == "uniform" or skip == 0:
        return np.full(p.shape, np.nan)
    return residual_chain_law(depth, abs(skip) * size * depth**0.5).quantile(p)


def _is_plain(network: Any, start: Any) -> bool:
    """Whether the hidden layers have a law."""
    widths = hidden_widths(network)
    allowed = {"kind", "width", "widths", "depth", "activation", "affine"}
    allowed |= {"hidden_scale", "last_layer", "readout_bias", "bias", "eps"}
    return (
        network["kind"] == "mlp"
        and len(set(widths)) == 1
        and network["activation"] in ("relu", "identity")
        and start["name"] in ("he", "lecun")
        and "zero" == network.get("bias", start.get("bias", "zero"))
        and set(network) <= allowed
    )


def _of_mlp(network: Any, start: Any, in_dim: int, depth: int, p: np.ndarray):
    width = hidden_widths(network)[0]
    law = (relu_law if network["activation"] == "relu" else linear_law)(width, depth)
    # The laws belong to He's weights for ReLU, and to LeCun's for linear networks.
    fitting = {"relu": 2.0, "identity": 1.0}[network["activation"]]
    variance = {"he": 2.0, "lecun": 1.0}[start["name"]] / fitting
    size = start["scale"] * network.get("hidden_scale", 1.0) * variance**0.5
    # The first layer has 1/in_dim where the law has 1/width.
    first = math.log(width / in_dim) / 2
    return law.quantile(p) / 2 + first + depth * math.log(size)
