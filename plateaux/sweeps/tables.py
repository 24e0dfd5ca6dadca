"""Tables of a sweep's specification: leaves that are checked, and may be lists.

A leaf is a number, a word, a truth value, or a tuple of those: a tuple is a *swept*
leaf, one grid value an entry. A value that is itself a list (the widths of an MLP)
stands inside the tuple: `widths = [[20, 20]]` is one value, `[[20], [20, 20]]` two.
Options that are always lists (`lists` of their table) may leave the outer one out.
"""

import dataclasses
import inspect
import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .. import _checks

Check = Callable[[str, Any], Any]
REQUIRED: Any = dataclasses.MISSING


def leaf(check: Check, default: Any = REQUIRED, *, swept: bool = True) -> Any:
    """A dataclass field whose value, or every value of a list, passes `check`."""
    return field(default=default, metadata={"check": check, "swept": swept})


def number(path: str, value: Any) -> float:
    """A finite number, else a refusal."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"Argument `{path}` must be a number, but is {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"Argument `{path}` must be finite, but is {value}.")
    return float(value)


def positive(path: str, value: Any) -> float:
    """A finite number above zero, else a refusal."""
    return _checks.positive(path, number(path, value))


def share(path: str, value: Any) -> float:
    """A number above 0 and below 1, else a refusal."""
    if not 0 < number(path, value) < 1:
        raise ValueError(
            f"Argument `{path}` must be above 0 and below 1, but is {value}."
        )
    return float(value)


def at_least(smallest: int) -> Check:
    """A check for integers of at least `smallest`."""
    return lambda path, value: _checks.count(path, value, at_least=smallest)


def truth(path: str, value: Any) -> bool:
    """True or False, else a refusal."""
    if not isinstance(value, bool):
        raise TypeError(f"Argument `{path}` must be true or false, but is {value!r}.")
    return value


def word(path: str, value: Any) -> str:
    """A non-empty string, else a refusal."""
    if not isinstance(value, str):
        raise TypeError(f"Argument `{path}` must be a word, but is {value!r}.")
    if not value:
        raise ValueError(f"Argument `{path}` must not be empty.")
    return value


def one_of(names: Callable[[], Any]) -> Check:
    """A check for the names that `names()` holds, looked up when it is used."""
    return lambda path, value: _checks.known(f"`{path}`", word(path, value), names())


def counts(path: str, value: Any) -> tuple[int, ...]:
    """A non-empty list of positive integers, else a refusal."""
    if not isinstance(value, list | tuple):
        raise TypeError(
            f"Argument `{path}` must be a list inside the list of its grid values, "
            f"as in [[20, 20]], but holds {value!r}."
        )
    return tuple(_checks.count(path, entry) for entry in not_empty(path, value))


def not_empty(path: str, values: Any) -> Any:
    """The list if it has entries, else a refusal."""
    if len(values) == 0:
        raise ValueError(f"Argument `{path}` must not be an empty list.")
    return values


def plain(path: str, value: Any) -> Any:
    """A word, truth value, finite number or a list of those (as a tuple)."""
    if isinstance(value, list | tuple):
        return tuple(plain(path, entry) for entry in not_empty(path, value))
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value)
    return number(path, value)


def checked(path: str, value: Any, check: Check) -> Any:
    """The leaf, or every value of a swept leaf (a list), after its check."""
    if not isinstance(value, list | tuple):
        return check(path, value)
    values = tuple(check(path, entry) for entry in not_empty(path, value))
    if len(set(values)) < len(values):
        raise ValueError(
            f"Argument `{path}` must hold every value once, but is {list(value)!r}."
        )
    return values


@dataclass(frozen=True, kw_only=True)
class Table:
    """A group of leaves with a name, the header it has in TOML."""

    header: ClassVar[str]

    def __post_init__(self):
        for item in dataclasses.fields(self):
            if "check" not in item.metadata:
                continue
            path, value = f"{self.header}.{item.name}", getattr(self, item.name)
            if value is None and item.default is None:
                continue
            if not item.metadata["swept"] and isinstance(value, list | tuple):
                raise TypeError(
                    f"Argument `{path}` must be a single value, not a list, but is "
                    f"{list(value)!r}."
                )
            value = checked(path, value, item.metadata["check"])
            object.__setattr__(self, item.name, value)

    @classmethod
    def keys(cls) -> list[str]:
        """Names of the leaves, in order."""
        return [item.name for item in dataclasses.fields(cls) if item.metadata]

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> "Table":
        """The table with these entries; unknown and missing keys are refused."""
        for key in entries:
            _checks.known(f"key of [{cls.header}]", key, cls.keys())
        return cls(**_complete(cls, entries))

    def variants(self) -> list[dict[str, Any]]:
        """The scalar tables of the grid, the last leaf varying fastest."""
        return product({key: getattr(self, key) for key in self.keys()})

    def to_dict(self) -> dict[str, Any]:
        """The leaves as plain words, numbers and lists; leaves left out are absent."""
        pairs = {key: getattr(self, key) for key in self.keys()}
        return {key: thaw(value) for key, value in pairs.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ChoiceTable(Table):
    """A table that chooses functions by name and passes them options.

    Further keys are options of the chosen functions. A sub-table with the name of a
    choice holds options of that choice alone, and goes before the common ones.

    Attributes:
        options: Option name to leaf, or choice to a mapping of those.
        chooser: The leaf that chooses.
        lists: Options whose values are lists.
        noun: What a choice is, in words.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    chooser: ClassVar[str] = "name"
    lists: ClassVar[frozenset[str]] = frozenset()
    noun: ClassVar[str] = "choice"

    def __post_init__(self):
        super().__post_init__()
        clean = {}
        for key in sorted(self.options):
            value = self.options[key]
            if isinstance(value, Mapping):
                clean[key] = self._sub_table(key, value)
            else:
                clean[key] = self._option(key, value, self.chosen(), key)
        object.__setattr__(self, "options", clean)

    def chosen(self) -> list[str]:
        """The names this table chooses, in written order."""
        return list(as_tuple(getattr(self, self.chooser)))

    def choice(self, name: str) -> Mapping[str, Any]:
        """The leaves that say that this is the choice."""
        return {self.chooser: name}

    def functions(self, name: str) -> list[Callable]:
        """The functions that take the options of that choice."""
        raise NotImplementedError

    def reserved(self) -> set[str]:
        """Parameters of those functions that other leaves give."""
        return set()

    def effective(self, name: str) -> dict[str, Any]:
        """The leaves of one choice: its sub-table over what all have in common."""
        leaves = {
            key: getattr(self, key) for key in self.keys() if self.owns(name, key)
        }
        common = {k: v for k, v in self.options.items() if not isinstance(v, Mapping)}
        own = dict(self.options.get(name, {}))
        return leaves | common | own | dict(self.choice(name))

    def variants(self) -> list[dict[str, Any]]:
        """The scalar tables of the grid, one choice after another."""
        return [
            point for name in self.chosen() for point in product(self.effective(name))
        ]

    def owns(self, name: str, key: str) -> bool:
        """Whether the leaf means something for that choice."""
        return True

    def check_belongs(self, key: str) -> None:
        """Refuse a leaf that no choice owns, or that is missing where one does."""
        value, chosen = getattr(self, key), self.chosen()
        what = f"the {self.noun} {', '.join(map(repr, chosen))}"
        owners = [name for name in chosen if self.owns(name, key)]
        if value not in (None, False) and not owners:
            raise ValueError(
                f"Argument `{self.header}.{key}` must be left out for {what}, but is "
                f"{thaw(value)!r}."
            )
        subs = [self.options.get(name, {}) for name in owners]
        if value is None and not all(key in sub for sub in subs):
            raise ValueError(
                f"Table [{self.header}] must have the key `{key}` for {what}, but has "
                "none."
            )

    def _sub_table(self, choice: str, entries: Mapping[str, Any]) -> dict[str, Any]:
        _checks.known(f"sub-table of [{self.header}]", choice, self.chosen())
        checks = {
            item.name: item.metadata["check"]
            for item in dataclasses.fields(self)
            if item.metadata and item.name != self.chooser
        }
        clean = {}
        for key in sorted(entries):
            path = f"{choice}.{key}"
            if key in checks and self.owns(choice, key):
                value = checked(f"{self.header}.{path}", entries[key], checks[key])
            else:
                value = self._option(key, entries[key], [choice], path)
            clean[key] = value
        return clean

    def _known_keys(self, name: str) -> set[str]:
        leaves = {key for key in self.keys() if self.owns(name, key)}
        return leaves | (_option_names(self.functions(name)) - self.reserved())

    def _option(self, key: str, value: Any, chosen: list[str], path: str) -> Any:
        owners = [name for name in chosen if key in self._known_keys(name)]
        if owners and len(owners) < len(chosen):
            other = next(name for name in chosen if name not in owners)
            raise ValueError(
                f"The key `{key}` of [{self.header}] must belong to all of "
                f"{', '.join(chosen)}, but {other!r} has no such option; write it in "
                f"[{self.header}.{owners[0]}]."
            )
        if not owners:
            what = f"key of [{self.header}] for {chosen[0]!r}"
            _checks.known(what, key, self._known_keys(chosen[0]))
        value = checked(f"{self.header}.{path}", value, plain)
        flat = isinstance(value, tuple) and not any(isinstance(v, tuple) for v in value)
        return (value,) if flat and key in self.lists else value

    @classmethod
    def from_dict(cls, entries: Mapping[str, Any]) -> "Table":
        """The table with these entries; what is no leaf is an option."""
        leaves = {key: entries[key] for key in entries if key in cls.keys()}
        options = {key: entries[key] for key in entries if key not in leaves}
        return cls(**_complete(cls, leaves), options=options)

    def to_dict(self) -> dict[str, Any]:
        """The leaves that mean something, then the options, then the sub-tables."""
        leaves = super().to_dict()
        for key in list(leaves):
            if not any(self.owns(name, key) for name in self.chosen()):
                del leaves[key]
        flat = {k: v for k, v in self.options.items() if not isinstance(v, Mapping)}
        deep = {k: v for k, v in self.options.items() if isinstance(v, Mapping)}
        return leaves | thaw(flat) | thaw(deep)


def as_tuple(value: Any) -> tuple[Any, ...]:
    """The values of a leaf: those of a swept one, or the only one."""
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def product(leaves: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The Cartesian product of swept leaves (tuples), the last varying fastest."""
    axes = [as_tuple(value) for value in leaves.values()]
    return [dict(zip(leaves, row, strict=True)) for row in itertools.product(*axes)]


def thaw(value: Any) -> Any:
    """The value with lists for tuples, as TOML and JSON know them."""
    if isinstance(value, Mapping):
        return {key: thaw(entry) for key, entry in value.items()}
    return [thaw(entry) for entry in value] if isinstance(value, tuple) else value


def _option_names(functions: list[Callable]) -> set[str]:
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in kinds
    }


def _complete(cls: type[Table], entries: Mapping[str, Any]) -> dict[str, Any]:
    for item in dataclasses.fields(cls):
        required = item.metadata and item.default is REQUIRED
        if required and item.name not in entries:
            raise ValueError(
                f"Table [{cls.header}] must have the key `{item.name}`, but has "
                f"{', '.join(f'`{key}`' for key in entries) or 'none'}."
            )
    return dict(entries)
