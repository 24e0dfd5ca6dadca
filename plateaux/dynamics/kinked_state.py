"""What a kinked flow carries from step to step, and its start."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import extended
from ..networks.two_layer import TwoLayer, inner_weights
from ..problems.problem import Problem
from .modes import Data, Modes, Parameters

_SAVES_A_STEP = 8
MOST_SLIDES = 8  # data one neuron slides along at once
# A run takes some tens of steps, whose errors add up to about the tolerance.
SAFETY = 0.1
# A pre-activation nearer to 0 than this many rounding units of ‖v_i‖‖x̃_k‖ is on its
# boundary: it is a sum of d+1 products of Taylor sums.
ON_BOUNDARY = 64


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
    return ON_BOUNDARY * jnp.finfo(v.dtype).eps * norm[:, None] * data.norm[None, :]


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
) -> Field:
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
