"""Refusals of layers that do not fit together."""

import math
from typing import Any

from jaxtyping import Array

from .. import _checks

NORMALISATIONS = ("layer", "batch")


def check_weights(weights: Any) -> tuple[Array, ...]:
    """The weight matrices if they chain, else a refusal."""
    arrays = tuple(_checks.floating(f"weights[{i}]", w) for i, w in enumerate(weights))
    if not arrays:
        raise ValueError(
            "Argument `weights` must hold at least one layer, but is empty."
        )
    for i, w in enumerate(arrays):
        if w.ndim != 2 or 0 in w.shape:
            raise ValueError(
                f"Argument `weights[{i}]` must have shape (out, in) with both at least "
                f"1, but has shape {w.shape}."
            )
        if i and w.shape[1] != arrays[i - 1].shape[0]:
            raise ValueError(
                f"Argument `weights[{i}]` must have {arrays[i - 1].shape[0]} columns, "
                f"one a unit of the layer before, but has shape {w.shape}."
            )
        _check_dtype(f"weights[{i}]", w, arrays[0])
    return arrays


def check_per_layer(name: str, values: Any, weights: tuple[Array, ...]) -> Any:
    """One vector a hidden layer, of the layer's width, else a refusal."""
    if values is None:
        return None
    arrays = tuple(_checks.floating(f"{name}[{i}]", v) for i, v in enumerate(values))
    if len(arrays) != len(weights):
        raise ValueError(
            f"Argument `{name}` must hold one vector a hidden layer, {len(weights)}, "
            f"but holds {len(arrays)}."
        )
    for i, (array, w) in enumerate(zip(arrays, weights, strict=True)):
        if array.shape != w.shape[:1]:
            raise ValueError(
                f"Argument `{name}[{i}]` must have shape {w.shape[:1]}, one entry a "
                f"unit of the layer, but has shape {array.shape}."
            )
        _check_dtype(f"{name}[{i}]", array, weights[0])
    return arrays


def check_readout(
    readout: Any, bias: Any, weights: tuple[Array, ...]
) -> tuple[Array, Any]:
    """The output layer if it fits the last hidden layer, else a refusal."""
    readout, n = _checks.floating("readout", readout), weights[-1].shape[0]
    if readout.ndim not in (1, 2) or readout.shape[-1] != n or 0 in readout.shape:
        raise ValueError(
            f"Argument `readout` must have shape ({n},) for a scalar output or "
            f"(o, {n}) for o outputs, but has shape {readout.shape}."
        )
    _check_dtype("readout", readout, weights[0])
    if bias is None:
        return readout, None
    bias = _checks.floating("readout_bias", bias)
    if bias.shape != readout.shape[:-1]:
        raise ValueError(
            f"Argument `readout_bias` must have shape {readout.shape[:-1]} to go with "
            f"`readout` of shape {readout.shape}, but has shape {bias.shape}."
        )
    _check_dtype("readout_bias", bias, weights[0])
    return readout, bias


def check_embedding(embedding: Any, weights: tuple[Array, ...]) -> Any:
    """The embedding if it fits the first layer, else a refusal."""
    if embedding is None:
        return None
    embedding, n = _checks.floating("embedding", embedding), weights[0].shape[1]
    if embedding.ndim != 2 or embedding.shape[0] != n or 0 in embedding.shape:
        raise ValueError(
            f"Argument `embedding` must have shape ({n}, d), one row a column of "
            f"`weights[0]`, but has shape {embedding.shape}."
        )
    _check_dtype("embedding", embedding, weights[0])
    return embedding


def residual_scale(value: Any, kind: str, depth: int) -> float:
    """The branch scale, 1/√depth if None, else a refusal."""
    if value is None:
        return 1 / math.sqrt(depth)
    if kind != "residual":
        raise ValueError(
            "Argument `residual_scale` must be None unless the kind is 'residual', but "
            f"the kind is {kind!r}."
        )
    return finite_scale(value)


def finite_scale(value: Any) -> float:
    """The branch scale of a residual network, else a refusal."""
    if not math.isfinite(value):
        raise ValueError(f"Argument `residual_scale` must be finite, but is {value}.")
    return float(value)


def normalisation(value: Any, kind: str) -> str | None:
    """What is normalised over: the units by default of the normalised kind."""
    if value is None:
        return "layer" if kind == "normalised" else None
    if kind == "plain":
        raise ValueError(
            "Argument `normalisation` must be None for the kind 'plain', but is "
            f"{value!r}; say kind='normalised'."
        )
    return _checks.known("normalisation", value, NORMALISATIONS)


def _check_dtype(name: str, array: Array, first: Array) -> None:
    if array.dtype != first.dtype:
        raise TypeError(
            f"Argument `{name}` must have the dtype of `weights[0]`, {first.dtype}, "
            f"but has {array.dtype}."
        )
