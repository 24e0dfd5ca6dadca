r"""How gradients and updates lie to the eigenvectors of the Hessian."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._lengths import unit_rows
from ...dynamics.curvature_operators import flat_operator, hessian_operator
from ._vectors import flat, flat_gradient
from .extreme import ExtremeEigenvalues, extreme_eigenvalues


class Alignment(NamedTuple):
    """The part of a direction along the outermost eigenvectors.

    Attributes:
        largest: |cos| of the angle with the eigenvector of λ_max.
        smallest: |cos| with that of λ_min.
        share: The share of ‖u‖² in the two, cos² + cos².
    """

    largest: Float[Array, ""]
    smallest: Float[Array, ""]
    share: Float[Array, ""]


def gradient_alignment(
    problem: Any, network: Any, *, found: Any = None, **options: Any
) -> Alignment:
    """How much of the gradient is along the eigenvectors of λ_max and λ_min.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        found: What `extreme_eigenvalues` gave here; computed if None.
        **options: As for `extreme_eigenvalues`.

    Returns:
        The alignment; zeros for a zero gradient.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 9.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> along = gradient_alignment(problem, network)
        >>> print(f"{along.largest:.3f} {along.smallest:.3f}")
        0.100 0.951

    Reference: Gur-Ari, Roberts & Dyer (2018), arXiv:1812.04754.
    """
    return _alignment(problem, network, flat_gradient(problem, network), found, options)


def update_alignment(
    problem: Any, network: Any, update: Any, *, found: Any = None, **options: Any
) -> Alignment:
    """How much of an update is along the eigenvectors of λ_max and λ_min.

    Args:
        problem: Data and loss.
        network: A network that fits them.
        update: A direction, a network with directions in the place of parameters: the
            step of an optimizer, or the difference of two networks.
        found: What `extreme_eigenvalues` gave here; computed if None.
        **options: As for `extreme_eigenvalues`.

    Returns:
        The alignment; zeros for a zero update.

    Raises:
        TypeError: If `found` is not what `extreme_eigenvalues` gives.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 9.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> found = extreme_eigenvalues(problem, network)
        >>> u = found.largest_vector
        >>> print(f"{update_alignment(problem, network, u, found=found).largest:.3f}")
        1.000

    Reference: Gur-Ari, Roberts & Dyer (2018), arXiv:1812.04754.
    """
    return _alignment(problem, network, flat(update), found, options)


def directional_curvature(
    problem: Any, network: Any, direction: Any
) -> Float[Array, ""]:
    r"""The curvature uᵀ∇²L(θ)u/uᵀu of the loss along a direction.

    Args:
        problem: Data and loss.
        network: A network that fits them, θ.
        direction: u, a network with directions in the place of parameters: an update
            of an optimizer, a gradient, a displacement between saved networks.

    Returns:
        A number between λ_min and λ_max; 0 for u = 0.

    Example:
        >>> import plateaux as px
        >>> problem = px.Problem(jnp.array([[1.0], [2.0]]), jnp.array([0.0, 0.0]))
        >>> network = px.TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> along = directional_curvature(problem, network, network)  # u = (1, 0, 1)
        >>> print(f"{along:.3f}")
        7.500

    Reference: Pearlmutter (1994), Neural Computation 6, 147-160.
    """
    product, _, _ = flat_operator(hessian_operator(problem, network), network)
    u = unit_rows(flat(direction))
    return u @ product(u)


def _alignment(problem, network, direction, found, options) -> Alignment:
    if found is None:
        found = extreme_eigenvalues(problem, network, **options)
    if not isinstance(found, ExtremeEigenvalues) or found.largest.ndim:
        raise TypeError(
            "Argument `found` must be what extreme_eigenvalues gives with num=None, "
            f"but is a {type(found).__name__}."
        )
    u = unit_rows(direction)
    largest = jnp.abs(flat(found.largest_vector) @ u)
    smallest = jnp.abs(flat(found.smallest_vector) @ u)
    return Alignment(largest, smallest, largest**2 + smallest**2)
