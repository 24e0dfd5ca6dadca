"""How the layers of a deep network are drawn: each by a scheme and a key of its own."""

import itertools
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
_MANY = 4  # equal layers that are drawn together


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
    kinds = list(zip(draws, dims[:-1], dims[1:], scales, strict=True))
    layers = []
    # A program that draws dozens of equal layers one by one takes long to compile.
    for _, run in itertools.groupby(range(len(kinds)), lambda l: _identity(*kinds[l])):
        places = list(run)
        draw, fan_in, fan_out, scale = kinds[places[0]]
        one = partial(draw, fan_in=fan_in, fan_out=fan_out, dtype=dtype)
        if len(places) < _MANY:
            drawn = [one(keys[place]) for place in places]
        else:
            parts = jax.vmap(one)(keys[places[0] : places[-1] + 1])
            drawn = list(zip(*parts, strict=True))
        layers += [[scale * part for part in layer] for layer in drawn]
    return layers


def _identity(draw: Scheme, fan_in: int, fan_out: int, scale: Array):
    """What layers share that are drawn alike."""
    return id(draw), fan_in, fan_out, id(scale)


def embedding(
    key: Array, name: Any, dims: Sequence[int], scale: Array, dtype: Any
) -> Array | None:
    """The embedding drawn by the scheme of that name, if there is one."""
    if name is None:
        return None
    draw, own = scheme(name), jax.random.fold_in(key, _EMBEDDING)
    return scale * draw(own, fan_in=dims[0], fan_out=dims[1], dtype=dtype)[0]
