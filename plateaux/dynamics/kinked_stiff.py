r"""Steps of the kinked flow where it is stiff.

On a plateau the flow is slow, but the curvature of the loss forces explicit steps of
size 1/λ_max. There the Rosenbrock method of `rosenbrock` takes over, with the exact
Jacobian of the mode, −H restricted to the directions that keep the sliding pairs on
their boundaries. It only has to see events coming: as soon as one is near the explicit
method is back and locates it.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .kinked_flow import end_step, save_passed, until_last_save, watch_step
from .kinked_state import RUNNING, Field, State, neuron_norms
from .mode_functions import mode_functions
from .modes import Basis, Parameters, sliding_basis, slopes
from .rosenbrock import GAMMA, RosenbrockStep, lu_solver, rosenbrock_stages
from .series import Series, inner_products, weighted_sums

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
_ROUND_OFF = 16  # rounding units of a sum of K terms that cancel
_NEAR = 10  # explicit steps to an event, or to the stiff step's own size


def mode_field(field: Field, slope, sliding: Basis, parameters: Parameters):
    r"""Velocity, g and e inside a mode.

    v̇_i = −c_i P_i g_i, ċ_i = −v_i·g_i, ṗ = −Σ_k e_k x̃_k, as in `modes`.
    """
    v, c, p = parameters
    x1 = field.data.x1
    f = jnp.sum(slope * inner_products(c[:, None] * v, x1), axis=0)
    if p is not None:
        f = f + x1 @ p
    e = field.problem.sample_weights * jax.vmap(field.problem.loss.gradient)(
        f, field.problem.y
    )
    g = weighted_sums(slope, e, x1)
    velocity = Parameters(
        -c[:, None] * sliding.project_out(g),
        -jnp.sum(v * g, axis=1),
        None if p is None else -e @ x1,
    )
    return velocity, g, e


def mode_hessian(
    field: Field, slope, sliding: Basis, parameters: Parameters
) -> Float[Array, "P P"]:
    r"""Hessian of the loss inside a mode, on the directions that keep it.

    H = Aᵀ diag(q_k ∂²ℓ_k/∂f²) A + the coupling g_i of v_i and c_i, with rows
    ∂f_k/∂v_i = c_i s_ik P_i x̃_k, ∂f_k/∂c_i = s_ik z_ik, ∂f_k/∂p = x̃_k of A.
    """
    v, c, p = parameters
    problem, x1 = field.problem, field.data.x1
    num, dim = v.shape
    z = inner_products(v, x1)
    f = jnp.sum(slope * c[:, None] * z, axis=0)
    if p is not None:
        f = f + x1 @ p
    q = problem.sample_weights
    e = q * jax.vmap(problem.loss.gradient)(f, problem.y)
    curvature = q * jax.vmap(problem.loss.curvature)(f, problem.y)
    along = jax.vmap(sliding.project_out, out_axes=1)(
        jnp.broadcast_to(x1[:, None, :], (x1.shape[0], num, dim))
    )
    blocks = [
        ((slope * c[:, None])[:, :, None] * along)
        .transpose(1, 0, 2)
        .reshape(-1, num * dim),
        (slope * z).T,
    ]
    if p is not None:
        blocks.append(x1)
    jacobian = jnp.concatenate(blocks, axis=1)
    gauss_newton = jacobian.T @ (curvature[:, None] * jacobian)
    g = sliding.project_out(weighted_sums(slope, e, x1))
    same = jnp.eye(num, dtype=g.dtype)
    coupling = (g[:, :, None] * same[:, None, :]).reshape(num * dim, num)
    rest = gauss_newton.shape[0] - num * dim - num
    upper = jnp.pad(coupling, ((0, num + rest), (num * dim, rest)))
    return gauss_newton + upper + upper.T


def _flatten(parameters: Parameters) -> Float[Array, " P"]:
    return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(parameters)])


def _unflatten(like: Parameters, flat: Float[Array, "... P"]) -> Parameters:
    batch = flat.shape[:-1]
    num, dim = like.v.shape
    return Parameters(
        flat[..., : num * dim].reshape(*batch, num, dim),
        flat[..., num * dim : num * (dim + 1)],
        None if like.p is None else flat[..., num * (dim + 1) :],
    )


def rosenbrock_attempt(field: Field, slope, sliding: Basis, start: Parameters, h):
    """Rodas5P for (θ, E), Ė = ‖θ̇‖², whose Jacobian is block triangular."""
    hessian = mode_hessian(field, slope, sliding, start)
    velocity = lambda y: _flatten(
        mode_field(field, slope, sliding, _unflatten(start, y))[0]
    )
    y = _flatten(start)
    inner = lu_solver(-hessian, h)
    row = -2 * (velocity(y) @ hessian)

    def solve(u):
        solved = inner(u[:-1])
        return jnp.append(solved, u[-1] + GAMMA * h * (row @ solved))

    def extended(u):
        rate = velocity(u[:-1])
        return jnp.append(rate, rate @ rate)

    step = rosenbrock_stages(extended, solve, jnp.append(y, jnp.zeros_like(h)), h)
    cut = RosenbrockStep(step.value[:-1], step.error[:-1], step.dense[:, :-1])
    return cut, step.value[-1]


def stiff_attempt(field: Field, state: State) -> State:
    """One attempted Rosenbrock step; a state not running comes back unchanged."""
    _, data, tolerances, times, plan = field
    running = (state.status == RUNNING) & state.stiff
    explicit_h, wanted = state.last_steps
    until = until_last_save(state, times, plan)
    left = times[-1] - state.time
    h = jnp.minimum(jnp.minimum(wanted, until), left)
    capped = h >= left
    h = jnp.where(capped, left, jax.lax.stop_gradient(h))
    h = jnp.where(running, h, 0)
    sliding, slope = sliding_basis(data, state.modes), slopes(data, state.modes)
    still = is_stationary(field, slope, sliding, state.parameters)
    rest = jax.lax.stop_gradient(jnp.minimum(until, left))
    h = jnp.where(running & still & ~capped, rest, h)
    capped = h >= left
    step, energy = rosenbrock_attempt(field, slope, sliding, state.parameters, h)
    step = jax.tree.map(lambda a, b: jnp.where(still, a, b), _rest(state), step)
    energy = jnp.where(still, 0, energy)
    error = _error(state, step, tolerances)
    finite = jnp.isfinite(error) & jnp.isfinite(energy)
    accurate = finite & (error <= 1)
    # --- events within the step ---
    polynomial = _unflatten(state.parameters, step.dense)
    gradients = _gradient_polynomials(field, slope, sliding, polynomial)
    functions = mode_functions(field, state.modes, sliding, polynomial, gradients)
    root = jax.lax.stop_gradient(functions).first_root()
    clear = ((root.which < 0) & ~root.uncertain) | still
    accepted = running & accurate & clear
    full = accepted & capped
    factor = jnp.clip(_SAFETY * jnp.maximum(error, 1e-10) ** -0.2, _SHRINK, _GROW)
    # A step cut short for a saved time says nothing against the longer one.
    next_h = jnp.maximum(h * factor, jnp.where(factor > 1, wanted, 0))
    next_h = jnp.where(accurate, next_h, h * jnp.where(finite, factor, 0.1))
    # Stop some explicit steps before an event.
    ahead = jnp.where(root.uncertain, 0.5, root.tau) * h
    approach = jnp.maximum(ahead - _NEAR / 2 * explicit_h, ahead / 2)
    next_h = jnp.where(accurate & ~clear, approach, next_h)
    next_h = jax.lax.stop_gradient(next_h)
    # The first steps also damp what explicit steps at their limit left in fast modes.
    goes_on = next_h > explicit_h
    goes_on = goes_on & ~(accurate & ~clear & (ahead <= _NEAR * explicit_h))
    value = _unflatten(state.parameters, step.value)
    keep = lambda new, old: jnp.where(accepted, new, old)
    new = state._replace(
        time=keep(jnp.where(full, times[-1], state.time + h), state.time),
        parameters=jax.tree.map(keep, value, state.parameters),
        stiff=jnp.where(running, goes_on, state.stiff),
        last_steps=jnp.where(
            running, jnp.stack([explicit_h, next_h]), state.last_steps
        ),
        saved=save_passed(state, field, h, keep(1.0, 0.0), polynomial, accepted, full),
        monitor=watch_step(
            data, state, value, keep(h, 0), keep(energy, 0), accepted, running
        ),
    )
    new = jax.tree.map(lambda a, b: jnp.where(running, a, b), new, state)
    return end_step(state, new, field)


def is_stationary(field: Field, slope, sliding: Basis, parameters: Parameters):
    """Whether every velocity is round-off of the sums over neurons and data in it.

    A further step would only integrate that round-off along flat directions.
    """
    velocity, _, e = mode_field(field, slope, sliding, parameters)
    z = inner_products(parameters.v, field.data.x1)
    outputs = jnp.sum(jnp.abs(slope * parameters.c[:, None] * z), axis=0)
    size = jnp.abs(e) + field.problem.sample_weights * outputs
    weights = size * field.data.norm
    terms = jnp.abs(slope) @ weights * neuron_norms(parameters)
    still = neuron_norms(velocity) <= _ROUND_OFF * jnp.finfo(e.dtype).eps * terms
    if velocity.p is None:
        return jnp.all(still)
    bound = _ROUND_OFF * jnp.finfo(e.dtype).eps * jnp.sum(weights)
    return jnp.all(still) & (jnp.sqrt(jnp.sum(velocity.p**2)) <= bound)


def _rest(state: State) -> RosenbrockStep:
    """The step that does not move."""
    y = _flatten(state.parameters)
    zero = jnp.zeros_like(y)
    return RosenbrockStep(y, zero, jnp.stack([y, zero, zero, zero, zero]))


def _error(state: State, step: RosenbrockStep, tolerances) -> Float[Array, ""]:
    """Largest error of a neuron in units of what is allowed."""
    start = state.parameters
    error, end = (_unflatten(start, a) for a in (step.error, step.value))
    size = jnp.maximum(neuron_norms(start), neuron_norms(end))
    allowed = tolerances.rtol * size + tolerances.atol * state.start_norms
    errors = [jnp.max(_ratio(neuron_norms(error), allowed))]
    if start.p is not None and end.p is not None:
        norm = lambda p: jnp.sqrt(jnp.sum(p**2))
        gain = norm(end.p - start.p)
        size = jnp.maximum(jnp.maximum(norm(start.p), norm(end.p)), gain)
        errors.append(_ratio(norm(error.p), tolerances.rtol * size))
    return jnp.max(jnp.stack(errors))


def _ratio(error: Array, allowed: Array) -> Array:
    return jnp.where(error > 0, error / jnp.where(allowed > 0, allowed, 1), error)


def _gradient_polynomials(
    field: Field, slope, sliding, polynomial: Parameters
) -> Series:
    """G and e along the step, interpolated at as many points as there are powers."""
    degree = polynomial.c.shape[0] - 1
    tau = np.arange(degree + 1) / degree
    vandermonde = np.vander(tau, increasing=True)
    along = lambda matrix, a: jnp.tensordot(jnp.asarray(matrix, a.dtype), a, axes=1)
    points = jax.tree.map(lambda a: along(vandermonde, a), polynomial)
    _, g, e = jax.vmap(lambda at: mode_field(field, slope, sliding, at))(points)
    inverse = np.linalg.inv(vandermonde)
    return Series(polynomial, along(inverse, g), along(inverse, e))
