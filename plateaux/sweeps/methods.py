"""How the lanes of a sweep are trained: the table [method] of a specification."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..anls import anls_many
from ..dynamics import flow_many
from . import tables
from .initialisation import initialisation
from .optimizers import OPTIMIZERS
from .tables import at_least, leaf, one_of, positive

_FUNCTIONS = {
    "flow": flow_many,
    "anls": anls_many,
    "initialisation": initialisation,
}
METHODS = ("descent", "flow", "anls", "initialisation")


@dataclass(frozen=True, kw_only=True)
class MethodTable(tables.ChoiceTable):
    """How networks are trained; further keys are options of the method's function.

    A sub-table holds what belongs to one choice alone: [method.flow], [method.anls],
    [method.descent], or that of an optimizer, [method.adam].

    Attributes:
        name: "descent", "flow" (options as `px.flow_many`), "anls" (as `px.anls_many`)
            or, alone, "initialisation": nothing is trained, and the networks are looked
            at as they are drawn (options as `initialisation` below).
        optimizer: Of descent: an optimizer of optax by name, its options are further
            keys; "sgd" without options is plain gradient descent.
        step_size: Of descent: h > 0, in units of flow time for gradient descent.
        num_steps: Of descent and least squares: the number of steps.
        chatter_window: Of descent: flips of a pair within so many steps belong
            together.
        t1: Of the flow: how long, in flow time.
    """

    header: ClassVar[str] = "method"
    noun: ClassVar[str] = "method"
    name: Any = leaf(one_of(lambda: METHODS), "descent")
    optimizer: Any = leaf(one_of(lambda: OPTIMIZERS), "sgd")
    step_size: Any = leaf(positive, None)
    num_steps: Any = leaf(at_least(1), None)
    chatter_window: Any = leaf(at_least(32), 100)
    t1: Any = leaf(positive, None)

    def __post_init__(self):
        self._share_out_descent()
        super().__post_init__()
        if not self.trains and self.name not in ("initialisation", ("initialisation",)):
            raise ValueError(
                "Argument `method.name` must not hold 'initialisation' beside others, "
                f"but is {list(self.name)!r}; write two sweeps."
            )
        for key in ("step_size", "num_steps", "t1"):
            self.check_belongs(key)

    def chosen(self) -> list[str]:
        """The optimizers of descent, and the other methods, in written order."""
        names, optimizers = map(tables.as_tuple, (self.name, self.optimizer))
        split = lambda name: optimizers if name == "descent" else (name,)
        return [choice for name in names for choice in split(name)]

    def choice(self, name: str) -> Mapping[str, Any]:
        """The method, and the optimizer if it is descent."""
        if name in METHODS:
            return {"name": name}
        return {"name": "descent", "optimizer": name}

    def owns(self, name: str, key: str) -> bool:
        """Time belongs to the flow, steps to the others, their size to descent."""
        steps = name not in ("flow", "initialisation")
        owners = {"num_steps": steps, "t1": name == "flow"}
        of_descent = ("optimizer", "step_size", "chatter_window")
        return owners.get(key, key not in of_descent or name not in METHODS)

    def functions(self, name: str) -> list[Callable]:
        """The function of the method, or the optimizer's in optax."""
        return [_FUNCTIONS.get(name) or OPTIMIZERS[name]]

    def reserved(self) -> set[str]:
        """What the lanes, their recording and other leaves give."""
        given = {"problem", "network", "networks", "key", "keys", "save", "record"}
        given |= {"progress", "max_events", "learning_rate", "step_size", "num_steps"}
        return given | {"t1"}

    @property
    def trains(self) -> bool:
        """Whether lanes are trained, and not only looked at as they are drawn."""
        return "initialisation" not in tables.as_tuple(self.name)

    @property
    def looks_at(self) -> set[str]:
        """The kinds of curvature that a method which does not train looks at."""
        own = self.options.get("initialisation", {})
        named = {"curvature": "none"} | dict(self.options) | dict(own)
        return set(tables.as_tuple(named["curvature"]))

    def _share_out_descent(self) -> None:
        """What stands in [method.descent] stands for each of its optimizers."""
        common = self.options.get("descent")
        if not isinstance(common, Mapping) or "descent" not in tables.as_tuple(
            self.name
        ):
            return
        rest = {key: value for key, value in self.options.items() if key != "descent"}
        for name in tables.as_tuple(self.optimizer):
            rest[name] = {**common, **rest.get(name, {})}
        object.__setattr__(self, "options", rest)
