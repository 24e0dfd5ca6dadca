"""Training a chunk of lanes, by any method."""

import dataclasses
from typing import Any

import equinox as eqx
from jaxtyping import Array

from ..anls import anls
from ..dynamics import Trajectory, descend, flow_many, log_spaced
from ..networks import Network
from ..problems import Problem
from .optimizers import make_optimizer
from .plan import Plan, Start


def train(problem: Problem, starts: Start, step_size: Array, plan: Plan) -> Trajectory:
    """Train a chunk by descent or least squares: the function that takes the time.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        step_size: Step size of plain gradient descent.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    one_lane = _least_squares if plan.method == "anls" else _descent
    run = lambda start: one_lane(problem, start, step_size, plan)
    return eqx.filter_vmap(run)(starts)


def _descent(problem: Problem, start: Start, step_size: Array, plan: Plan):
    options = dict(plan.options)
    optimizer = make_optimizer(
        plan.optimizer, options.pop("step_size", step_size), options
    )
    return descend(
        problem,
        start.network,
        optimizer,
        num_steps=plan.num_steps,
        watch=True if "pattern" in plan.by else None,
        chatter_window=plan.chatter_window,
        max_events=plan.max_events,
        **_recording(plan),
    )


def _least_squares(problem: Problem, start: Start, step_size: Array, plan: Plan):
    return anls(
        problem,
        start.network,
        num_steps=plan.num_steps,
        key=start.key,
        **_recording(plan),
        **dict(plan.options),
    )


def train_by_flow(problem: Problem, starts: Start, plan: Plan) -> Trajectory:
    """Gradient flow of a chunk, whose lanes queue for places in a smaller batch.

    Args:
        problem: Data and loss.
        starts: Where its lanes start.
        plan: Everything static.

    Returns:
        Trajectories with a leading lane axis.
    """
    return flow_many(
        problem, starts.network, **_recording(plan), **flow_arguments(plan)
    )


def brief(plan: Plan) -> Plan:
    """The plan of a flow that ends at once, by the same programs."""
    short = {"t1": 1e-9} | {k: v for k, v in plan.options if k != "t1"}
    return dataclasses.replace(plan, options=tuple(short.items()))


def flow_arguments(plan: Plan) -> dict[str, Any]:
    """What `px.flow_many` is told besides what is recorded."""
    return {"max_events": plan.max_events} | dict(plan.options)


def _recording(plan: Plan) -> dict[str, Any]:
    return {
        "save": log_spaced(plan.num_times),
        "record": {"network": _itself} if plan.keep_networks else None,
    }


def _itself(problem: Problem, network: Network) -> Network:
    return network
