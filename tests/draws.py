"""Networks and data drawn by NumPy: a draw by JAX of a new shape is a program."""

import numpy as np

import plateaux as px


def two_layer(width, in_dim, *, affine=False, activation="relu", seed=0):
    """Normal weights of the sizes of He's scheme, normal biases."""
    rng = np.random.default_rng(seed)
    return px.TwoLayer(
        rng.normal(size=(width, in_dim)) * np.sqrt(2 / in_dim),
        rng.normal(size=width),
        rng.normal(size=width) * np.sqrt(2 / width),
        rng.normal(size=in_dim + 1) if affine else None,
        activation=activation,
    )


def deep(widths, in_dim, *, out_dim=None, seed=0, **options):
    """Likewise in all layers; several outputs have biases."""
    rng = np.random.default_rng(seed)
    sizes = (in_dim, *widths)
    weights = [
        rng.normal(size=(n, m)) * np.sqrt(2 / m)
        for m, n in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    biases = [rng.normal(size=n) for n in widths]
    top = (widths[-1],) if out_dim is None else (out_dim, widths[-1])
    readout = rng.normal(size=top) * np.sqrt(2 / widths[-1])
    last = None if out_dim is None else rng.normal(size=out_dim)
    return px.MLP(weights, biases, readout, last, **options)


def problem(num_data, in_dim, loss="squared", normalisation="mean", seed=0):
    """Normal inputs and targets, signs for the losses of classification; weighted."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(num_data, in_dim)), rng.normal(size=num_data)
    y = y if loss == "squared" else np.sign(y)
    weights = rng.uniform(0.1, 1.0, size=num_data)
    return px.Problem(x, y, weights=weights, loss=loss, normalisation=normalisation)
