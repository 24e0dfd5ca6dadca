r"""Gradient flow of deep networks with a kinked activation, up to its first slide.

Inside an activation pattern the network is smooth: every φ(z) is a given slope times
z. A step of Dormand and Prince follows the flow of the present pattern; its dense
output is searched for the first pre-activation to change its sign, located to
round-off, and the step ends there. Then the pair (neuron, datum) changes side, unless
the flow of the new pattern sends it back: the boundary attracts from both sides and
the flow slides along it. In deep networks the slides of one layer move the boundaries
of the next, and the velocities of all sliding pairs follow from a complementarity
problem that is not solved here: the run ends, and says so.
"""

import functools as ft
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.mlp import MLP
from ..problems.problem import Problem, check_match
from .deep_state import Field, State, events_of, field_of, is_running, start_state
from .deep_steps import attempt
from .saved_rows import finished_rows
from .trajectory import Events


class DeepFlow(eqx.Module):
    """How a deep network flowed.

    Attributes:
        networks: Networks at the saved times, leading axis t; the last network where
            the run ended earlier.
        network: The last network.
        time: The time it belongs to.
        status: RUNNING if the run reached its end or was out of steps, else why not.
        completed: Whether the run reached the last saved time.
        events: Activation events; the last one is of kind slide if the run ended at
            an attracting boundary.
        energy: ∫‖θ̇‖² dt, which for exact flow is L(0) − L(time).
        num_steps: Steps taken.
        steps: Steps taken up to each saved time.
        num_rejected: Steps tried and rejected.
    """

    networks: MLP
    network: MLP
    time: Float[Array, ""]
    status: Int[Array, ""]
    completed: Bool[Array, ""]
    events: Events
    energy: Float[Array, ""]
    num_steps: Int[Array, ""]
    steps: Int[Array, " t"]
    num_rejected: Int[Array, ""]


def deep_flow(
    problem: Problem,
    network: MLP,
    *,
    times: Any,
    rtol: Any,
    atol: Any,
    max_steps: Any,
    max_events: int,
) -> DeepFlow:
    r"""Gradient flow of an `MLP` with ReLU or leaky ReLU until it slides.

    All three kinds of `MLP` are smooth inside a pattern, layer normalisation too. The
    error of a step is kept below rtol‖θ_i‖ + atol‖θ_i(0)‖ for every neuron i, θ_i its
    incoming weights and bias; each output counts as one neuron more. A neuron whose
    incoming weights reach 0 has all its boundaries there at once; that ends the run as
    a slide does, unless the flow goes through. Derivatives do not pass through events:
    the times at which they happen count as constants.

    Args:
        problem: Data and loss.
        network: Where the flow starts; for many at once use `jax.vmap`.
        times: Saved times, increasing from 0 to the horizon.
        rtol: Relative tolerance of a step.
        atol: Tolerance relative to the initial size of a neuron.
        max_steps: Most steps to try; the method is explicit, a flow that is stiff
            runs out of them.
        max_events: Rows of the table of events.

    Returns:
        The flow.

    Example:
        >>> from plateaux.dynamics.deep_state import SLIDING
        >>> problem = Problem(jnp.array([[1.0], [2.0]]), jnp.array([1.0, -1.0]))
        >>> net = MLP([[[1.0]], [[1.0]]], [[0.1], [0.0]], [0.5])
        >>> run = deep_flow(
        ...     problem, net, times=jnp.array([0.0, 9.0]), rtol=1e-6, atol=0.0,
        ...     max_steps=1000, max_events=8,
        ... )
        >>> print(run.status == SLIDING, run.events.neuron[:1], run.events.datum[:1])
        True [1] [0]

    Reference: Davis, Drusvyatskiy, Kakade & Lee (2020), arXiv:1804.07795, for the
    subgradient flow.
    """
    check_match(problem, network)
    number = lambda value: jnp.asarray(value, problem.x.dtype)
    tolerances = number(rtol), number(atol)
    return _flow(problem, network, number(times), *tolerances, max_steps, max_events)


@eqx.filter_jit
def _flow(problem, network, times, rtol, atol, max_steps, max_events) -> DeepFlow:
    field = field_of(problem, network, times, rtol, atol, max_steps)
    state = jax.lax.while_loop(
        ft.partial(is_running, field),
        ft.partial(attempt, field),
        start_state(field, problem, network, max_events),
    )
    return finished_flow(field, state)


def finished_flow(field: Field, s: State) -> DeepFlow:
    """What a run that ended was."""
    rows, steps = finished_rows(s.saved, s.y, s.num_steps)
    return DeepFlow(
        networks=jax.vmap(field.build)(rows),
        network=field.build(s.y),
        time=s.t,
        status=s.status,
        completed=s.t >= field.end,
        events=events_of(s),
        energy=s.energy,
        num_steps=s.num_steps,
        steps=steps,
        num_rejected=s.num_rejected,
    )
