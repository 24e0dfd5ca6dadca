r"""Building blocks of the flow for loops of your own, by problem and network.

Pure functions that `jit`, `vmap` and `grad` take: velocities on both sides of every
boundary, the consistent modes of a neuron there, one Taylor step with its dense
output, and one step of gradient descent.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..networks.network import Network
from ..networks.two_layer import TwoLayer
from ..problems.problem import Problem
from .gradient import evaluate
from .kinked_flow import scale_series
from .kinked_state import (
    MOST_SLIDES,
    Field,
    Plan,
    Tolerances,
    data_of,
    network_of,
    neuron_norms,
    one_sided_velocities,
    output_gradient,
    parameters_of,
)
from .mode_functions import mode_functions
from .modes import Modes, sliding_basis, slopes
from .pivoting import Choice, choose_modes
from .polynomials import FirstRoot, evaluate_polynomial
from .series import taylor_series


@eqx.filter_jit
def boundary_velocities(
    problem: Problem, network: TwoLayer
) -> tuple[Float[Array, "n K"], Float[Array, "n K"]]:
    r"""How fast every pre-activation moves with its pair off, and with it on.

    s_off = v̇_i·x̃_k with pair (i, k) off, s_on = s_off − c_i (s₁ − s₀) e_k ‖x̃_k‖², all
    other pairs as they are, e_k = q_k ∂ℓ_k/∂f and s₀, s₁ the slopes of the activation.
    On the boundary z_ik = 0 the kink crosses where both have one sign, slides where
    s_off > 0 > s_on, and is repelled where s_off < 0 < s_on.

    Args:
        problem: Data and loss.
        network: A two-layer network with relu or leaky_relu.

    Returns:
        s_off and s_on, in units of z per flow time.

    Example:
        >>> problem = Problem(jnp.array([[0.0], [1.0]]), jnp.array([-1.0, 1.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> s_off, s_on = boundary_velocities(problem, net)
        >>> print(abs(s_off[0, 0]), s_on[0, 0])
        0.0 -0.5
    """
    data, parameters = data_of(problem, network), parameters_of(network)
    on = parameters.v @ data.x1.T > 0
    return one_sided_velocities(problem, data, parameters, on)


def boundary_modes(
    problem: Problem,
    network: TwoLayer,
    modes: Modes,
    neuron: Int[Array, ""] | int,
    datum: Int[Array, ""] | int,
) -> Choice:
    """The consistent modes of a neuron that has reached the boundary of a datum.

    Args:
        problem: Data and loss.
        network: Where, with z = 0 for that pair.
        modes: The modes of all pairs before.
        neuron: Which neuron.
        datum: Which datum.

    Returns:
        The choice, see `choose_modes`.

    Example:
        >>> problem = Problem(jnp.array([[0.0], [1.0]]), jnp.array([-1.0, 1.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> choice = boundary_modes(problem, net, modes_of(problem, net), 0, 0)
        >>> import plateaux as px
        >>> bool(choice.kinds[1] == px.EventKind.slide)  # beyond, it is sent back
        True
    """
    pair = jnp.asarray(neuron, jnp.int32), jnp.asarray(datum, jnp.int32)
    return _boundary_modes(problem, network, modes, *pair)


@eqx.filter_jit
def _boundary_modes(problem, network, modes: Modes, neuron, datum) -> Choice:
    data, parameters = data_of(problem, network), parameters_of(network)
    e = output_gradient(problem, data, parameters)
    return choose_modes(
        data,
        e,
        parameters.c[neuron],
        modes.on[neuron],
        modes.slides[neuron],
        datum,
        jnp.where(modes.on[neuron, datum], 0, 1).astype(jnp.int32),
        release=jnp.zeros((), bool),
    )


class FlowStep(NamedTuple):
    """One Taylor step inside a mode.

    Attributes:
        network: The network at the end of the step.
        coefficients: Coefficients of τ^j, τ in [0, 1] the fraction of the step: the
            dense output, networks with a leading axis.
        error: Size of the first neglected term, relative to each neuron's norm.
        event: The first change of sign within the step.
    """

    network: TwoLayer
    coefficients: TwoLayer
    error: Float[Array, " n"]
    event: FirstRoot


def flow_step(
    problem: Problem,
    network: TwoLayer,
    modes: Modes,
    step_size: Any,
    order: int = 12,
) -> FlowStep:
    """One step of gradient flow in the given modes, whatever happens on the way.

    Args:
        problem: Data and loss.
        network: Where the step starts.
        modes: Modes held throughout, see `modes_of`.
        step_size: Flow time of the step.
        order: Order of the Taylor polynomial.

    Returns:
        The step. Its event counts functions as `mode_functions` does: pair (i, k) is
        number i·K + k.

    Example:
        >>> problem = Problem(jnp.array([[0.5], [1.0]]), jnp.array([1.0, 1.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[0.1])
        >>> step = flow_step(problem, net, modes_of(problem, net), 0.1)
        >>> bool(step.error[0] < 1e-12), int(step.event.which)
        (True, -1)
    """
    h = jnp.asarray(step_size, problem.x.dtype)
    return _flow_step(problem, network, modes, h, order)


@eqx.filter_jit
def _flow_step(problem, network, modes: Modes, h, order: int) -> FlowStep:
    data, start = data_of(problem, network), parameters_of(network)
    sliding = sliding_basis(data, modes)
    series = taylor_series(problem, data, slopes(data, modes), sliding, start, order)
    scaled = scale_series(series, h)
    polynomial = jax.tree.map(lambda a: a[:-1], scaled.parameters)
    tolerances = Tolerances(jnp.zeros_like(h), jnp.zeros_like(h))
    plan = Plan(order, 1, 1, 1)
    field = Field(problem, data, tolerances, h[None], plan)
    functions = mode_functions(field, modes, sliding, polynomial, scaled)
    sizes = neuron_norms(scaled.parameters)
    end = jax.tree.map(lambda a: evaluate_polynomial(a, jnp.ones_like(h)), polynomial)
    return FlowStep(
        network=network_of(network, end),
        coefficients=jax.vmap(lambda p: network_of(network, p))(polynomial),
        error=sizes[-1] / jnp.where(sizes[0] > 0, sizes[0], 1),
        event=functions.first_root(),
    )


def modes_of(
    problem: Problem, network: TwoLayer, slides: Int[Array, "n m"] | None = None
) -> Modes:
    """The modes of a network by the signs of its pre-activations.

    Args:
        problem: Data and loss.
        network: A two-layer network.
        slides: Data each neuron slides along, −1 in unused places; None for none.

    Returns:
        The modes; a pair with z = 0 is off.

    Example:
        >>> problem = Problem(jnp.array([[-1.0], [1.0]]), jnp.array([0.0, 1.0]))
        >>> print(modes_of(problem, TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])).on)
        [[False  True]]
    """
    on: Bool[Array, "n K"] = network.w @ problem.x.T + network.b[:, None] > 0
    places = min(problem.in_dim, problem.num_data, MOST_SLIDES)
    none = jnp.full((network.width, places), -1, jnp.int32)
    return Modes(on, none if slides is None else jnp.asarray(slides, jnp.int32))


def descent_step(problem: Problem, network: Network, step_size: Any) -> Network:
    """One step of gradient descent, θ⁺ = θ − h∇L(θ).

    Args:
        problem: Data and loss.
        network: Any network.
        step_size: h.

    Returns:
        The next network.

    Example:
        >>> problem = Problem(jnp.array([[1.0]]), jnp.array([0.0]))
        >>> net = TwoLayer(w=[[1.0]], b=[0.0], c=[1.0])
        >>> print(descent_step(problem, net, 0.1).c)
        [0.9]
    """
    gradient = evaluate(problem, network).gradient
    move = lambda t, g: t - step_size * g if eqx.is_inexact_array(t) else t
    return jax.tree.map(move, network, gradient)
