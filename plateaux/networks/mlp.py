r"""Networks of any depth: plain, residual and normalised."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from . import _draws, _layers, _shapes
from .activations import Activation, activation as find_activation
from .network import DATA, Network

KINDS = ("plain", "residual", "normalised")


class MLP(Network):
    r"""Network of L hidden layers, h_0 = x, a_l = W_l h_{l−1} + b_l, l = 1 … L.

    * "plain": z_l = a_l, h_l = φ(z_l);
    * "residual": z_l = a_l, h_1 = φ(z_1), then h_l = h_{l−1} + s φ(z_l), with the
      branch scale s = 1/√L unless given; all hidden layers have one width;
    * "normalised": z_l = (a_l − mean a_l)/√(var a_l + ε) [· gain + shift], h_l =
      φ(z_l), mean and (population) variance over the units of the layer, or of every
      unit over the data.

    An `embedding` E maps the inputs first, h_0 = E x; then a residual network has skips
    in all layers, and takes any number of inputs to its one width. A residual network
    may normalise its z_l too. Statistics over the data are those of the set that
    `outputs` or a loss looks at, all its data with equal weight; a network that needs
    them cannot be called on one sample.

    The output is readout·h_L [+ readout_bias]. With L = 1, no embedding and no readout
    bias, plain and residual are the `TwoLayer` network. `hidden` returns the z_l, which
    the activation is applied to. ε > 0 keeps the derivative finite where a_l is
    constant.

    Args:
        weights: W_1 … W_L, shapes (out, in), each `in` the `out` before it.
        biases: b_1 … b_L, shapes (out,), or None for a network without biases.
        readout: Shape (n_L,) for a scalar output, (o, n_L) for o outputs.
        readout_bias: Shape () or (o,), or None for none.
        kind: "plain", "residual" or "normalised".
        activation: φ, an activation or its name, one for all layers.
        residual_scale: The branch scale s of the residual kind, a static number (it
            is not trained); 1/√L if None.
        eps: The ε > 0 of normalisation, in units of a².
        gains: Learnable gains of normalised layers, shapes (out,), or None.
        shifts: Learnable shifts of normalised layers, shapes (out,), or None.
        embedding: E, shape (in of W_1, d), or None for none.
        normalisation: "layer" or "batch"; None means "layer" for the normalised kind,
            none for the residual one.

    Raises:
        TypeError: If a parameter is not of floating dtype, or dtypes differ.
        ValueError: If shapes do not fit together, a width is zero, `kind` or
            `activation` is unknown, or an argument belongs to another kind.

    Example:
        >>> net = MLP([[[1.0], [-1.0]], [[1.0, 2.0]]], [[0.0, 0.0], [1.0]], [3.0])
        >>> print(net(jnp.array([2.0])), net.widths)
        9.0 (2, 1)

    Reference: He, Zhang, Ren & Sun (2015), arXiv:1512.03385, for residual layers; Ba,
    Kiros & Hinton (2016), arXiv:1607.06450, for layer normalisation; Ioffe & Szegedy
    (2015), arXiv:1502.03167, for batch normalisation.
    """

    weights: tuple[Float[Array, "_ _"], ...]
    biases: tuple[Float[Array, " _"], ...] | None
    readout: Float[Array, "*o n"]
    readout_bias: Float[Array, "*o"] | None
    gains: tuple[Float[Array, " _"], ...] | None
    shifts: tuple[Float[Array, " _"], ...] | None
    embedding: Float[Array, "_ d"] | None
    kind: str = eqx.field(static=True)
    activation: Activation = eqx.field(static=True)
    residual_scale: float = eqx.field(static=True)
    eps: float = eqx.field(static=True)
    normalisation: str | None = eqx.field(static=True)

    def __init__(
        self,
        weights: Any,
        biases: Any,
        readout: Any,
        readout_bias: Any = None,
        *,
        kind: str = "plain",
        activation: Any = "relu",
        residual_scale: Any = None,
        eps: Any = 1e-5,
        gains: Any = None,
        shifts: Any = None,
        embedding: Any = None,
        normalisation: Any = None,
    ):
        self.kind = _checks.known("kind of network", kind, KINDS)
        self.activation = find_activation(activation)
        self.weights = _shapes.check_weights(weights)
        self.biases = _shapes.check_per_layer("biases", biases, self.weights)
        self.gains = _shapes.check_per_layer("gains", gains, self.weights)
        self.shifts = _shapes.check_per_layer("shifts", shifts, self.weights)
        self.readout, self.readout_bias = _shapes.check_readout(
            readout, readout_bias, self.weights
        )
        self.residual_scale = _shapes.residual_scale(residual_scale, kind, self.depth)
        self.eps = float(_checks.positive("eps", eps))
        self.embedding = _shapes.check_embedding(embedding, self.weights)
        self.normalisation = _shapes.normalisation(normalisation, kind)
        _check_kind(self)

    @property
    def in_dim(self) -> int:
        """Number of inputs d."""
        first = self.weights[0] if self.embedding is None else self.embedding
        return first.shape[-1]

    @property
    def out_dim(self) -> int | None:
        """Number of outputs; None for a scalar output of shape ()."""
        # Compared with a matrix, so that a batch of networks answers the same.
        vector = self.readout.ndim == self.weights[0].ndim
        return self.readout.shape[-2] if vector else None

    @property
    def depth(self) -> int:
        """Number of hidden layers L."""
        return len(self.weights)

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of every hidden layer."""
        return tuple(w.shape[-2] for w in self.weights)

    @property
    def has_skips(self) -> bool:
        """Whether there is a layer that adds to the one before."""
        return self.kind == "residual" and (
            self.depth > 1 or self.embedding is not None
        )

    def hidden(self, x: Float[Array, " d"]) -> tuple[Float[Array, " _"], ...]:
        """What the activation is applied to: z_1 … z_L of one sample."""
        return self._forward(x)[0]

    def units(self, x: Float[Array, " d"]) -> tuple[Float[Array, " _"], ...]:
        """Values of the hidden units: h_1 … h_L of one sample."""
        return self._forward(x)[1]

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, "*o"]:
        """The output for one sample: shape (), or (out_dim,)."""
        return self._output(self._forward(x)[1][-1])

    def frozen(
        self, x: Float[Array, " d"], slopes: tuple[Float[Array, " _"], ...]
    ) -> tuple[tuple[Float[Array, " _"], ...], Float[Array, "*o"]]:
        """What is between kinks: φ(z_l) replaced by given slopes times z_l.

        Args:
            x: One sample.
            slopes: One slope a unit, an array per hidden layer.

        Returns:
            The z_l, and the output.
        """
        zs, hs = self._forward(x, slopes)
        return zs, self._output(hs[-1])

    def displaced(
        self, x: Float[Array, " d"], added: tuple[Float[Array, " _"], ...]
    ) -> Float[Array, "*o"]:
        """The output when numbers are added to h_0 (of an embedding) and h_1 … h_L."""
        return self._output(self._forward(x, added=added)[1][-1])

    def _output(self, h):
        f = self.readout @ h
        return f if self.readout_bias is None else f + self.readout_bias

    def _forward(self, x, slopes=None, added=None):
        """The pre-activations and the units of all hidden layers."""
        zs, hs, h = [], [], x if self.embedding is None else self.embedding @ x
        rest = list(added or ())
        h = h + rest.pop(0) if added and self.embedding is not None else h
        residual = self.kind == "residual"
        for layer in range(self.depth):
            z = self._preactivation(layer, h)
            phi = self.activation(z) if slopes is None else slopes[layer] * z
            skip = residual and (layer > 0 or self.embedding is not None)
            h = h + self.residual_scale * phi if skip else phi
            h = h + rest[layer] if added else h
            zs.append(z)
            hs.append(h)
        return tuple(zs), tuple(hs)

    def _preactivation(self, layer, h):
        a = self.weights[layer] @ h
        a = a if self.biases is None else a + self.biases[layer]
        if self.normalisation is None:
            return a
        mean = jnp.mean if self.normalisation == "layer" else _mean_over_data
        z = normalise(a, eps=self.eps, mean=mean)
        z = z if self.gains is None else z * self.gains[layer]
        return z if self.shifts is None else z + self.shifts[layer]


def normalise(
    a: Float[Array, " n"], *, eps: float, mean: Callable[[Array], Array] = jnp.mean
) -> Float[Array, " n"]:
    r"""Normalisation (a − mean a)/√(var a + ε), over the units of a layer by default.

    The variance is the population's (divided by n). A constant `a` gives zeros.

    Args:
        a: One number a unit.
        eps: ε > 0, which keeps value and derivative finite for constant `a`.
        mean: What is taken for the mean of `a`, and of the squares.

    Returns:
        Numbers of mean 0 and variance var a/(var a + ε), below 1.

    Example:
        >>> print(normalise(jnp.array([1.0, 3.0]), eps=3.0))
        [-0.5  0.5]
    """
    centred = a - mean(a)
    return centred / jnp.sqrt(mean(centred**2) + eps)


def _mean_over_data(a: Array) -> Array:
    """The mean of every unit over the data set that is looked at."""
    try:
        return jax.lax.pmean(a, DATA)
    except NameError as error:
        raise ValueError(
            "A batch-normalised network must be given a data set, "
            "px.networks.outputs(network, x), but was called on one datum."
        ) from error


def mlp(
    key: jax.Array,
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
    last_layer: Any = None,
    embedding: Any = None,
    hidden_scale: Any = 1.0,
    normalisation: Any = None,
) -> MLP:
    """Draw an `MLP`, every layer by one scheme, independently.

    A first or last layer or an embedding of its own leaves the draws of all other
    layers as they are.

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
        last_layer: The scheme of the readout; `initialiser` if None.
        embedding: The scheme of a linear map E of the inputs to as many numbers as the
            first layer has units; None for no embedding.
        hidden_scale: Positive factor of the hidden layers' weights and biases, such as
            1/√L, besides `scale`; may be traced.
        normalisation: "layer" or "batch", see `MLP`.

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
    dims = _layers.dimensions(widths, in_dim, out_dim)
    dtype = _draws.floating_dtype(dtype)
    scale = jnp.asarray(_checks.positive("scale", scale), dtype)
    inner = jnp.asarray(_checks.positive("hidden_scale", hidden_scale), dtype) * scale
    entry = _layers.embedding(key, embedding, dims, scale, dtype)
    dims = dims if entry is None else [dims[1], *dims[1:]]
    draw = _layers.by_scheme(initialiser, bias)
    draws = [draw] * (len(dims) - 1)
    draws[0] = _layers.first(draw, first_layer, first_layer_options, activation)
    draws[-1] = draw if last_layer is None else _layers.by_scheme(last_layer, bias)
    scales = [inner] * (len(dims) - 2) + [scale]
    weights, biases = zip(*_layers.draw(key, draws, dims, scales, dtype), strict=True)
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
        embedding=entry,
        normalisation=normalisation,
        gains=[jnp.ones_like(b) for b in biases[:-1]] if learn_normalisation else None,
        shifts=[jnp.zeros_like(b) for b in biases[:-1]]
        if learn_normalisation
        else None,
    )


def _check_kind(network: MLP) -> None:
    """Refuse what does not go with the network's kind."""
    widths, kind = network.widths, network.kind
    entry = () if network.embedding is None else network.embedding.shape[:1]
    if kind == "residual" and len({*entry, *widths}) > 1:
        raise ValueError(
            "A residual network must have one width in all hidden layers and the "
            f"embedding, but has {(*entry, *widths)}."
        )
    if network.normalisation == "layer" and min(widths) < 2:
        raise ValueError(
            "A normalised network must have at least 2 units in every hidden layer "
            f"(a single unit is always normalised to 0), but has {widths}."
        )
    if network.normalisation is None and not (network.gains is network.shifts is None):
        raise ValueError(
            "Arguments `gains` and `shifts` must be None unless the network is "
            f"normalised, but the kind is {kind!r} without normalisation."
        )
