"""How the layers of a deep network are drawn: each by a scheme and a key of its own."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
from jaxtyping import Array

from .. import _checks
from .first_layers import first_layer, own_options
from .schemes import Scheme, scheme

# Of a network's key: the other layers are drawn as without an embedding.
_EMBEDDING = 0x454D4245


def dimensions(widths: Any, in_dim: Any, out_dim: Any) -> list[int]:
    """All layer sizes from the input to the output, else a refusal."""
    if not isinstance(widths, Sequence) or isinstance(widths, str) or not widths:
        raise ValueError(
            "Argument `widths` must be a non-empty sequence of integers, one a hidden "
            f"layer, but is {widths!r}."
        )
    hidden = [_checks.count(f"widths[{i}]", n) for i, n in enumerate(widths)]
    out = 1 if out_dim is None else _checks.count("out_dim", out_dim)
    return [_checks.count("in_dim", in_dim), *hidden, out]


def by_scheme(initialiser: Any, bias: str | None) -> Scheme:
    """The scheme of that name, with a law of the biases unless it is its own."""
    draw = scheme(initialiser)
    return draw if bias is None else partial(draw, bias=bias)


def first(draw: Scheme, name: Any, options: Any, activation: Any) -> Scheme:
    """How the first layer is drawn: by `draw` if no other way is named."""
    options = dict(options or {})
    if name is None:
        if options:
            raise ValueError(
                "Argument `first_layer_options` must be left out unless `first_layer` "
                f"is given, but holds {', '.join(options)}."
            )
        return draw
    draw = first_layer(name, activation=activation)
    for key in options if isinstance(name, str) else ():
        what = f"option of the first layer {name!r}"
        _checks.known(what, key, own_options(draw))
    return partial(draw, **options)


def draw(
    key: Array,
    draws: Sequence[Scheme],
    dims: Sequence[int],
    scales: Sequence[Array],
    dtype: Any,
) -> list[list[Array]]:
    """Weights and biases of every layer, times its scale."""
    keys = jax.random.split(key, len(draws))
    layers = zip(draws, keys, dims[:-1], dims[1:], scales, strict=True)
    return [
        [scale * part for part in draw(k, fan_in=i, fan_out=o, dtype=dtype)]
        for draw, k, i, o, scale in layers
    ]


def embedding(
    key: Array, name: Any, dims: Sequence[int], scale: Array, dtype: Any
) -> Array | None:
    """The embedding drawn by the scheme of that name, if there is one."""
    if name is None:
        return None
    draw, own = scheme(name), jax.random.fold_in(key, _EMBEDDING)
    return scale * draw(own, fan_in=dims[0], fan_out=dims[1], dtype=dtype)[0]
