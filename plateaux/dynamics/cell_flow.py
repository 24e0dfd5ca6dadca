r"""Exact flow of the hidden layer: linear in every cell, hence in closed form.

With the outer weights c fixed, a squared loss and a ReLU (or leaky ReLU), gradient
flow is linear as long as no pair (neuron i, datum k) changes its mode. With
x̃ = (x, 1), z_ik = v_i·x̃_k, slopes α_ik (1 where on, the off slope elsewhere),

    r = Φv + e,    Φ_{k,(i,a)} = c_i α_ik x̃_ka,    e_k = p·x̃_k − y_k,
    v̇ = −PΦᵀQ r,   Q = diag(q),

P the projector that holds z_ik = 0 for the sliding pairs. The singular value
decomposition √QΦP = W S Uᵀ solves it, with rates λ_j = s_j²:

    v(t) = v(0) − Σ_j U_j b_j E_{λ_j}(t),    b = S Wᵀ √Q r(0),

E_λ(t) = (1 − e^{−λt})/λ, so that z_ik(t) and r_k(t) are sums of exponentials. So are
the multipliers of the sliding pairs: for the sliding data S of neuron i,

    m_i = δ a_i q r  on S,   X_S X_Sᵀ m_i = −X_S Σ_k α_ik q_k r_k x̃_k,   δ = 1 − slope,

and the pairs go on sliding while c_i m_ik ≥ 0 (else: off) and c_i(δ q_k r_k − m_ik)
≥ 0 (else: on). The first sign change of all these sums is the next event, see
`plateaux.dynamics.exponential_sums`; there the neuron's pairs on their boundary take
the consistent modes with the fewest changes. Everything is exact up to round-off.

Host-side NumPy in float64, one network at a time: a check and a tool for theory, not
for sweeps.
"""

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .. import _checks
from ..networks.activations import Identity, LeakyReLU, ReLU
from ..networks.two_layer import TwoLayer
from ..problems.losses import SquaredError
from ..problems.problem import Problem, check_data, check_match
from .exponential_sums import ExponentialSums, first_negative, growth
from .trajectory import EventKind, Events

OFF, ON, SLIDE = int(EventKind.off), int(EventKind.on), int(EventKind.slide)
# Relative to the size of what is compared: above accumulated round-off, below events.
_TOUCHES = 1e-12
_STILL = 1e-10


class CellFlow(eqx.Module):
    """The exact flow of the hidden layer.

    Attributes:
        network: The network at time `time`.
        time: Where the flow ended: t1, or the last event if there were too many, or
            where round-off hides which mode is next.
        times: Saved times.
        losses: Loss at the saved times.
        networks: Networks at the saved times, with a leading time axis.
        events: All events, in a table just as long as it must be.
        sliding_time: Time with at least one sliding pair.
        most_sliding: Largest number of pairs of one neuron that slid together.
        completed: Whether t1 was reached.
    """

    network: TwoLayer
    time: Float[Array, ""]
    times: Float[Array, " t"]
    losses: Float[Array, " t"]
    networks: TwoLayer
    events: Events
    sliding_time: Float[Array, ""]
    most_sliding: Int[Array, ""]
    completed: Bool[Array, ""]


def cell_flow(
    problem: Problem,
    network: TwoLayer,
    *,
    t1: Any,
    times: Any = None,
    max_events: int = 10_000,
) -> CellFlow:
    r"""Gradient flow of w and b with c and p fixed, exact to round-off.

    Clarke subgradient flow v̇ ∈ −∂_v L, cell by cell in closed form, with sliding
    along kinks. A neuron whose weights reach v = 0 is absorbed there (`collapse`); the
    flow has other continuations at that point if a direction of descent leaves it.

    Args:
        problem: Data with squared loss and scalar targets.
        network: Initial network, with ReLU, leaky ReLU or identity activation.
        t1: Flow time to reach, positive.
        times: Times to save, increasing, in [0, t1]; None for start and end.
        max_events: The flow ends early at an event after this many.

    Returns:
        The flow.

    Raises:
        ValueError: If loss, activation, shapes or times are not as said, or the
            values are traced.

    Example:
        >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([-1.0, 1.0])
        >>> net = TwoLayer(w=[[0.2]], b=[0.1], c=[1.0])
        >>> flow = cell_flow(Problem(x, y), net, t1=50.0)
        >>> [EventKind(int(kind)).name for kind in flow.events.kind]
        ['slide']
        >>> print(flow.losses[-1].round(6))
        0.25

    Reference: Filippov (1988), Differential Equations with Discontinuous Righthand
    Sides, for sliding; the closed form is derived at the head of this module.
    """
    check_match(problem, network)
    _check_kind(problem, network)
    t1 = float(_checks.positive("t1", t1))
    max_events = _checks.count("max_events", max_events)
    wanted = _saved_times(times, t1)
    setting = _setting(problem, network)
    run = _Run(setting, *_start(setting, _inner(network)))
    completed = run.advance(t1, wanted, max_events)
    return _result(problem, network, run, wanted, completed)


def _check_kind(problem: Problem, network: TwoLayer) -> None:
    check_data(problem)
    if not isinstance(network, TwoLayer):
        raise TypeError(
            f"Argument `network` must be a TwoLayer, but is a {type(network).__name__}."
        )
    if not isinstance(problem.loss, SquaredError):
        raise ValueError(
            "Argument `problem` must have the squared loss, of which the gradient is "
            f"linear, but has {problem.loss}."
        )
    if not isinstance(network.activation, (ReLU, LeakyReLU, Identity)):
        raise ValueError(
            "Argument `network` must have a piecewise linear activation (relu, "
            f"leaky_relu, identity), but has {network.activation}."
        )
    if not all(map(_checks.is_concrete, jax.tree.leaves((problem, network)))):
        raise ValueError(
            "Arguments `problem` and `network` must not be traced by jit or vmap: "
            "cell_flow runs on the host, one network at a time."
        )


def _saved_times(times: Any, t1: float) -> Float[np.ndarray, " t"]:
    if times is None:
        return np.array([0.0, t1])
    wanted = np.asarray(times, np.float64)
    inside = wanted.ndim == 1 and np.all((wanted >= 0) & (wanted <= t1))
    if not (inside and np.all(np.diff(wanted) > 0)):
        raise ValueError(
            "Argument `times` must be a row of increasing times between 0 and t1, but "
            f"is {times!r}."
        )
    return wanted


class _Setting(NamedTuple):
    """What never changes: x̃, y − p·x̃, q, c and the slope of the off side."""

    x: Float[np.ndarray, "K d1"]
    target: Float[np.ndarray, " K"]
    q: Float[np.ndarray, " K"]
    c: Float[np.ndarray, " n"]
    slope: float


def _setting(problem: Problem, network: TwoLayer) -> _Setting:
    host = lambda array: np.asarray(array, np.float64)
    x, y = host(problem.x), host(problem.y)
    x1 = np.column_stack([x, np.ones(len(x))])
    affine = 0.0 if network.p is None else x1 @ host(network.p)
    slope = float(network.activation.derivative(jnp.zeros((), problem.x.dtype)))
    q = host(problem.weights)
    q = q / np.sum(q) if problem.normalisation == "mean" else q
    return _Setting(x1, y - affine, q, host(network.c), slope)


def _inner(network: TwoLayer) -> Float[np.ndarray, "n d1"]:
    columns = [np.asarray(part, np.float64) for part in (network.w, network.b)]
    return np.column_stack(columns)


class _Cell(NamedTuple):
    """The closed form while all modes stay: v(t) = v(0) − Σ_j U_j b_j E_j(t)."""

    v: Float[np.ndarray, "n d1"]
    directions: Float[np.ndarray, "n d1 R"]
    amplitudes: Float[np.ndarray, " R"]
    rates: Float[np.ndarray, " R"]
    residual: Float[np.ndarray, " K"]
    residual_weights: Float[np.ndarray, "K R"]

    def at(self, t: float) -> Float[np.ndarray, "n d1"]:
        return self.v - self.directions @ (self.amplitudes * growth(self.rates, t))


def _alpha(setting: _Setting, modes) -> Float[np.ndarray, "..."]:
    """Slopes; sliding pairs count with the off slope, their z being 0."""
    return np.where(modes == ON, 1.0, setting.slope)


def _residual(setting: _Setting, modes, v) -> Float[np.ndarray, " K"]:
    z = v @ setting.x.T
    return setting.c @ (_alpha(setting, modes) * z) - setting.target


def _cell(setting: _Setting, modes, v, frozen) -> _Cell:
    """Solve the linear flow of these modes."""
    features = (setting.c[:, None] * _alpha(setting, modes))[:, :, None] * setting.x
    for i in range(len(v)):
        span = setting.x[modes[i] == SLIDE]
        features[i] -= features[i] @ np.linalg.pinv(span) @ span
    features[frozen] = 0
    flat = np.moveaxis(features, 1, 0).reshape(len(setting.x), -1)
    root = np.sqrt(setting.q)
    left, singular, right = np.linalg.svd(root[:, None] * flat, full_matrices=False)
    residual = _residual(setting, modes, v)
    amplitudes = singular * (left.T @ (root * residual))
    return _Cell(
        v,
        right.T.reshape(*v.shape, -1),
        amplitudes,
        singular**2,
        residual,
        -(flat @ right.T) * amplitudes,
    )


class _Guards(NamedTuple):
    """Sums that stay positive while the modes last, and what it means if one stops."""

    sums: ExponentialSums
    flat: Bool[np.ndarray, " M"]
    neuron: Int[np.ndarray, " M"]
    datum: Int[np.ndarray, " M"]
    becomes: Int[np.ndarray, " M"]  # off or on: end of sliding; none: crossing


def _guards(setting: _Setting, modes, cell: _Cell, frozen) -> _Guards:
    z = cell.v @ setting.x.T
    # Rows of z that are zero up to round-off start at zero exactly, on their side.
    size = np.linalg.norm(cell.v, axis=1)[:, None] * np.linalg.norm(setting.x, axis=1)
    start = np.where(np.abs(z) <= _TOUCHES * size, 0.0, z)
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
    return _Guards(sums, flat, *map(np.concatenate, (neurons, data, becomes)))


def _multiplier_maps(setting: _Setting, row, held):
    """Matrices that take r to m and to δqr − m at the held data of one neuron."""
    weights = _alpha(setting, row) * setting.q
    below = -np.linalg.pinv(setting.x[held]).T @ setting.x.T * weights
    above = -below
    above[np.arange(held.size), held] += (1 - setting.slope) * setting.q[held]
    return below, above


def _start(setting: _Setting, v):
    """Modes of the initial point: where z = 0 exactly, what happens next decides."""
    z = v @ setting.x.T
    modes = np.where(z > 0, ON, OFF)
    events = []
    for i in map(int, np.flatnonzero(np.any(z == 0, axis=1) & np.any(v, axis=1))):
        qr = setting.q * _residual(setting, modes, v)
        row = _consistent(setting, modes[i], np.flatnonzero(z[i] == 0), qr, i)
        events += _changes(0.0, i, modes[i], row)
        modes[i] = row
    return modes, v, events


def _changes(time: float, i: int, old, new) -> list[tuple[float, int, int, int]]:
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


def _consistent(setting: _Setting, row, boundary, qr, i: int, leaves=None):
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


class _Run:
    """The loop over cells: modes, weights, time and what has happened."""

    def __init__(self, setting: _Setting, modes, v, events):
        self.setting, self.modes, self.v, self.events = setting, modes, v, events
        self.time = self.sliding_time = 0.0
        self.collapsed = ~np.any(v, axis=1)
        self.most_sliding = int(np.max(np.sum(modes == SLIDE, axis=1)))
        self.saved: list[np.ndarray] = []

    def advance(self, t1: float, wanted, max_events: int) -> bool:
        """Go from cell to cell until t1; False if it had to stop before.

        It also stops after ten events in a row without effect: then a
        velocity that decides a mode is lost in round-off (a residual 10⁻¹⁶ times the
        others).
        """
        stuck = 0
        while True:
            frozen = self._frozen()
            cell = _cell(self.setting, self.modes, self.v, frozen)
            guards = _guards(self.setting, self.modes, cell, frozen)
            found = first_negative(guards.sums, t1 - self.time, guards.flat)
            length = t1 - self.time if found is None else found[0]
            self._save(cell, wanted, self.time + length)
            if np.any(self.modes[~frozen] == SLIDE):
                self.sliding_time += length
            self.v = cell.at(length)
            if found is None:
                self.time = t1
                return True
            self.time += length
            which, known = found[1], len(self.events)
            self._event(*(int(part[which]) for part in guards[2:]))
            stuck = stuck + 1 if len(self.events) == known else 0
            if len(self.events) >= max_events or stuck > 10:
                return False

    def _frozen(self):
        silent = np.all(self.modes == OFF, axis=1) & (self.setting.slope == 0)
        return self.collapsed | silent | (self.setting.c == 0)

    def _save(self, cell: _Cell, wanted, until: float) -> None:
        while len(self.saved) < len(wanted) and wanted[len(self.saved)] <= until:
            self.saved.append(cell.at(wanted[len(self.saved)] - self.time))

    def _event(self, i: int, k: int, becomes: int) -> None:
        setting, row = self.setting, self.modes[i]
        x, v = setting.x, self.v[i]
        size = np.linalg.norm(v) * np.linalg.norm(x, axis=1)
        held = np.flatnonzero(row == SLIDE)
        line = held.size and np.linalg.matrix_rank(x[held]) == x.shape[1] - 1
        if line and becomes == EventKind.none:
            # On a line, all other boundaries of the neuron meet in v = 0.
            self.events.append((self.time, i, int(held[0]), int(EventKind.collapse)))
            self.v[i], self.modes[i], self.collapsed[i] = 0.0, OFF, True
            return
        touching = (np.abs(x @ v) <= _TOUCHES * size) | (row == SLIDE)
        touching[k] = True
        qr = setting.q * _residual(setting, self.modes, self.v)
        leaves = None if becomes == EventKind.none else (k, becomes)
        new = _consistent(setting, row, np.flatnonzero(touching), qr, i, leaves)
        self.events += _changes(self.time, i, row, new)
        self.modes[i] = new
        span = x[(new == SLIDE) | (np.arange(len(x)) == k)]
        self.v[i] = v - np.linalg.pinv(span) @ (span @ v)
        self.most_sliding = max(self.most_sliding, int(np.sum(new == SLIDE)))


def _result(problem, network, run: _Run, wanted, completed: bool) -> CellFlow:
    dtype = problem.x.dtype
    device = lambda array: jnp.asarray(array, dtype)
    put = lambda v: eqx.tree_at(
        lambda net: (net.w, net.b), network, (device(v[..., :-1]), device(v[..., -1]))
    )
    saved = np.stack(run.saved) if run.saved else np.zeros((0, *run.v.shape))
    repeated = eqx.tree_at(
        lambda net: jax.tree.leaves((net.c, net.p)),
        put(saved),
        [
            jnp.asarray(np.broadcast_to(leaf, (len(saved), *leaf.shape)))
            for leaf in jax.tree.leaves((network.c, network.p))
        ],
    )
    columns = np.array(run.events, float).reshape(-1, 4).T
    time, (neuron, datum, kind) = columns[0], columns[1:].astype(np.int32)
    z = saved @ run.setting.x.T
    active = np.where(z > 0, z, run.setting.slope * z)
    residuals = np.einsum("n,tnk->tk", run.setting.c, active) - run.setting.target
    return CellFlow(
        network=put(run.v),
        time=device(run.time),
        times=device(wanted[: len(saved)]),
        losses=device(0.5 * residuals**2 @ run.setting.q),
        networks=repeated,
        events=Events(
            *(device(time), jnp.asarray(neuron), jnp.asarray(datum)),
            *(jnp.asarray(kind), jnp.asarray(time.size, jnp.int32)),
            overflow=jnp.asarray(not completed),  # more happened, or would have
        ),
        sliding_time=device(run.sliding_time),
        most_sliding=jnp.asarray(run.most_sliding, jnp.int32),
        completed=jnp.asarray(completed),
    )
