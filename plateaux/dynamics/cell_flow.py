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

from typing import Any

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
from .cell_modes import (
    OFF,
    SLIDE,
    TOUCHES,
    Cell,
    Setting,
    cell_of,
    changes,
    consistent,
    guards_of,
    residual_of,
    setting_of,
    start_modes,
)
from .exponential_sums import first_negative
from .trajectory import EventKind, Events


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
    setting = setting_of(problem, network)
    run = _Run(setting, *start_modes(setting, _inner(network)))
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


def _inner(network: TwoLayer) -> Float[np.ndarray, "n d1"]:
    columns = [np.asarray(part, np.float64) for part in (network.w, network.b)]
    return np.column_stack(columns)


class _Run:
    """The loop over cells: modes, weights, time and what has happened."""

    def __init__(self, setting: Setting, modes, v, events):
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
            cell = cell_of(self.setting, self.modes, self.v, frozen)
            guards = guards_of(self.setting, self.modes, cell, frozen)
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

    def _save(self, cell: Cell, wanted, until: float) -> None:
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
        touching = (np.abs(x @ v) <= TOUCHES * size) | (row == SLIDE)
        touching[k] = True
        qr = setting.q * residual_of(setting, self.modes, self.v)
        leaves = None if becomes == EventKind.none else (k, becomes)
        new = consistent(setting, row, np.flatnonzero(touching), qr, i, leaves)
        self.events += changes(self.time, i, row, new)
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
