r"""Spectra of the Gram matrices of neuron functions, of every hidden layer.

The neuron functions φ_1 … φ_n of a layer have the Gram matrix M_ij = ⟨φ_i, φ_j⟩ in
L²(Ω), computed with a quadrature, or over the data. Its eigenvalues are λ_i = σ_i²,
where σ_i are the singular values of the weighted features A_qj = √w_q φ_j(x_q): the
matrix M itself, whose small eigenvalues rounding drowns, is never formed.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..networks.network import Network, features
from ..problems.problem import Problem
from ..problems.quadrature import Quadrature
from ._neurons import check


class Spectrum(eqx.Module):
    r"""Singular values of the weighted features of a layer, with any leading axes.

    Attributes:
        singular_values: σ_i in decreasing order, shape (..., n); 0 beyond the number
            of points.
        volume: Σ w_q, the volume of Ω; 1 over the data.
    """

    singular_values: Float[Array, "... n"]
    volume: Float[Array, "..."]

    @property
    def eigenvalues(self) -> Float[Array, "... n"]:
        """λ_i = σ_i² of the Gram matrix."""
        return self.singular_values**2


def spectrum(
    problem: Any,
    network: Network,
    *,
    quadrature: Quadrature | None = None,
    layer: Any = -1,
) -> Spectrum:
    r"""The spectrum of the Gram matrix of one layer's neuron functions.

    Args:
        problem: Data; looked at only if there is no quadrature.
        network: Any network.
        quadrature: Points and weights of the inner product; None means the data, with
            the weights q_k over their sum (1/K if the data have none).
        layer: Number of the hidden layer, counted from 0, or from the last by −1.

    Returns:
        The spectrum. N points give at most N values that are not 0: take 5 n.

    Raises:
        TypeError: If there is neither data nor quadrature, or a dtype is wrong.
        ValueError: If shapes do not fit or there is no such layer.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem([[1.0], [2.0]], [0.0, 0.0])
        >>> network = px.TwoLayer([[1.0], [2.0]], [0.0, 0.0], [1.0, 1.0])
        >>> print(spectrum(problem, network).eigenvalues.round(9))  # 5/2 + 20/2
        [12.5  0. ]

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    found = spectra(problem, network, quadrature=quadrature)
    if not isinstance(layer, int) or not -len(found) <= layer < len(found):
        raise ValueError(
            f"Argument `layer` must be the number of one of {len(found)} hidden "
            f"layers, but is {layer!r}."
        )
    return found[layer]


def spectra(
    problem: Any, network: Network, *, quadrature: Quadrature | None = None
) -> tuple[Spectrum, ...]:
    """The `spectrum` of every hidden layer, in their order.

    Args:
        problem: As for `spectrum`.
        network: As for `spectrum`.
        quadrature: As for `spectrum`.

    Returns:
        One spectrum a layer.

    Raises:
        TypeError: As for `spectrum`.
        ValueError: As for `spectrum`.

    Example:
        >>> import jax
        >>> import plateaux as px
        >>> rule = px.problems.gauss_legendre(20)
        >>> network = px.networks.mlp(jax.random.key(0), widths=(4, 8), in_dim=1)
        >>> [s.singular_values.shape for s in spectra(None, network, quadrature=rule)]
        [(4,), (8,)]

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    return _spectra(network, inner_product(problem, network, quadrature))


@eqx.filter_jit
def _spectra(network: Network, rule: Quadrature) -> tuple[Spectrum, ...]:
    points, weights = rule
    return tuple(feature_spectrum(phi, weights) for phi in features(network, points))


def feature_spectrum(phi: Any, weights: Any) -> Spectrum:
    r"""The spectrum of given functions at the points of a quadrature.

    Args:
        phi: φ_j(x_q), shape (Q, n).
        weights: w_q ≥ 0, shape (Q,).

    Returns:
        The spectrum.

    Raises:
        TypeError: If an argument is not of floating dtype.
        ValueError: If shapes do not fit.

    Example:
        >>> import plateaux as px
        >>> rule = px.problems.gauss_legendre(4)
        >>> monomials = jnp.hstack([jnp.ones((4, 1)), rule.points])
        >>> print(feature_spectrum(monomials, rule.weights).eigenvalues)  # 2 and 2/3
        [2.         0.66666667]

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    phi = _checks.floating("phi", phi)
    weights = _checks.floating("weights", weights)
    if phi.ndim != 2 or weights.shape != phi.shape[:1]:
        raise ValueError(
            "Argument `phi` must have shape (Q, n) and `weights` (Q,), but they have "
            f"shapes {phi.shape} and {weights.shape}."
        )
    return _of_features(phi, weights)


@jax.jit
def _of_features(phi: Float[Array, "Q n"], weights: Float[Array, " Q"]) -> Spectrum:
    weighted = jnp.sqrt(weights)[:, None] * phi
    values = jnp.linalg.svd(weighted, compute_uv=False)
    padding = (0, phi.shape[1] - values.shape[0])
    return Spectrum(jnp.pad(values, padding), jnp.sum(weights))


def inner_product(
    problem: Any, network: Network, quadrature: Quadrature | None
) -> Quadrature:
    """Points and weights of the inner product: the quadrature, or the data."""
    if quadrature is not None:
        return quadrature
    if not isinstance(problem, Problem):
        raise TypeError(
            "Argument `quadrature` must be given where the problem is not data, say "
            f"px.problems.gauss_legendre(400), but is None for {_kind(problem)}."
        )
    check(problem, network)
    return Quadrature(problem.x, problem.weights / jnp.sum(problem.weights))


def _kind(problem: Any) -> str:
    return "no problem" if problem is None else f"a {type(problem).__name__}"
