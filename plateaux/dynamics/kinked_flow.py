r"""Exact gradient flow of two-layer networks with a kinked activation: one step.

The flow is the Clarke subgradient flow θ̇ ∈ −∂L(θ). A step is a Taylor polynomial of
the present mode; the functions that must keep their sign for the mode to last (z_ik of
every pair that does not slide; of every pair that does its α' and 1 − α'; c_i of a
neuron that slides) are polynomials too, and the first of them to change its sign ends
the step there. Then that neuron's modes are chosen anew.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import extended
from ..networks.two_layer import TwoLayer, inner_weights
from ..problems.problem import Problem
from .modes import (
    Basis,
    Choice,
    Data,
    Modes,
    Parameters,
    basis,
    choose_modes,
    replace_row,
    sliding_basis,
    sliding_pairs,
    slopes,
)
from .polynomials import FirstRoot, bernstein_matrix, evaluate_polynomial, first_root
from .series import Series, inner_products, taylor_series
from .trajectory import EventKind

_SAVES_A_STEP = 8
MOST_SLIDES = 8  # data one neuron slides along at once
# A run takes some tens of steps, whose errors add up to about the tolerance.
SAFETY = 0.1
# A pre-activation nearer to 0 than this many rounding units of ‖v_i‖‖x̃_k‖ is on its
# boundary: it is a sum of d+1 products of Taylor sums.
_ON_BOUNDARY = 64
_COLLAPSED = 1e-12  # of the neuron's norm: all its boundaries meet at v = 0
_GRAZING = 1e-8  # slope of a crossing, in units of the function's largest coefficient
_AT_ONCE = 1e-12  # of a step: two events nearer than this coincide
_MANY_AT_ONCE = 4  # events without progress in time, in units of pairs + neurons


class Plan(NamedTuple):
    """What is fixed when the program is compiled.

    Attributes:
        order: Order N of the Taylor polynomials.
        max_steps: Attempted steps after which the run ends.
        max_events: Rows of the table of events.
        num_saved: Saved times.
        method: "auto", "explicit" or "stiff".
    """

    order: int
    max_steps: int
    max_events: int
    num_saved: int
    method: str = "auto"

    @property
    def saves_a_step(self) -> int:
        """Most saved times in one step."""
        return min(_SAVES_A_STEP, self.num_saved)


class Tolerances(NamedTuple):
    """Error allowed a step, relative to a neuron's norm now and at the start."""

    rtol: Float[Array, ""]
    atol: Float[Array, ""]


class Table(NamedTuple):
    """Events so far.

    Attributes:
        time: When.
        columns: Neuron, datum, kind, previous kind, whether the neuron died.
        count: Rows in use.
    """

    time: Float[Array, " E"]
    columns: Int[Array, "E 5"]
    count: Int[Array, ""]


class Saved(NamedTuple):
    """Parameters at the saved times so far, and how many there are."""

    v: Float[Array, "t n D"]
    c: Float[Array, "t n"]
    p: Float[Array, "t D"] | None
    steps: Int[Array, " t"]
    count: Int[Array, ""]


class Monitor(NamedTuple):
    """Free monitors and counts.

    Attributes:
        energy: ∫‖θ̇‖² dt so far.
        slide_distance: Largest |z_ik|/(‖v_i‖‖x̃_k‖) of a sliding pair.
        sliding_time: Time with at least one sliding pair.
        ambiguous: Times the continuation was not unique.
        grazing: Events at which the flow has no derivative.
        steps: Accepted steps.
        stiff_steps: How many of them the stiff method took.
        attempts: All steps.
        idle: Events since time last advanced.
    """

    energy: Float[Array, ""]
    slide_distance: Float[Array, ""]
    sliding_time: Float[Array, ""]
    ambiguous: Int[Array, ""]
    grazing: Int[Array, ""]
    steps: Int[Array, ""]
    stiff_steps: Int[Array, ""]
    attempts: Int[Array, ""]
    idle: Int[Array, ""]


(
    RUNNING,
    COMPLETED,
    OUT_OF_STEPS,
    TOO_MANY_EVENTS,
    DIVERGED,
    STALLED,
    TOO_MANY_SLIDES,
) = range(7)


class State(NamedTuple):
    """What the next step needs, and what is kept of the last ones.

    Attributes:
        time: Flow time.
        parameters: θ.
        start_norms: ‖θ_i(0)‖.
        modes: Mode of every pair.
        longest: Longest step to try next, after one whose events were uncertain.
        stiff: Whether the stiff method is to take the next step.
        last_steps: The last step sizes of the explicit and of the stiff method.
        status: One of the numbers above.
        table: Events.
        saved: Saved parameters.
        monitor: Monitors.
    """

    time: Float[Array, ""]
    parameters: Parameters
    start_norms: Float[Array, " n"]
    modes: Modes
    longest: Float[Array, ""]
    stiff: Bool[Array, ""]
    last_steps: Float[Array, "2"]
    status: Int[Array, ""]
    table: Table
    saved: Saved
    monitor: Monitor


def data_of(problem: Problem, network: TwoLayer) -> Data:
    """The vector field's data."""
    x1 = extended(problem.x)
    norm = jnp.sqrt(jnp.sum(x1**2, axis=1))
    activation: Any = network.activation
    return Data(x1, norm, getattr(activation, "slope", 0.0), 1.0)


def parameters_of(network: TwoLayer) -> Parameters:
    """V = (w, b), c and p of a network."""
    return Parameters(inner_weights(network), network.c, network.p)


def neuron_norms(parameters: Parameters) -> Float[Array, "*j n"]:
    """‖(v_i, c_i)‖, also of every coefficient of a series."""
    return jnp.sqrt(jnp.sum(parameters.v**2, axis=-1) + parameters.c**2)


def output_gradient(problem: Problem, data: Data, parameters: Parameters):
    """e_k = q_k ∂ℓ_k/∂f at these parameters."""
    z = parameters.v @ data.x1.T
    phi = jnp.where(z > 0, data.slope_on * z, data.slope_off * z)
    f = parameters.c @ phi
    if parameters.p is not None:
        f = f + data.x1 @ parameters.p
    return problem.sample_weights * jax.vmap(problem.loss.gradient)(f, problem.y)


def boundary_width(data: Data, v: Float[Array, "n D"]) -> Float[Array, "n K"]:
    """|z_ik| below this is on the boundary."""
    norm = jnp.sqrt(jnp.sum(v**2, axis=-1))
    return _ON_BOUNDARY * jnp.finfo(v.dtype).eps * norm[:, None] * data.norm[None, :]


def network_of(like: TwoLayer, parameters: Parameters) -> TwoLayer:
    """The network with these parameters."""
    v, c, p = parameters
    return eqx.tree_at(
        lambda net: (net.w, net.b, net.c, net.p),
        like,
        (v[:, :-1], v[:, -1], c, p),
        is_leaf=lambda leaf: leaf is None,
    )


def field_of(
    problem: Problem, network: TwoLayer, rtol, atol, times, plan: Plan
) -> "Field":
    """What the steps of a run of networks like this one need."""
    tolerances = Tolerances(SAFETY * rtol, SAFETY * atol)
    return Field(problem, data_of(problem, network), tolerances, times, plan)


def start_state(problem: Problem, network: TwoLayer, plan: Plan) -> State:
    """The state at time 0; pairs that start on their boundary are off."""
    data, parameters = data_of(problem, network), parameters_of(network)
    dtype = parameters.v.dtype
    num, dim = parameters.v.shape
    zero, none = jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
    room = plan.num_saved + plan.saves_a_step
    places = min(dim - 1, data.x1.shape[0], MOST_SLIDES)
    rows = plan.max_events + places + 1
    state = State(
        time=zero,
        parameters=parameters,
        start_norms=neuron_norms(parameters),
        modes=Modes(
            parameters.v @ data.x1.T > boundary_width(data, parameters.v),
            jnp.full((num, places), -1, jnp.int32),
        ),
        longest=jnp.full((), jnp.inf, dtype),
        stiff=jnp.zeros((), bool),
        last_steps=jnp.zeros(2, dtype),
        status=none,
        table=Table(
            jnp.full(rows, jnp.inf, dtype), jnp.full((rows, 5), -1, jnp.int32), none
        ),
        saved=Saved(
            jnp.zeros((room, num, dim), dtype),
            jnp.zeros((room, num), dtype),
            None if parameters.p is None else jnp.zeros((room, dim), dtype),
            jnp.zeros(room, jnp.int32),
            none,
        ),
        monitor=Monitor(zero, zero, zero, *[none] * 6),
    )
    finite = jnp.all(jnp.isfinite(parameters.v)) & jnp.all(jnp.isfinite(parameters.c))
    if parameters.p is not None:
        finite = finite & jnp.all(jnp.isfinite(parameters.p))
    state = state._replace(
        status=jnp.where(finite, RUNNING, DIVERGED).astype(jnp.int32)
    )
    torn = _torn_at_start(problem, data, parameters)
    return state._replace(monitor=state.monitor._replace(ambiguous=torn))


def _torn_at_start(problem: Problem, data: Data, parameters: Parameters):
    """How many neurons start on a boundary that they may leave on either side.

    Pairs that start on their boundary count as off. Where that is not consistent they
    change their mode in an event at time 0; where both sides are, they stay off.
    """
    width = boundary_width(data, parameters.v)
    z = parameters.v @ data.x1.T
    s_off, s_on = one_sided_velocities(problem, data, parameters, z > width)
    torn = (jnp.abs(z) <= width) & (width > 0) & (s_off < 0) & (s_on > 0)
    return jnp.sum(torn, dtype=jnp.int32)


def one_sided_velocities(
    problem: Problem, data: Data, parameters: Parameters, on: Bool[Array, "n K"]
) -> tuple[Float[Array, "n K"], Float[Array, "n K"]]:
    """ż_ik with the pair off and with it on, all else equal.

    s_off = v̇_i·x̃_k with the pair off, s_on = s_off − c_i ε_k‖x̃_k‖².

    Args:
        problem: Data and loss.
        data: Inputs and slopes.
        parameters: Where.
        on: Sides of all pairs.

    Returns:
        s_off and s_on.
    """
    c = parameters.c[:, None]
    e = output_gradient(problem, data, parameters)
    slope = jnp.where(on, data.slope_on, jnp.asarray(data.slope_off, c.dtype))
    now = -c * ((slope * e[None, :]) @ data.x1 @ data.x1.T)
    step = -data.jump * c * (e * data.norm**2)[None, :]
    s_off = jnp.where(on, now - step, now)
    return s_off, s_off + step


class Field(NamedTuple):
    """What a step needs besides the state.

    Attributes:
        problem: Data and loss.
        data: Inputs and slopes.
        tolerances: Error allowed a step.
        times: Saved times.
        plan: What is fixed.
    """

    problem: Problem
    data: Data
    tolerances: Tolerances
    times: Float[Array, " t"]
    plan: Plan


def explicit_attempt(field: Field, state: State) -> State:
    """One attempted Taylor step; a state that has no use for it stays unchanged."""
    problem, data, _, times, plan = field
    running = (state.status == RUNNING) & ~state.stiff
    sliding = sliding_basis(data, state.modes)
    slope = slopes(data, state.modes)
    series = taylor_series(problem, data, slope, sliding, state.parameters, plan.order)
    # Where a step ends is a matter of tolerance, except at events and at the last time:
    # derivatives see only those.
    h, capped, longest = jax.lax.stop_gradient(_step_size(series, state, field))
    h = jnp.where(capped, times[-1] - state.time, h)
    h = jnp.where(running, h, 0)
    scaled = scale_series(series, h)
    polynomial = jax.tree.map(lambda a: a[:-1], scaled.parameters)
    functions = mode_functions(field, state.modes, sliding, polynomial, scaled)
    root = jax.lax.stop_gradient(functions).first_root()
    tiny = h <= 8 * jnp.finfo(h.dtype).eps * jnp.maximum(state.time, times[-1] * 1e-9)
    accepted = running & (~root.uncertain | tiny)
    event = accepted & (root.which >= 0)
    tau, grazes = _differentiable_root(functions, root)
    tau = jnp.where(accepted, jnp.where(event, tau, 1), 0)
    full = accepted & ~event
    # A step that is not cut short ends at its own end, without round-off.
    time = jnp.where(full & capped, times[-1], state.time + tau * h)
    moved = jax.tree.map(lambda a: evaluate_polynomial(a, tau), polynomial)
    new = state._replace(
        time=jnp.where(running, time, state.time),
        parameters=moved,
        longest=jnp.where(
            running & ~accepted, h / 2, jnp.where(running, jnp.inf, state.longest)
        ),
        stiff=state.stiff | (full & _is_stiff(series, longest, times[-1] - time, plan)),
        last_steps=jnp.where(full, jnp.stack([h, h]), state.last_steps),
        saved=save_passed(state, field, h, tau, polynomial, accepted, full & capped),
        monitor=watch_step(
            data,
            state,
            moved,
            tau * h,
            _energy(scaled.parameters, h, tau),
            accepted,
            running,
        ),
    )
    e = jax.lax.stop_gradient(evaluate_polynomial(scaled.e, tau))
    new = _apply_event(data, e, new, root.which, event)
    monitor = new.monitor
    monitor = monitor._replace(
        grazing=monitor.grazing + (event & grazes).astype(jnp.int32)
    )
    return end_step(state, new._replace(monitor=monitor), field)


def scale_series(series: Series, h: Float[Array, ""]) -> Series:
    """The series in powers of τ, t = τh."""
    size = series.parameters.c.shape[0]
    powers = jnp.cumprod(jnp.concatenate([jnp.ones(1, h.dtype), jnp.full(size - 1, h)]))
    scale = lambda a: a * powers[: a.shape[0]].reshape(-1, *[1] * (a.ndim - 1))
    return jax.tree.map(scale, series)


def _differentiable_root(functions: "ModeFunctions", root: FirstRoot):
    """The root with its derivative, dτ = −dp/p', and whether it has next to none.

    Where p' vanishes the kink only grazes the datum, near τ = 0 two events coincide:
    there the flow has no derivative.
    """
    a = functions.coefficients(jnp.maximum(root.which, 0))
    fixed = jax.lax.stop_gradient(a)
    value = evaluate_polynomial(a, root.tau)
    rate = evaluate_polynomial(
        fixed[1:] * np.arange(1, a.shape[0]).astype(a.dtype), root.tau
    )
    flat = jnp.abs(rate) <= _GRAZING * jnp.max(jnp.abs(fixed))
    shift = (value - jax.lax.stop_gradient(value)) / jnp.where(flat, 1, rate)
    return root.tau - jnp.where(flat, 0, shift), flat | (root.tau <= _AT_ONCE)


# The stiff method pays where the explicit step is this small a part of the time in
# which the velocity changes, and where this many more such steps would follow.
_STIFF_SHARE, _STIFF_STEPS = 0.03, 1000


def _is_stiff(series: Series, h, left, plan: Plan) -> Bool[Array, ""]:
    """Whether stability, not accuracy, holds the explicit step back."""
    if plan.method != "auto":
        return jnp.asarray(plan.method == "stiff")
    norm = lambda j: jnp.sqrt(sum(jnp.sum(a[j] ** 2) for a in leaves))
    leaves = jax.tree.leaves(series.parameters)
    slow = h * 2 * norm(2) < _STIFF_SHARE * norm(1)
    return slow & (left > _STIFF_STEPS * h)


def until_last_save(state: State, times, plan: Plan) -> Float[Array, ""]:
    """Time to the last of the saved times that fit in one step."""
    last = jnp.minimum(state.saved.count + plan.saves_a_step - 1, times.size - 1)
    return times[last] - state.time


def _step_size(series: Series, state: State, field: "Field"):
    """The next step, whether it reaches the last time, and what accuracy allows."""
    _, _, tolerances, times, plan = field
    order = series.e.shape[0] - 1
    sizes = neuron_norms(series.parameters)
    tol = tolerances.rtol * sizes[0] + tolerances.atol * state.start_norms
    steps = [
        _allowed(
            tol / jnp.where(sizes[0] > 0, sizes[0], 1), sizes[0], sizes[j], j, order
        )
        for j in (order, order + 1)
    ]
    if series.parameters.p is not None:
        sizes = jnp.sqrt(jnp.sum(series.parameters.p**2, axis=-1))
        for j in (order, order + 1):
            # against the affine part's norm, or what it gains in this step
            own = _allowed(tolerances.rtol, sizes[0], sizes[j], j, order)
            gain = _allowed(tolerances.rtol, sizes[1], sizes[j], j - 1, order - 1)
            steps.append(jnp.maximum(own, gain))
    allowed = jnp.min(jnp.concatenate([jnp.ravel(s) for s in steps]))
    h = jnp.minimum(allowed, state.longest)
    h = jnp.minimum(h, until_last_save(state, times, plan))
    left = times[-1] - state.time
    capped = h >= left
    return jnp.where(capped, left, h), capped, allowed


def _allowed(tol, size, coefficient, j: int, order: int):
    """The h with ‖a_j‖h^j = tol^(j/(N+1)) ‖a_0‖, as of a geometric series."""
    positive = coefficient > 0
    ratio = size / jnp.where(positive, coefficient, 1)
    h = tol ** (1 / (order + 1)) * ratio ** (1 / j)
    return jnp.where(positive & (size > 0), h, jnp.inf)


class ModeFunctions(NamedTuple):
    """All that must stay positive for the modes to last.

    They are σ_ik z_ik of the pairs that do not slide; β and ε − β, times the sign of
    ε, of those that do; and c_i, times its sign, of a neuron that slides. Functions in
    unused places are 1.

    Attributes:
        v, c, beta, epsilon: Power coefficients on the step.
        side: ±1, on or off; 0 for a pair that slides.
        used: Which places hold a sliding datum.
        noise: Error of the multipliers that the tolerance leaves: a kink that comes
            to rest with α' at an end of [0, 1] must not chatter within it.
        data: Inputs.
    """

    v: Float[Array, "j n D"]
    c: Float[Array, "j n"]
    beta: Float[Array, "j n m"]
    epsilon: Float[Array, "j n m"]
    side: Float[Array, "n K"]
    used: Bool[Array, "n m"]
    noise: Float[Array, "n m"]
    data: Data

    def pairs(self, v: Float[Array, "*j n D"]) -> Float[Array, "*j n K"]:
        """σ z from v, or from its coefficients in any basis that sums to one."""
        side = _lift(self.side, v.ndim)
        return jnp.where(side == 0, 1, side * inner_products(v, self.data.x1))

    def others(self, beta, epsilon, c) -> Float[Array, "*j o"]:
        """The functions of sliding pairs, likewise."""
        sign = lambda a: jnp.where(a >= 0, 1, -1).astype(a.dtype)
        used = _lift(self.used, beta.ndim)
        of_slot = _lift(sign(self.epsilon[0]), beta.ndim)
        of_c = _lift(sign(self.c[0]), c.ndim)
        low = jnp.where(used, of_slot * beta, 1)
        high = jnp.where(used, of_slot * (epsilon - beta), 1)
        outer = jnp.where(jnp.any(used, axis=-1), of_c * c, 1)
        flat = lambda a: a.reshape(*a.shape[:-2], -1)
        return jnp.concatenate([flat(low), flat(high), outer], axis=-1)

    def bernstein(self):
        """Both groups, by Bernstein coefficients."""
        matrix = bernstein_matrix(self.c.shape[0] - 1)
        convert = lambda a: _matmul(matrix, a)
        parts = (convert(a) for a in (self.beta, self.epsilon, self.c))
        return self.pairs(convert(self.v)), self.others(*parts)

    def first_root(self) -> FirstRoot:
        """Where the first of them changes its sign."""
        pairs, others = self.bernstein()
        eps = _ON_BOUNDARY * jnp.finfo(self.c.dtype).eps
        slot = jnp.ravel(self.noise + eps * jnp.abs(self.epsilon[0]))
        tolerance = (
            jnp.ravel(boundary_width(self.data, self.v[0])),
            jnp.concatenate([slot, slot, eps * jnp.abs(self.c[0])]),
        )
        return first_root(
            (pairs.reshape(pairs.shape[0], -1), others),
            tolerance,
            self.evaluate,
            self.coefficients,
        )

    def evaluate(self, tau):
        """Both groups at a point of the step."""
        at = lambda a: evaluate_polynomial(a, tau)
        parts = (at(a) for a in (self.beta, self.epsilon, self.c))
        return jnp.ravel(self.pairs(at(self.v))), self.others(*parts)

    def coefficients(self, which) -> Float[Array, " j"]:
        """Power coefficients of one function."""
        num_data = jnp.int32(self.side.shape[1])
        pairs = self.side.size
        i, k = jax.lax.div(which, num_data), jax.lax.rem(which, num_data)
        of_pair = self.side.ravel()[which] * (self.v[:, i] @ self.data.x1[k])
        of_other = self.others(self.beta, self.epsilon, self.c)[:, which - pairs]
        return jnp.where(which < pairs, of_pair, of_other)


def _lift(a: Array, ndim: int) -> Array:
    """The array with leading axes of length one."""
    return a.reshape(*[1] * (ndim - a.ndim), *a.shape)


def _matmul(matrix: np.ndarray, rows: Float[Array, "j ..."]) -> Float[Array, "j ..."]:
    """A constant matrix times rows, written out: a dot of this size is slower."""
    terms = jnp.asarray(matrix, rows.dtype).reshape(
        *matrix.shape, *[1] * (rows.ndim - 1)
    )
    return jnp.sum(terms * rows[None], axis=1)


def mode_functions(
    field: "Field", modes: Modes, sliding: Basis, polynomial: Parameters, series: Series
) -> ModeFunctions:
    """The functions on one step, from polynomials of one degree on [0, 1].

    The noise of β is what an error of the tolerance in f makes of g.
    """
    problem, data, rtol = field.problem, field.data, field.tolerances.rtol
    dtype = data.x1.dtype
    scale = jnp.abs(series.e[0]) + problem.sample_weights * jnp.abs(problem.y)
    noise = rtol * jnp.abs(slopes(data, modes)) @ (scale * data.norm)
    side = jnp.where(modes.on, 1, -1).astype(dtype)
    return ModeFunctions(
        v=polynomial.v,
        c=polynomial.c,
        beta=jax.vmap(sliding.multipliers)(series.g),
        epsilon=data.jump * series.e[:, modes.slides],
        side=jnp.where(sliding_pairs(modes), 0, side),
        used=modes.slides >= 0,
        noise=noise[:, None] / data.norm[modes.slides],
        data=data,
    )


def save_passed(
    state: State, field: "Field", h, tau, polynomial, accepted, last
) -> Saved:
    """Parameters at the saved times passed in this step."""
    saved, times, num = state.saved, field.times, field.plan.saves_a_step
    index = saved.count + jnp.arange(num, dtype=jnp.int32)
    due = times[jnp.minimum(index, times.size - 1)]
    at = (due - state.time) / jnp.where(h > 0, h, 1)
    passed = accepted & (index < times.size) & ((at <= tau) | last)
    at = jnp.clip(at, 0, tau)
    rows = jax.tree.map(
        lambda a: jax.vmap(lambda tau: evaluate_polynomial(a, tau))(at), polynomial
    )
    put = lambda all_, new: jax.lax.dynamic_update_slice_in_dim(
        all_, new, saved.count, 0
    )
    steps = jnp.full(num, state.monitor.steps + 1, jnp.int32)
    steps = jnp.where(due == 0, 0, steps)
    return Saved(
        put(saved.v, rows.v),
        put(saved.c, rows.c),
        None if saved.p is None else put(saved.p, rows.p),
        put(saved.steps, steps),
        saved.count + jnp.sum(passed, dtype=jnp.int32),
    )


def watch_step(
    data: Data, state: State, moved: Parameters, passed, energy, accepted, running
):
    """Monitors after an attempted step, of which this much time has passed."""
    monitor, slides = state.monitor, state.modes.slides
    used = slides >= 0
    z = jnp.sum(moved.v[:, None, :] * data.x1[slides], axis=-1)
    # Round-off is that of the step: where a neuron collapses it ends at ‖v‖ = 0.
    norms = (jnp.sqrt(jnp.sum(v**2, axis=-1)) for v in (state.parameters.v, moved.v))
    size = jnp.maximum(*norms)[:, None] * data.norm[slides]
    distance = jnp.where(used, jnp.abs(z) / jnp.where(size > 0, size, 1), 0)
    return Monitor(
        energy=monitor.energy + energy,
        slide_distance=jnp.maximum(monitor.slide_distance, jnp.max(distance)),
        sliding_time=monitor.sliding_time + jnp.where(jnp.any(used), passed, 0),
        ambiguous=monitor.ambiguous,
        grazing=monitor.grazing,
        steps=monitor.steps + accepted.astype(jnp.int32),
        stiff_steps=monitor.stiff_steps + (accepted & state.stiff).astype(jnp.int32),
        attempts=monitor.attempts + running.astype(jnp.int32),
        idle=jnp.where(passed > 0, 0, monitor.idle),
    )


def _energy(scaled: Parameters, h, tau) -> Float[Array, ""]:
    """∫‖θ̇‖² dt over the step's first part, by Gauss–Legendre quadrature.

    The nodes integrate a polynomial of the solution's own degree exactly; what is
    beyond is below the step's error.
    """
    order = scaled.c.shape[0] - 1
    nodes, weights = np.polynomial.legendre.leggauss(order // 2 + 2)
    s = tau * jnp.asarray((nodes + 1) / 2, tau.dtype)
    powers = jnp.cumprod(jnp.stack([jnp.ones_like(s), *[s] * (order - 1)]), axis=0)
    derivative = powers * jnp.arange(1, order + 1, dtype=tau.dtype)[:, None]
    squares = sum(
        jnp.sum((derivative.T @ a[1:].reshape(order, -1)) ** 2, axis=1)
        for a in jax.tree.leaves(scaled)
    )
    integral = tau / 2 * (jnp.asarray(weights, tau.dtype) @ squares)
    return integral / jnp.where(h > 0, h, 1)


def _apply_event(data: Data, e, state: State, which, event) -> State:
    """New modes of the neuron whose function changed its sign, and their record."""
    modes, (v, c, _) = state.modes, state.parameters
    num, num_data = modes.on.shape
    places = modes.slides.shape[1]
    # --- which neuron and datum, and where the datum goes ---
    which = jnp.maximum(which, 0)
    pairs, slots = jnp.int32(num * num_data), jnp.int32(num * places)
    num_data, places = jnp.int32(num_data), jnp.int32(places)
    is_pair, is_c = which < pairs, which >= pairs + 2 * slots
    slot = jax.lax.rem(jnp.maximum(which - pairs, 0), slots)
    i = jnp.where(is_pair, jax.lax.div(which, num_data), jax.lax.div(slot, places))
    i = jnp.where(is_c, which - pairs - 2 * slots, i)
    i = jnp.clip(i, 0, num - 1)
    k = jnp.where(
        is_pair,
        jax.lax.rem(which, num_data),
        modes.slides[i, jax.lax.rem(slot, places)],
    )
    k = jnp.where(is_c, -1, k)
    to_on = jnp.where(is_pair, ~modes.on[i, k], which >= pairs + slots)
    target = jnp.where(to_on, EventKind.on, EventKind.off).astype(jnp.int32)
    choice = choose_modes(
        *jax.lax.stop_gradient((data, e, c[i])),
        modes.on[i],
        modes.slides[i],
        k,
        target,
        release=is_c & event,
    )
    # --- collapse: every boundary at once ---
    # A neuron that slides along d data moves on a line through v = 0; nothing else
    # leads there in finite time but by a coincidence.
    norm = jnp.sqrt(jnp.sum(v[i] ** 2))
    on_line = jnp.sum(modes.slides[i] >= 0) == v.shape[1] - 1
    tiny = norm <= _COLLAPSED * jnp.sqrt(norm**2 + c[i] ** 2)
    collapse = is_pair & (on_line | tiny)
    collapse = collapse & (data.slope_off == 0)
    on = jnp.where(collapse, False, choice.on)
    slides = jnp.where(collapse, -1, choice.slides)
    alive = lambda on, slides: jnp.any(on) | jnp.any(slides >= 0)
    dies = alive(modes.on[i], modes.slides[i]) & ~alive(on, slides)
    dies = dies & (data.slope_off == 0)
    at = jnp.where(event, i, num)  # nowhere without an event
    modes = Modes(
        replace_row(modes.on, at, on),
        replace_row(modes.slides, at, slides),
    )
    rows = jnp.where(slides >= 0, data.x1.T[:, slides], 0).T
    v_i = jnp.where(collapse, 0, basis(rows).project_out(v[i]))
    table, count = _record(state, choice, i, k, collapse, dies, event)
    overflow = event & choice.overflow & ~collapse
    unclear = event & (choice.repelling | collapse)
    return state._replace(
        parameters=state.parameters._replace(v=replace_row(v, at, v_i)),
        modes=modes,
        table=table,
        status=jnp.where(overflow, TOO_MANY_SLIDES, state.status).astype(jnp.int32),
        monitor=state.monitor._replace(
            ambiguous=state.monitor.ambiguous + unclear.astype(jnp.int32),
            idle=state.monitor.idle + jnp.where(event, count, 0),
        ),
    )


def _record(state: State, choice: Choice, i, k, collapse, dies, event):
    """The table with the changed modes appended, the one that began it first."""
    table = state.table
    mine = choice.data == k
    changed = jnp.where(collapse, mine, choice.changed)
    kinds = jnp.where(collapse, EventKind.collapse, choice.kinds)
    rows = jnp.stack(
        [
            jnp.full(mine.size, i, jnp.int32),
            choice.data,
            kinds.astype(jnp.int32),
            choice.previous.astype(jnp.int32),
            jnp.full(mine.size, dies, jnp.int32),
        ],
        axis=1,
    )
    count = jnp.sum(changed, dtype=jnp.int32)
    leads = jnp.any(mine & changed).astype(jnp.int32)
    place = leads + jnp.cumsum(changed & ~mine, dtype=jnp.int32) - 1
    place = jnp.where(mine, 0, place) + table.count
    place = jnp.where(changed & event, place, table.time.size)
    return Table(
        table.time.at[place].set(state.time, mode="drop"),
        table.columns.at[place].set(rows, mode="drop"),
        table.count + jnp.where(event, count, 0),
    ), count


def end_step(old: State, new: State, field: Field) -> State:
    """The state after a step, or the last finite one, with its status."""
    leaves = [new.time, *jax.tree.leaves(new.parameters)]
    finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
    num, num_data = new.modes.on.shape
    times, plan = field.times, field.plan
    status = new.status
    for happened, code in (
        (new.monitor.attempts >= plan.max_steps, OUT_OF_STEPS),
        (new.time >= times[-1], COMPLETED),
        (new.monitor.idle > _MANY_AT_ONCE * (num * num_data + num), STALLED),
        (new.table.count > plan.max_events, TOO_MANY_EVENTS),
    ):
        status = jnp.where((new.status == RUNNING) & happened, code, status)
    keep = lambda a, b: jnp.where(finite, a, b)
    return new._replace(
        time=keep(new.time, old.time),
        parameters=jax.tree.map(keep, new.parameters, old.parameters),
        saved=new.saved._replace(count=keep(new.saved.count, old.saved.count)),
        status=jnp.where(finite | (old.status != RUNNING), status, DIVERGED).astype(
            jnp.int32
        ),
    )
