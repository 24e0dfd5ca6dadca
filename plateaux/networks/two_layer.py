"""The two-layer network, the object of most of the theory."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from .activations import Activation, activation as find_activation
from .network import Network


class TwoLayer(Network):
    r"""Two-layer network f(x) = Σ_i c_i φ(w_i·x + b_i) [+ p·(x, 1)].

    The optional affine part `p` is equivalent to always-active neurons. All
    parameters share one floating dtype.

    Args:
        w: Inner weights, shape (n, d), n ≥ 1.
        b: Biases, shape (n,).
        c: Outer weights, shape (n,).
        p: Affine part, shape (d+1,): slopes, then intercept; None for none.
        activation: φ, an activation or its name.

    Raises:
        TypeError: If a parameter is not of floating dtype, or dtypes differ.
        ValueError: If shapes disagree or the width is zero.

    Example:
        >>> net = TwoLayer(w=[[1.0], [-2.0]], b=[0.0, 1.0], c=[1.0, 0.5])
        >>> print(net(jnp.array([0.25])))
        0.5
    """

    w: Float[Array, "n d"]
    b: Float[Array, " n"]
    c: Float[Array, " n"]
    p: Float[Array, " d+1"] | None
    activation: Activation = eqx.field(static=True)

    def __init__(self, w: Any, b: Any, c: Any, p: Any = None, *, activation="relu"):
        w, b, c = (_checks.floating(k, v) for k, v in dict(w=w, b=b, c=c).items())
        if w.ndim != 2 or w.shape[0] < 1 or w.shape[1] < 1:
            raise ValueError(
                "Argument `w` must have shape (n, d) with n, d at least 1, but has "
                f"shape {w.shape}."
            )
        expected = {"b": (b, w.shape[:1]), "c": (c, w.shape[:1])}
        if p is not None:
            p = _checks.floating("p", p)
            expected["p"] = (p, (w.shape[1] + 1,))
        for name, (array, shape) in expected.items():
            if array.shape != shape:
                raise ValueError(
                    f"Argument `{name}` must have shape {shape} to go with `w` of "
                    f"shape {w.shape}, but has shape {array.shape}."
                )
            if array.dtype != w.dtype:
                raise TypeError(
                    f"Argument `{name}` must have the dtype of `w`, {w.dtype}, but "
                    f"has {array.dtype}."
                )
        self.w, self.b, self.c, self.p = w, b, c, p
        self.activation = find_activation(activation)

    @property
    def in_dim(self) -> int:
        """Number of inputs d."""
        return self.w.shape[-1]

    @property
    def out_dim(self) -> None:
        """None: the output is a scalar."""

    @property
    def width(self) -> int:
        """Number of hidden neurons n."""
        return self.w.shape[-2]

    def hidden(self, x: Float[Array, " d"]) -> tuple[Float[Array, " n"]]:
        """Pre-activations z_i = w_i·x + b_i of one sample."""
        return (self.w @ x + self.b,)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        """The output f(x) of one sample."""
        (z,) = self.hidden(x)
        return self._output(x, self.activation(z))

    def displaced(
        self, x: Float[Array, " d"], added: tuple[Float[Array, " n"], ...]
    ) -> Float[Array, ""]:
        """The output when numbers are added to the values of the hidden units."""
        (z,) = self.hidden(x)
        return self._output(x, self.activation(z) + added[0])

    def _output(self, x, h):
        f = self.c @ h
        return f if self.p is None else f + self.p[:-1] @ x + self.p[-1]


def imbalance(network: TwoLayer) -> Float[Array, " n"]:
    r"""Imbalance C_i = c_i² − ‖w_i‖² − b_i² of every neuron.

    Constant along gradient flow for homogeneous activations (ReLU, leaky ReLU,
    identity), through every change of pattern; one gradient descent step of size h
    changes it by exactly h²[(v_i·g_i)² − c_i²‖g_i‖²], v_i = (w_i, b_i), g_i the
    neuron's gradient vector.

    Args:
        network: A two-layer network.

    Returns:
        One number a neuron, in squared weight units.

    Example:
        >>> print(imbalance(TwoLayer(w=[[1.0]], b=[1.0], c=[2.0])))
        [2.]

    Reference: Du, Hu & Lee (2018), arXiv:1806.00900.
    """
    return network.c**2 - jnp.sum(network.w**2, axis=-1) - network.b**2


def imbalance_drift(start: Any, end: Any) -> Float[Array, ""] | None:
    """max_i |C_i(end) − C_i(start)|; None where the imbalance is not conserved."""
    if not isinstance(start, TwoLayer) or not start.activation.homogeneous:
        return None
    return jnp.max(jnp.abs(imbalance(end) - imbalance(start)))


def inner_weights(network: TwoLayer) -> Float[Array, "n D"]:
    """The rows v_i = (w_i, b_i), D = d + 1."""
    return jnp.concatenate([network.w, network.b[:, None]], axis=1)
