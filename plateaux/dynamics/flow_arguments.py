"""What `flow` is given, checked and completed, and which kind of flow it is."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .. import _checks
from ..networks.activations import Activation, LeakyReLU, ReLU, ReLUPower
from ..networks.mlp import MLP
from ..networks.network import Network
from ..networks.two_layer import TwoLayer
from ..problems.losses import Exponential, Logistic, SquaredError
from ..problems.problem import Problem, check_match
from ..problems.task import Task
from . import kinked_state as kinked
from .save import LogSpaced, Save
from .smooth_flow import METHODS

# The finest relative tolerance, in rounding units: a step's own round-off is a few.
_FINEST = 16
_DEFAULT_RTOL = {"float64": 1e-8, "float32": 1e-4}


def check_flow(
    problem: Task,
    network: Network,
    *,
    t1: Any,
    rtol: Any = None,
    atol: Any = None,
    max_events: Any = 512,
    max_steps: Any = 10_000,
    method: Any = "auto",
    lanes: Any = 64,
) -> None:
    """Refuse what `flow_many` would refuse, without running it."""
    check_match(problem, network)
    checked(problem, t1, rtol, atol, LogSpaced(2), max_events, max_steps, method)
    _checks.count("lanes", lanes)
    if not is_deep(problem, network, method):
        is_kinked(problem, network)


def is_deep(problem: Task, network: Network, method: str) -> bool:
    """Whether the flow is that of an `MLP` with events, which is explicit only."""
    activation = network.activation
    if not isinstance(problem, Problem) or not isinstance(network, MLP):
        return False
    if not isinstance(activation, ReLU | LeakyReLU):
        return False
    if network.normalisation == "batch":
        raise ValueError(
            "Argument `network` must not normalise over the data for exact gradient "
            f"flow with {type(activation).__name__}, whose kinks every datum crosses "
            "alone; use a smooth activation, normalisation='layer', or px.descend."
        )
    if method == "stiff":
        raise ValueError(
            "Argument `method` must be 'auto' or 'explicit' for the flow of an MLP "
            f"with {type(activation).__name__}, but is 'stiff'."
        )
    return True


def is_kinked(problem: Task, network: Network) -> bool:
    """Whether the flow has events; a network or loss without any flow is refused."""
    activation = network.activation
    if not isinstance(problem, Problem):
        _check_smooth(problem, activation)
        return False
    if not activation.kinked:
        return False
    if not isinstance(activation, ReLU | LeakyReLU) or not isinstance(
        network, TwoLayer
    ):
        raise ValueError(
            "The network must be a TwoLayer or MLP with relu or leaky_relu, or have a "
            "smooth activation, to have a gradient flow, but is a "
            f"{type(network).__name__} with {type(activation).__name__}."
        )
    if isinstance(activation, LeakyReLU) and not 0 <= activation.slope < 1:
        raise ValueError(
            "The slope of a leaky ReLU must be in [0, 1) for gradient flow, but is "
            f"{activation.slope}."
        )
    if not isinstance(problem.loss, SquaredError | Logistic | Exponential):
        raise ValueError(
            "The loss must be squared, logistic or exponential for the flow of a "
            f"TwoLayer, but is {type(problem.loss).__name__}."
        )
    return True


def _check_smooth(problem: Task, activation: Activation) -> None:
    """Refuse activations with a derivative that jumps where derivatives count."""
    if activation.kinked or isinstance(activation, ReLUPower):
        raise ValueError(
            "The activation must be smooth, for example tanh, to have a gradient flow "
            f"of a {type(problem).__name__}, but is {activation}; train on it with "
            "px.descend."
        )


class Arguments(eqx.Module):
    """What `flow` and `flow_many` share, checked.

    Attributes:
        times: Saved times.
        rtol: Relative tolerance.
        atol: Tolerance relative to the size at the start.
        order: Order of the Taylor series, which follows the tolerance.
        max_events: Rows of the table.
        max_steps: Most steps.
        method: "auto", "explicit" or "stiff".
    """

    times: Float[Array, " t"]
    rtol: Float[Array, ""]
    atol: Float[Array, ""]
    order: int = eqx.field(static=True)
    max_events: int = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    method: str = eqx.field(static=True)

    def halved(self) -> "Arguments":
        """The same at half the tolerances."""
        both = lambda a: (a.rtol, a.atol)
        return eqx.tree_at(both, self, (self.rtol / 2, self.atol / 2))

    def without_series(self) -> "Arguments":
        """The same for methods without series: other tolerances share a program."""
        return dataclasses.replace(self, order=0)

    @property
    def plan(self) -> kinked.Plan:
        """What is fixed when the program is compiled."""
        return kinked.Plan(
            self.order,
            self.max_steps,
            self.max_events,
            self.times.size,
            self.method,
        )


def checked(problem, t1, rtol, atol, save, max_events, max_steps, method) -> Arguments:
    """The arguments of a flow, or a refusal."""
    dtype = problem.x.dtype
    t1 = _checks.positive("t1", t1)
    if not isinstance(save, Save):
        raise TypeError(
            "Argument `save` must be a schedule such as px.log_spaced(200), but is "
            f"{save!r}."
        )
    finest = _FINEST * float(jnp.finfo(dtype).eps)
    rtol = _DEFAULT_RTOL[dtype.name] if rtol is None else rtol
    if _checks.is_concrete(rtol) and not finest <= float(rtol) < 1:
        raise ValueError(
            f"Argument `rtol` must be from {finest:.1e}, the finest that {dtype} can "
            f"honour, to 1, but is {rtol}."
        )
    atol = rtol / 1000 if atol is None else atol
    if _checks.is_concrete(atol) and not 0 <= float(atol) < math.inf:
        raise ValueError(
            f"Argument `atol` must be finite and not negative, but is {atol}."
        )
    return Arguments(
        times=save.flow_times(t1, dtype),
        rtol=jnp.asarray(rtol, dtype),
        atol=jnp.asarray(atol, dtype),
        order=taylor_order(float(rtol) if _checks.is_concrete(rtol) else 1e-9),
        max_events=_checks.count("max_events", max_events),
        max_steps=_checks.count("max_steps", max_steps),
        method=_checks.known("method", method, METHODS),
    )


def taylor_order(rtol: float) -> int:
    """The order at which a Taylor method is cheapest, N = 1 − ½ log(tolerance).

    Example:
        >>> taylor_order(1e-8)
        12

    Reference: Jorba & Zou (2005), Experimental Mathematics 14, 99-117.
    """
    return max(4, math.ceil(1 - math.log(kinked.SAFETY * rtol) / 2))
