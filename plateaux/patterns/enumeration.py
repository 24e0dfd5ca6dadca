r"""All activation patterns of small data sets, and the best loss that any can reach."""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .. import _checks
from ..problems.losses import SquaredError
from ..problems.problem import Problem, check_data
from .cells import design_matrix
from .least_squares import LeastSquares, least_squares

_BATCH = 512  # fits a call
_FLAT = 1e-10  # distances and singular values below it, relative, count as zero


def neuron_patterns(x: Any, *, max_hyperplanes: Any = 1_000_000) -> np.ndarray:
    r"""Every pattern that one neuron 1[w·x + b > 0] can have on the data.

    Every hyperplane through data that span it is looked at; the data on it are split in
    every way that a hyperplane inside it can, which is the same question with one
    dimension less. For K data in general position in d dimensions there are
    2 Σ_{j=0}^{d} C(K−1, j); fewer if more than d data lie on a hyperplane, or coincide.

    Args:
        x: Inputs, shape (K, d), concrete.
        max_hyperplanes: Refuse more than so many hyperplanes, C(K, d).

    Returns:
        Boolean rows, shape (patterns, K), all off first, in a fixed order.

    Raises:
        ValueError: If there are too many hyperplanes.

    Example:
        >>> neuron_patterns(jnp.array([[0.0], [1.0]])).astype(int).tolist()
        [[0, 0], [0, 1], [1, 0], [1, 1]]

    Reference: Cover (1965), "Geometrical and statistical properties of systems of
    linear inequalities", IEEE Trans. Electronic Computers 14.
    """
    x = np.asarray(_checks.finite("x", _checks.floating("x", x)), dtype=float)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(
            f"Argument `x` must have shape (K, d), but has shape {x.shape}."
        )
    limit = _checks.count("max_hyperplanes", max_hyperplanes)
    number = math.comb(*x.shape) if x.shape[0] >= x.shape[1] else 1
    if number > limit:
        raise ValueError(
            f"The data must have at most max_hyperplanes = {limit} hyperplanes to be "
            f"enumerated, but have C{x.shape} = {number}."
        )
    found = _patterns(x)
    return np.unique(np.array(sorted(found), dtype=bool), axis=0)


def _patterns(x: np.ndarray) -> set[tuple[bool, ...]]:
    """Sign vectors of affine functions on points, as a set of tuples."""
    num = len(x)
    x = x - x.mean(axis=0)
    _, values, right = np.linalg.svd(x, full_matrices=False)
    scale = values[0] if len(values) else 0.0
    dim = int(np.sum(values > _FLAT * scale)) if scale > 0 else 0
    if dim == 0:
        return {(False,) * num, (True,) * num}
    x = x @ right[:dim].T / scale
    found = {(False,) * num, (True,) * num}
    for chosen in itertools.combinations(range(num), dim):
        base = x[chosen[0]]
        _, spread, normal = np.linalg.svd(x[list(chosen[1:])] - base)
        if dim > 1 and spread[-1] <= _FLAT:
            continue  # these points do not span a hyperplane
        heights = (x - base) @ normal[-1]
        on = np.abs(heights) <= _FLAT
        for split in _patterns(x[on]):
            side = heights > 0
            side[on] = split
            found.add(tuple(side.tolist()))
            side = heights < 0
            side[on] = split
            found.add(tuple(side.tolist()))
    return found


class BestLoss(NamedTuple):
    """Bounds of the least loss of any network of a width.

    Attributes:
        lower: The least floor of any choice of patterns: no network is below it.
        upper: The least floor that is proven to be reached or approached.
        reached: Whether both are one number: then it is inf L.
        pattern: The patterns of `upper`, (n, K); neurons it does not need are off.
        num_fits: Least-squares fits that were made.
    """

    lower: Float[Array, ""]
    upper: Float[Array, ""]
    reached: bool
    pattern: Bool[Array, "n K"]
    num_fits: int


def best_loss(
    problem: Problem, neurons: Any, *, affine: Any, max_fits: Any = 100_000
) -> BestLoss:
    r"""The least loss of networks with n neurons, from the floors of all patterns.

    Every set of at most n different patterns is fitted (with an affine part, one of
    every pair of opposite patterns). The least floor bounds every network from below.
    A floor is reached if, for every neuron, one sign of c_i puts the minimiser η* on
    the right side of all data. A neuron that fails can be replaced by two with its
    pattern, one with c > 0 and one with c < 0, which make any η_i: so a set of m
    patterns is reached if at most n − m of them fail.

    Args:
        problem: Data with the squared loss, few and of few dimensions.
        neurons: n.
        affine: Whether the networks have an affine part.
        max_fits: Refuse more than so many fits.

    Returns:
        The bounds. Where the best fit of a set is not unique only the one of least
        norm is looked at, so `upper` may be larger than it has to be.

    Raises:
        ValueError: If the loss is not squared, or there are too many patterns: the
            message says how many.

    Example:
        >>> problem = Problem([[0.0], [1.0], [2.0], [3.0]], [0.0, 0.0, 1.0, 2.0])
        >>> best = best_loss(problem, 1, affine=False)
        >>> abs(float(best.upper)) < 1e-15, best.reached
        (True, True)
    """
    check_data(problem)
    neurons = _checks.count("neurons", neurons)
    limit = _checks.count("max_fits", max_fits)
    if not isinstance(problem.loss, SquaredError) or problem.out_dim is not None:
        raise ValueError(
            "Argument `problem` must have the squared loss of one output to have "
            f"floors, but has {type(problem.loss).__name__} and "
            f"{problem.out_dim or 1} outputs."
        )
    patterns = neuron_patterns(problem.x)
    patterns = patterns[patterns.any(axis=1)]
    if affine:  # the complement spans the same, and all on is the affine part
        patterns = patterns[~patterns[:, 0]]
    sizes = range(min(neurons, len(patterns)) + 1)
    number = sum(math.comb(len(patterns), size) for size in sizes)
    if number > limit:
        raise ValueError(
            f"Argument `max_fits` must be at least {number} to fit every set of "
            f"{neurons} of {len(patterns)} patterns, but is {limit}."
        )
    rows = min(_BATCH, max(math.comb(len(patterns), size) for size in sizes))
    lower, upper, best = math.inf, math.inf, np.zeros((neurons, problem.num_data), bool)
    for size in sizes:
        for sets in _batches(len(patterns), size, rows):
            active = np.zeros((len(sets), neurons, problem.num_data), bool)
            active[:, :size] = patterns[sets]
            values, failing = _fits(problem, jnp.asarray(active), bool(affine))
            lower = min(lower, float(np.min(values)))
            reached = np.where(failing <= neurons - size, values, np.inf)
            if np.min(reached) < upper:
                upper = float(np.min(reached))
                best = active[np.argmin(reached)]
    grain = float(jnp.finfo(problem.x.dtype).eps) * float(
        jnp.sum(problem.sample_weights * problem.y**2)
    )
    dtype = problem.x.dtype
    return BestLoss(
        jnp.asarray(lower, dtype),
        jnp.asarray(upper, dtype),
        upper - lower <= 1e3 * grain,
        jnp.asarray(best),
        number,
    )


def _batches(number: int, size: int, num_rows: int):
    """Sets of so many indices, in batches of so many rows, the last filled up."""
    sets = itertools.combinations(range(number), size)
    while batch := list(itertools.islice(sets, num_rows)):
        rows = batch + [batch[-1]] * (num_rows - len(batch))
        yield np.array(rows, dtype=int).reshape(len(rows), size)


def _fits(problem: Problem, active, affine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Floors, and how many neurons have no sign that fits, for a batch of patterns."""
    values, failing = _fit_batch(
        problem.x, problem.y, problem.sample_weights, active, affine
    )
    return np.asarray(values), np.asarray(failing)


def _fit_one(x, y, q, active, affine: bool):
    fit: LeastSquares = least_squares(design_matrix(active, x, affine=affine), y, q)
    dim = x.shape[1] + 1
    eta = fit.coefficients[: active.shape[0] * dim].reshape(-1, dim)
    z = eta[:, :-1] @ x.T + eta[:, -1:]
    grain = 1e3 * jnp.finfo(x.dtype).eps * jnp.max(jnp.abs(y))
    # In the closure of the cell is enough: the loss is continuous.
    good = lambda s: jnp.all(jnp.where(active, s * z >= -grain, s * z <= grain), axis=1)
    fits = good(1) | good(-1) | ~jnp.any(active, axis=1)
    return fit.value, jnp.sum(~fits, dtype=jnp.int32)


_fit_batch = jax.jit(
    jax.vmap(_fit_one, in_axes=(None, None, None, 0, None)), static_argnums=4
)
