r"""Ranks of the neuron functions of a layer, from the spectrum of their Gram matrix.

The ε-rank r_ε = #{i : λ_i > ε} is the number of neuron functions that are linearly
independent to that accuracy. It is not free of scale: features times s have the rank of
ε/s², so spectra keep the volume Σ w_q, and every ε can be said absolutely, by volume,
or relative to λ_1.

Everything here takes batches: a spectrum recorded along a run, or over lanes, has
leading axes.

Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
"""

import functools as ft
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .. import _checks
from .gram import Spectrum

UNITS = ("absolute", "volume", "largest")
# Errors of computed singular values, in units of √n σ_1: features and factorisations
# are right to a few roundings (tests compare with features of higher precision).
ROUNDINGS = 4


def epsilon_rank(
    spectrum: Any, epsilon: Any, *, relative_to: Any = "absolute"
) -> Int[Array, "..."]:
    r"""r_ε = #{i : λ_i > ε s}, the number of neurons that are ε-linearly independent.

    Args:
        spectrum: With any leading axes.
        epsilon: One ε > 0, or several, shape (e,), each in units of s.
        relative_to: s: "absolute" is 1, "volume" the volume |Ω|, "largest" λ_1.

    Returns:
        Ranks, of the leading axes' shape, and (e,) last if there are several ε; −1
        where a value is not finite, or (under `jax.jit`, where nothing can be refused)
        where ε is below `least_epsilon`.

    Raises:
        ValueError: If ε is not positive or below `least_epsilon` of a spectrum.

    Example:
        >>> found = Spectrum(jnp.array([2.0, 1.0, 1e-3]), jnp.array(2.0))
        >>> print(epsilon_rank(found, [2.0, 1e-3, 1e-9]))
        [1 2 3]

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    values = _values(spectrum)
    epsilon = jnp.asarray(epsilon, values.dtype)
    _checks.positive("epsilon", epsilon)
    least = least_epsilon(spectrum, relative_to=relative_to)
    _check_resolved(epsilon, least)
    return _ranks(spectrum, epsilon, least, relative_to)


@ft.partial(jax.jit, static_argnames="relative_to")
def _ranks(spectrum: Spectrum, epsilon, least, relative_to: str) -> Int[Array, "..."]:
    values, unit = _values(spectrum), _unit(spectrum, relative_to)
    many = epsilon.ndim == 1
    axes = tuple(range(unit.ndim))
    epsilon = jnp.expand_dims(epsilon.reshape(-1), axes)  # (1, …, e)
    threshold = jnp.sqrt(epsilon) * jnp.sqrt(unit)[..., None]
    rank = jnp.sum(values[..., None, :] > threshold[..., None], axis=-1)
    # False as well where a value is not finite.
    rank = jnp.where(epsilon >= least[..., None], rank, -1)
    return rank if many else rank[..., 0]


def least_epsilon(
    spectrum: Any, *, relative_to: Any = "absolute"
) -> Float[Array, "..."]:
    r"""The smallest ε that the precision resolves, (4 u √n σ_1)² in units of s.

    Rounding of relative size u in features and factorisations moves every singular
    value by up to some u √n σ_1, so eigenvalues below its square are noise.

    Args:
        spectrum: With any leading axes.
        relative_to: s, as for `epsilon_rank`.

    Returns:
        One ε a spectrum; 0 for zero features.

    Raises:
        ValueError: If `relative_to` is unknown.

    Example:
        >>> found = Spectrum(jnp.array([2.0, 0.0], "float32"), jnp.array(1.0))
        >>> print(f"{least_epsilon(found):.0e}")
        2e-12

    Reference: Yang, Zhao & Zhu (2024), arXiv:2412.05144.
    """
    _values(spectrum)
    _checks.known("unit of epsilon", relative_to, UNITS)
    return _least(spectrum, relative_to)


@ft.partial(jax.jit, static_argnames="relative_to")
def _least(spectrum: Spectrum, relative_to: str) -> Float[Array, "..."]:
    unit = _unit(spectrum, relative_to)
    size = resolution(spectrum) / jnp.sqrt(jnp.where(unit > 0, unit, 1))
    return jnp.where(unit > 0, size**2, 0)


def resolution(spectrum: Any) -> Float[Array, "..."]:
    """What rounding may have moved a singular value by, 4 u √n σ_1."""
    values = _values(spectrum)
    rounding = ROUNDINGS * np.finfo(values.dtype).eps * np.sqrt(values.shape[-1])
    return jnp.asarray(rounding, values.dtype) * values[..., 0]


def numerical_rank(spectrum: Any) -> Int[Array, "..."]:
    """Number of singular values above what rounding may have made, 4 u √n σ_1.

    Args:
        spectrum: With any leading axes.

    Returns:
        Ranks; 0 for zero features, −1 where a value is not finite.

    Example:
        >>> print(numerical_rank(Spectrum(jnp.array([1.0, 1e-20]), jnp.array(1.0))))
        1

    Reference: Golub & Van Loan (2013), Matrix Computations, 5.4.1.
    """
    values = _values(spectrum)
    rank = jnp.sum(values > resolution(spectrum)[..., None], axis=-1)
    return jnp.where(jnp.all(jnp.isfinite(values), axis=-1), rank, -1)


def entropy_rank(spectrum: Any) -> Float[Array, "..."]:
    r"""exp(−Σ p_i log p_i), p_i = σ_i/Σ_j σ_j: the effective rank.

    Between 1 and n, n for equal singular values; 0 for zero features by convention.

    Args:
        spectrum: With any leading axes.

    Returns:
        One number a spectrum.

    Example:
        >>> print(f"{entropy_rank(Spectrum(jnp.ones(5), jnp.array(1.0))):.4f}")
        5.0000

    Reference: Roy & Vetterli (2007), EUSIPCO, 606-610.
    """
    share = _shares(_values(spectrum))
    log = jnp.log(jnp.where(share > 0, share, 1))
    return _or_zero(spectrum, jnp.exp(-jnp.sum(share * log, axis=-1)))


def stable_rank(spectrum: Any) -> Float[Array, "..."]:
    r"""Σ_i λ_i/λ_1 = ‖A‖_F²/‖A‖₂², between 1 and the rank.

    Args:
        spectrum: With any leading axes.

    Returns:
        One number a spectrum; 0 for zero features by convention.

    Example:
        >>> print(stable_rank(Spectrum(jnp.array([2.0, 1.0]), jnp.array(1.0))))
        1.25

    Reference: Rudelson & Vershynin (2007), J. ACM 54(4).
    """
    share = _shares(_values(spectrum), power=2)[..., 0]
    return _or_zero(spectrum, 1 / jnp.where(share > 0, share, 1))


def spectral_participation(spectrum: Any) -> Float[Array, "..."]:
    r"""(Σ_i λ_i)²/Σ_i λ_i², the participation ratio of the eigenvalues.

    Args:
        spectrum: With any leading axes.

    Returns:
        One number a spectrum, between 1 and n; 0 for zero features by convention.

    Example:
        >>> found = Spectrum(jnp.array([1.0, 1.0, 0.0]), jnp.array(1.0))
        >>> print(spectral_participation(found))
        2.0

    Reference: Gao, Trautmann, Yu, Santhanam, Ryu, Shenoy & Ganguli (2017),
    bioRxiv:214262.
    """
    share = _shares(_values(spectrum), power=2)
    total = jnp.sum(share**2, axis=-1)
    return _or_zero(spectrum, 1 / jnp.where(total > 0, total, 1))


def _values(spectrum: Any) -> Float[Array, "... n"]:
    """Its singular values, else a refusal."""
    if not isinstance(spectrum, Spectrum):
        raise TypeError(
            "Argument `spectrum` must be a Spectrum, as px.diagnostics.spectrum gives "
            f"it, but is a {type(spectrum).__name__}; of several layers choose one."
        )
    return jnp.asarray(spectrum.singular_values)


def _unit(spectrum: Spectrum, relative_to: Any) -> Float[Array, "..."]:
    """What ε is in units of."""
    values = _values(spectrum)
    return {
        "absolute": jnp.ones_like(values[..., 0]),
        "volume": jnp.asarray(spectrum.volume, values.dtype),
        "largest": values[..., 0] ** 2,
    }[relative_to]


def _check_resolved(epsilon: Array, least: Array) -> None:
    """Refuse an ε that rounding drowns, where it can be looked at."""
    if not (_checks.is_concrete(epsilon) and _checks.is_concrete(least)):
        return
    most = float(np.max(np.asarray(least), initial=0, where=np.isfinite(least)))
    if float(np.min(epsilon)) < most:
        raise ValueError(
            f"Argument `epsilon` must be at least {most:.3g}, the smallest that "
            f"{least.dtype} resolves here, but is {float(np.min(epsilon)):.3g}; raise "
            "it, or compute in float64."
        )


def _shares(values: Array, power: int = 1) -> Array:
    """p_i of sum 1 in proportion to a power of the values; zeros stay."""
    top = values[..., :1]
    sizes = (values / jnp.where(top > 0, top, 1)) ** power
    total = jnp.sum(sizes, axis=-1, keepdims=True)
    return sizes / jnp.where(total > 0, total, 1)


def _or_zero(spectrum: Spectrum, number: Array) -> Array:
    """The number, but 0 for zero features."""
    return jnp.where(_values(spectrum)[..., 0] == 0, 0, number)
