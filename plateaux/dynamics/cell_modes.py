"""Modes of all pairs of a cell, their closed form, and what follows at an event.

See `plateaux.dynamics.cell_flow` for the equations.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .exponential_sums import ExponentialSums, growth
from .trajectory import EventKind

OFF, ON, SLIDE = int(EventKind.off), int(EventKind.on), int(EventKind.slide)
# Relative to the size of what is compared: above accumulated round-off, below events.
TOUCHES = 1e-12
_STILL = 1e-10


class Setting(NamedTuple):
    """What never changes: x̃, y − p·x̃, q, c and the slope of the off side."""

    x: Float[np.ndarray, "K d1"]
    target: Float[np.ndarray, " K"]
    q: Float[np.ndarray, " K"]
    c: Float[np.ndarray, " n"]
    slope: float


def setting_of(problem: Problem, network: TwoLayer) -> Setting:
    """That of a problem and a network, in float64."""
    host = lambda array: np.asarray(array, np.float64)
    x, y = host(problem.x), host(problem.y)
    x1 = np.column_stack([x, np.ones(len(x))])
    affine = 0.0 if network.p is None else x1 @ host(network.p)
    slope = float(network.activation.derivative(jnp.zeros((), problem.x.dtype)))
    q = host(problem.weights)
    q = q / np.sum(q) if problem.normalisation == "mean" else q
    return Setting(x1, y - affine, q, host(network.c), slope)


class Cell(NamedTuple):
    """The closed form while all modes stay: v(t) = v(0) − Σ_j U_j b_j E_j(t)."""

    v: Float[np.ndarray, "n d1"]
    directions: Float[np.ndarray, "n d1 R"]
    amplitudes: Float[np.ndarray, " R"]
    rates: Float[np.ndarray, " R"]
    residual: Float[np.ndarray, " K"]
    residual_weights: Float[np.ndarray, "K R"]

    def at(self, t: float) -> Float[np.ndarray, "n d1"]:
        """The inner weights at a time since the cell began."""
        return self.v - self.directions @ (self.amplitudes * growth(self.rates, t))


def _alpha(setting: Setting, modes) -> Float[np.ndarray, "..."]:
    """Slopes; sliding pairs count with the off slope, their z being 0."""
    return np.where(modes == ON, 1.0, setting.slope)


def residual_of(setting: Setting, modes, v) -> Float[np.ndarray, " K"]:
    """The residual r = f − y."""
    z = v @ setting.x.T
    return setting.c @ (_alpha(setting, modes) * z) - setting.target


def cell_of(setting: Setting, modes, v, frozen) -> Cell:
    """Solve the linear flow of these modes."""
    features = (setting.c[:, None] * _alpha(setting, modes))[:, :, None] * setting.x
    for i in range(len(v)):
        span = setting.x[modes[i] == SLIDE]
        features[i] -= features[i] @ np.linalg.pinv(span) @ span
    features[frozen] = 0
    flat = np.moveaxis(features, 1, 0).reshape(len(setting.x), -1)
    root = np.sqrt(setting.q)
    left, singular, right = np.linalg.svd(root[:, None] * flat, full_matrices=False)
    residual = residual_of(setting, modes, v)
    amplitudes = singular * (left.T @ (root * residual))
    return Cell(
        v,
        right.T.reshape(*v.shape, -1),
        amplitudes,
        singular**2,
        residual,
        -(flat @ right.T) * amplitudes,
    )


class Guards(NamedTuple):
    """Sums that stay positive while the modes last, and what it means if one stops."""

    sums: ExponentialSums
    flat: Bool[np.ndarray, " M"]
    neuron: Int[np.ndarray, " M"]
    datum: Int[np.ndarray, " M"]
    becomes: Int[np.ndarray, " M"]  # off or on: end of sliding; none: crossing


def guards_of(setting: Setting, modes, cell: Cell, frozen) -> Guards:
    """All that must stay positive for these modes to last."""
    z = cell.v @ setting.x.T
    # Rows of z that are zero up to round-off start at zero exactly, on their side.
    size = np.linalg.norm(cell.v, axis=1)[:, None] * np.linalg.norm(setting.x, axis=1)
    start = np.where(np.abs(z) <= TOUCHES * size, 0.0, z)
    weights = -(setting.x @ cell.directions) * cell.amplitudes  # (n, K, R)
    side = np.where(modes == ON, 1.0, -1.0)
    neuron, datum = np.nonzero((modes != SLIDE) & ~frozen[:, None])
    sign = side[neuron, datum]
    starts = [sign * start[neuron, datum]]
    slopes = [sign[:, None] * weights[neuron, datum]]
    becomes = [np.full(neuron.size, int(EventKind.none))]
    neurons, data = [neuron], [datum]
    for i in np.flatnonzero(np.any(modes == SLIDE, axis=1)):
        held = np.flatnonzero(modes[i] == SLIDE)
        below, above = _multiplier_maps(setting, modes[i], held)
        for kind, matrix in ((OFF, setting.c[i] * below), (ON, setting.c[i] * above)):
            starts.append(matrix @ cell.residual)
            slopes.append(matrix @ cell.residual_weights)
            becomes.append(np.full(held.size, kind))
            neurons.append(np.full(held.size, i))
            data.append(held)
    sums = ExponentialSums(np.concatenate(starts), np.concatenate(slopes), cell.rates)
    slope, scale = np.sum(sums.weights, axis=1), np.sum(np.abs(sums.weights), axis=1)
    flat = (sums.start == 0) & (np.abs(slope) <= _STILL * scale)
    return Guards(sums, flat, *map(np.concatenate, (neurons, data, becomes)))


def _multiplier_maps(setting: Setting, row, held):
    """Matrices that take r to m and to δqr − m at the held data of one neuron."""
    weights = _alpha(setting, row) * setting.q
    below = -np.linalg.pinv(setting.x[held]).T @ setting.x.T * weights
    above = -below
    above[np.arange(held.size), held] += (1 - setting.slope) * setting.q[held]
    return below, above


def start_modes(setting: Setting, v):
    """Modes of the initial point: where z = 0 exactly, what happens next decides."""
    z = v @ setting.x.T
    modes = np.where(z > 0, ON, OFF)
    events = []
    for i in map(int, np.flatnonzero(np.any(z == 0, axis=1) & np.any(v, axis=1))):
        qr = setting.q * residual_of(setting, modes, v)
        row = consistent(setting, modes[i], np.flatnonzero(z[i] == 0), qr, i)
        events += changes(0.0, i, modes[i], row)
        modes[i] = row
    return modes, v, events


def changes(time: float, i: int, old, new) -> list[tuple[float, int, int, int]]:
    """Time, neuron, datum and new mode of every pair that changed."""
    return [(time, i, int(k), int(new[k])) for k in np.flatnonzero(new != old)]


def _choices(row, boundary, options) -> Iterator[tuple[int, ...]]:
    """Assignments of modes to the boundary, those with the fewest changes first."""
    size = len(boundary)
    for changes in range(size + 1):
        for places in itertools.combinations(range(size), changes):
            new = [
                [m for m in options[j] if m != row[boundary[j]]]
                if j in places
                else [m for m in options[j] if m == row[boundary[j]]]
                for j in range(size)
            ]
            yield from itertools.product(*new)


def consistent(setting: Setting, row, boundary, qr, i: int, leaves=None):
    """Modes of neuron i with which every pair in `boundary` does what its mode says.

    `leaves` is (datum, mode) for a pair whose multiplier reached an end: its mode is
    known and its velocity is zero up to round-off, so it is not looked at.
    """
    delta = 1 - setting.slope
    attracts = setting.c[i] * qr * delta > 0
    options = [(OFF, ON, SLIDE) if attracts[k] else (OFF, ON) for k in boundary]
    forced = np.zeros(len(boundary), bool)
    if leaves is not None:
        forced = boundary == leaves[0]
        options = [
            (leaves[1],) if f else o for f, o in zip(forced, options, strict=True)
        ]
    for choice in _choices(row, boundary, options):
        trial = row.copy()
        trial[boundary] = choice
        held = np.flatnonzero(trial == SLIDE)
        if held.size and np.linalg.matrix_rank(setting.x[held]) == setting.x.shape[1]:
            continue  # nothing but v = 0 could slide on so many
        alpha = _alpha(setting, trial)
        below, _ = _multiplier_maps(setting, trial, held)
        share = (below @ (qr / np.where(setting.q > 0, setting.q, 1.0))) / (
            delta * qr[held] if held.size else 1.0
        )
        # Strict: together with the slack below, every velocity finds some mode.
        if np.any(share <= 0) or np.any(share >= 1):
            continue
        alpha[held] += delta * share
        pulls = -setting.c[i] * (alpha * qr)[:, None] * setting.x
        z_dot = setting.x[boundary] @ np.sum(pulls, axis=0)
        slack = _STILL * np.sum(np.abs(setting.x[boundary] @ pulls.T), axis=1)
        chosen = np.array(choice)
        wrong = ((chosen == OFF) & (z_dot > slack)) | (
            (chosen == ON) & (z_dot < -slack)
        )
        if not np.any(wrong & ~forced):
            return trial
    raise RuntimeError(f"neuron {i} has no consistent modes at its data {boundary}")
