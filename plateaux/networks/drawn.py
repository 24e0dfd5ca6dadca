"""Networks of any depth, drawn layer by layer."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from .. import _checks
from . import _draws
from .first_layers import first_layer as find_first_layer, own_options
from .mlp import MLP
from .schemes import Scheme, scheme as find_scheme


def mlp(
    key: Array,
    *,
    widths: Any,
    in_dim: int,
    out_dim: int | None = None,
    kind: str = "plain",
    activation: Any = "relu",
    initialiser: Any = "he",
    scale: Any = 1.0,
    dtype: Any = None,
    bias: str | None = None,
    readout_bias: bool = False,
    learn_normalisation: bool = False,
    residual_scale: Any = None,
    eps: Any = 1e-5,
    first_layer: Any = None,
    first_layer_options: Mapping[str, Any] | None = None,
) -> MLP:
    """Draw an `MLP`, every layer by one scheme, independently.

    A first layer of its own leaves the draws of all other layers as they are.

    Args:
        key: Random key.
        widths: Units of the hidden layers, at least one layer.
        in_dim: Number of inputs d.
        out_dim: Number of outputs; None for a scalar output of shape ().
        kind: "plain", "residual" or "normalised", see `MLP`.
        activation: An activation or its name.
        initialiser: A key of `SCHEMES`, or a function like them.
        scale: Positive factor of all drawn weights and biases; may be traced.
        dtype: float32 or float64; float64 if x64 is on, else float32, if None.
        bias: Law of the biases, "zero", "normal" or "uniform"; the scheme's own if
            None. With zero biases a homogeneous network is homogeneous in x.
        readout_bias: Whether the output has a bias, drawn by the same law.
        learn_normalisation: Whether the normalised kind has gains (ones) and shifts
            (zeros) that train.
        residual_scale: Branch scale of the residual kind; 1/√L if None.
        eps: The ε of the normalised kind.
        first_layer: How W_1 and b_1 are drawn, a key of `FIRST_LAYERS` or `SCHEMES` or
            a function like them; by `initialiser` if None. "structured" takes the law
            of `activation` unless its options give one; `bias` is not for this layer.
        first_layer_options: Options of the first layer by name, such as {"gamma": 5.0};
            their values may be traced.

    Returns:
        The network.

    Raises:
        TypeError: If a dimension is not an integer or `dtype` is not a float's.
        ValueError: If a dimension is below 1, `scale` is not positive, a name is
            unknown, the widths do not fit the kind, or there are options without a
            first layer.

    Example:
        >>> net = mlp(jax.random.key(0), widths=(8, 6), in_dim=3, out_dim=2)
        >>> net.widths, net(jnp.ones(3)).shape
        ((8, 6), (2,))
        >>> how = dict(activation="tanh", first_layer="structured")
        >>> net = mlp(jax.random.key(0), widths=(3, 3), in_dim=1, **how)
        >>> print(-net.biases[0] / net.weights[0][:, 0])
        [-1.  0.  1.]
    """
    dims = _dimensions(widths, in_dim, out_dim)
    draw, dtype = find_scheme(initialiser), _draws.floating_dtype(dtype)
    scale = jnp.asarray(_checks.positive("scale", scale), dtype)
    draw = draw if bias is None else partial(draw, bias=bias)
    first = _first_layer(draw, first_layer, first_layer_options, activation)
    draws = [first] + [draw] * (len(dims) - 2)
    keys = jax.random.split(key, len(dims) - 1)
    layers = [
        [scale * part for part in draw(k, fan_in=i, fan_out=o, dtype=dtype)]
        for draw, k, i, o in zip(draws, keys, dims[:-1], dims[1:], strict=True)
    ]
    weights, biases = zip(*layers, strict=True)
    readout = weights[-1][0] if out_dim is None else weights[-1]
    out_bias = biases[-1][0] if out_dim is None else biases[-1]
    return MLP(
        weights[:-1],
        biases[:-1],
        readout,
        out_bias if readout_bias else None,
        kind=kind,
        activation=activation,
        residual_scale=residual_scale,
        eps=eps,
        gains=[jnp.ones_like(b) for b in biases[:-1]] if learn_normalisation else None,
        shifts=[jnp.zeros_like(b) for b in biases[:-1]]
        if learn_normalisation
        else None,
    )


def _dimensions(widths: Any, in_dim: Any, out_dim: Any) -> list[int]:
    """All layer sizes from the input to the output, else a refusal."""
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise ValueError(
            "Argument `widths` must be a non-empty sequence of integers, one a hidden "
            f"layer, but is {widths!r}."
        )
    hidden = [_checks.count(f"widths[{i}]", n) for i, n in enumerate(widths)]
    out = 1 if out_dim is None else _checks.count("out_dim", out_dim)
    return [_checks.count("in_dim", in_dim), *hidden, out]


def _first_layer(draw: Scheme, name: Any, options: Any, activation: Any) -> Scheme:
    """How the first layer is drawn: by `draw` if no other way is named."""
    options = dict(options or {})
    if name is None:
        if options:
            raise ValueError(
                "Argument `first_layer_options` must be left out unless `first_layer` "
                f"is given, but holds {', '.join(options)}."
            )
        return draw
    first = find_first_layer(name, activation=activation)
    for key in options if isinstance(name, str) else ():
        what = f"option of the first layer {name!r}"
        _checks.known(what, key, own_options(first))
    return partial(first, **options)
