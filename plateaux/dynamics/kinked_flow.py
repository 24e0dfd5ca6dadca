r"""Exact gradient flow of two-layer networks with a kinked activation: one step.

The flow is the Clarke subgradient flow θ̇ ∈ −∂L(θ). A step is a Taylor polynomial of
the present mode; the functions that must keep their sign for the mode to last (z_ik of
every pair that does not slide; of every pair that does its α' and 1 − α'; c_i of a
neuron that slides) are polynomials too, and the first of them to change its sign ends
the step there. Then that neuron's modes are chosen anew.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .kinked_events import apply_event
from .kinked_state import (
    COMPLETED,
    DIVERGED,
    OUT_OF_STEPS,
    RUNNING,
    STALLED,
    TOO_MANY_EVENTS,
    Field,
    Monitor,
    Plan,
    Saved,
    State,
    neuron_norms,
)
from .mode_functions import ModeFunctions, mode_functions
from .modes import Data, Parameters, sliding_basis, slopes
from .polynomials import FirstRoot, evaluate_polynomial
from .series import Series, taylor_series

_GRAZING = 1e-8  # slope of a crossing, in units of the function's largest coefficient
_AT_ONCE = 1e-12  # of a step: two events nearer than this coincide
_MANY_AT_ONCE = 4  # events without progress in time, in units of pairs + neurons


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
    new = apply_event(data, e, new, root.which, event)
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


def _differentiable_root(functions: ModeFunctions, root: FirstRoot):
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


def _step_size(series: Series, state: State, field: Field):
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


def save_passed(
    state: State, field: Field, h, tau, polynomial, accepted, last
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
