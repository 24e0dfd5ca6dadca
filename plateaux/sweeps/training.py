"""Training a chunk of lanes by any method, or looking at it as it is drawn."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..anls import anls_many
from ..anls.anls_many import check_anls
from ..dynamics import Trajectory, descend, flow_many, log_spaced
from ..dynamics.flow_arguments import check_flow
from ..networks import Network
from ..problems import Problem
from .initialisation import initialisation
from .optimizers import make_optimizer
from .plan import Plan, Start
from .summary import OUTCOMES


def train(problem: Problem, starts: Start, step_size: Array, plan: Plan) -> Trajectory:
    """Train a chunk by descent: one program, which takes the time.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        step_size: Step size of plain gradient descent.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    options = dict(plan.options)
    optimizer = make_optimizer(
        plan.optimizer, options.pop("step_size", step_size), options
    )
    one_lane = lambda network: descend(
        problem,
        network,
        optimizer,
        num_steps=plan.num_steps,
        watch=True if "pattern" in plan.by else None,
        chatter_window=plan.chatter_window,
        max_events=plan.max_events,
        **_recording(plan),
    )
    return eqx.filter_vmap(one_lane)(starts.network)


def train_in_queue(problem: Problem, starts: Start, plan: Plan) -> Trajectory:
    """Train a chunk by flow or least squares: its lanes queue for places in a batch.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    options = queue_options(plan) | _recording(plan)
    if plan.method == "flow":
        return flow_many(problem, starts.network, **options)
    return anls_many(problem, starts.network, keys=starts.key, **options)


def measure(problem: Problem, starts: Start, plan: Plan) -> dict[str, Array]:
    """Look at the lanes of a chunk as they are drawn, and do not train them.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        plan: Everything static.

    Returns:
        Arrays by the names of the store, with a leading axis of lanes.
    """
    codes = [jnp.int32(OUTCOMES.index(word)) for word in ("completed", "diverged")]
    options = dict(plan.options)

    def one(start: Start) -> dict[str, Array]:
        found = initialisation(problem, start.network, key=start.key, **options)
        return found | {"outcome": jnp.where(jnp.isfinite(found["loss"]), *codes)}

    if options.get("curvature", "none") == "none":
        return eqx.filter_vmap(one)(starts)
    # One lane after another: the Hessian of a single one may fill the memory.
    arrays, static = eqx.partition(starts, eqx.is_array)
    return jax.lax.map(lambda lane: one(eqx.combine(lane, static)), arrays)


def brief(plan: Plan) -> Plan:
    """The plan of a run in a queue that ends at once, by the same programs."""
    short = {"flow": {"t1": 1e-9}, "anls": {"tol": 1e9, "patience": 1}}[plan.method]
    return dataclasses.replace(
        plan, options=tuple((dict(plan.options) | short).items())
    )


def check_queue(problem: Problem, network: Network, plan: Plan) -> None:
    """Refuse what `train_in_queue` would refuse, without running it."""
    check = {"flow": check_flow, "anls": check_anls}[plan.method]
    check(problem, network, **queue_options(plan))


def queue_options(plan: Plan) -> dict[str, Any]:
    """What the method's function is told besides what is recorded."""
    size = {
        "flow": ("max_events", plan.max_events),
        "anls": ("num_steps", plan.num_steps),
    }
    return dict([size[plan.method], *plan.options])


def _recording(plan: Plan) -> dict[str, Any]:
    return {
        "save": log_spaced(plan.num_times),
        "record": {"network": _itself} if plan.keep_networks else None,
    }


def _itself(problem: Problem, network: Network) -> Network:
    return network
