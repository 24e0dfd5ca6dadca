"""Figures of functions of two inputs."""

from typing import Any

import numpy as np

from ._axes import optional_ax


@optional_ax
def output_map(
    x1: Any,
    x2: Any,
    outputs: Any,
    *,
    preactivations: Any = None,
    limits: tuple[Any, Any] | None = None,
    ax: Any = None,
) -> Any:
    """Draw a network of two inputs: its output in colour, and where neurons switch.

    A neuron switches where its pre-activation z = w·x + b is zero: along a line in the
    first layer, along bent ones in later layers. Both are given on a grid of inputs,
    with values at x = (x1[j], x2[i]) in row i and column j.

    Args:
        x1: First coordinates of the grid, increasing, shape (p,).
        x2: Second coordinates, increasing, shape (q,).
        outputs: Outputs of the network, shape (q, p).
        preactivations: Of one layer, shape (n, q, p); None draws no lines. What is
            nowhere zero on the grid has no line.
        limits: Least and largest output of the colour scale; those given if None.
        ax: Axes to draw into; new ones if None.

    Returns:
        The axes.

    Raises:
        ValueError: If shapes do not fit.
        ImportError: If matplotlib is not installed and no axes are given.

    Example:
        >>> import plateaux as px
        >>> network = px.TwoLayer(w=[[1.0, 1.0]], b=[-0.5], c=[2.0])
        >>> side = np.linspace(-1, 1, 5)
        >>> x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
        >>> outputs = px.outputs(network, x).reshape(5, 5)
        >>> (z,) = px.networks.preactivations(network, x)
        >>> ax = output_map(side, side, outputs, preactivations=z.reshape(-1, 5, 5))
        >>> ax.get_xlabel()
        '$x_1$'
    """
    x1, x2, outputs = np.asarray(x1), np.asarray(x2), np.asarray(outputs)
    _check("outputs", outputs.shape, (x2.size, x1.size))
    low, high = limits or (None, None)
    mesh = ax.pcolormesh(x1, x2, outputs, vmin=low, vmax=high, rasterized=True)
    clips = "both" if limits else "neither"
    ax.figure.colorbar(mesh, ax=ax, label="output of the network", extend=clips)
    if preactivations is not None:
        z = np.asarray(preactivations)
        _check("preactivations", z.shape, (len(z), x2.size, x1.size))
        for neuron in z[np.any(z > 0, axis=(1, 2)) & np.any(z < 0, axis=(1, 2))]:
            ax.contour(x1, x2, neuron, levels=[0], colors="white", linewidths=0.8)
    ax.set(xlabel="$x_1$", ylabel="$x_2$", aspect="equal")
    return ax


def _check(name: str, came: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if came != wanted:
        raise ValueError(
            f"Argument `{name}` must have shape {wanted}, rows along x2 and columns "
            f"along x1, but has {came}."
        )
