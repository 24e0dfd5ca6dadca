r"""Whether the numbers of an experiment are those expected, each by its own rule.

Numbers are a dictionary, nested as the experiment likes; the path of a number is its
keys joined by "/". A rule is a dictionary with a pattern of paths, "of", a reason,
"why", and one of

| rule | holds if |
|---|---|
| `rtol`, `atol` | \|found − expected\| ≤ atol + rtol \|expected\|, entry by entry |
| `factor` | found and expected differ by at most this factor, entry by entry |
| `at_most` | every entry found is at most this, whatever was expected |
| `overlap` | both are [estimate, low, high], or lists of such; intervals overlap |

The first rule whose pattern fits counts ("*" stands for any text, "/" in it); without
one, values must be equal.
"""

import fnmatch
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

STORED = 1e-7  # to this expected numbers are written down
KINDS = ({"rtol"}, {"atol"}, {"rtol", "atol"}, {"factor"}, {"at_most"}, {"overlap"})


def plain(value: Any) -> Any:
    """The value as JSON knows it: arrays as lists, what is not finite as a string.

    Args:
        value: Numbers, strings, arrays, and dictionaries and lists of them.

    Returns:
        The same of Python's own types; keys are strings.

    Example:
        >>> import numpy as np
        >>> plain({"times": np.array([1.0, np.inf]), 3: np.int64(2)})
        {'times': [1.0, 'inf'], '3': 2}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def as_json(value: Any) -> str:
    """The plain value as JSON for people: indented, every list of numbers on one line.

    Example:
        >>> print(as_json({"times": [1.0, 2.0]}))
        {
         "times": [1.0, 2.0]
        }
    """
    text = json.dumps(value, indent=1, ensure_ascii=False)
    row = lambda match: "[" + ", ".join(re.split(r",\s+", match[1].strip())) + "]"
    return re.sub(r'\[([-\w.+,\s"]*)\]', row, text)


def disagreements(
    found: Mapping[str, Any],
    expected: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]] = (),
    *,
    partial: bool = False,
) -> list[str]:
    """What differs from the expected numbers by more than its rule allows.

    Args:
        found: The numbers of a run.
        expected: Those it must give; numbers that only `found` has are not compared.
        rules: How near they must be; see above.
        partial: Whether numbers may be missing, as in a run of some parts.

    Returns:
        A sentence for every number that is off; none if all agree.

    Raises:
        ValueError: If a rule has no pattern, no reason, or does not say how near.

    Example:
        >>> rules = [{"of": "times/*", "rtol": 1e-2, "why": "three digits are given"}]
        >>> disagreements({"times": {"a": 1.001}}, {"times": {"a": 1.0}}, rules)
        []
        >>> disagreements({"times": {"a": 1.1}}, {"times": {"a": 1.0}}, rules)
        ['times/a is 1.1, expected 1.0 (rtol 0.01)']
    """
    check_rules(rules)
    ours, wrong = dict(_leaves(plain(found))), []
    for path, wanted in _leaves(plain(expected)):
        if path not in ours:
            wrong += [] if partial else [f"{path} is missing"]
            continue
        rule = _rule(path, rules)
        if not _holds(ours[path], wanted, rule):
            told = ", ".join(f"{k} {v}" for k, v in rule.items())
            ending = f" ({told})" if told else ""
            wrong.append(f"{path} {_told(ours[path], wanted)}{ending}")
    return wrong


def check_rules(rules: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rules that say nothing.

    Raises:
        ValueError: If a rule has no pattern, no reason, or does not say how near.
    """
    for rule in rules:
        worded = all(isinstance(rule.get(key), str) for key in ("of", "why"))
        if not worded or rule.keys() - {"of", "why"} not in KINDS:
            raise ValueError(
                "Every rule must have a pattern `of`, a reason `why`, and `rtol`, "
                "`atol`, both, `factor`, `at_most` or `overlap`, but one is "
                f"{dict(rule)}."
            )


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values of all that is no dictionary."""
    if not isinstance(tree, Mapping):
        yield path, tree
        return
    for key, value in tree.items():
        yield from _leaves(value, f"{path}/{key}" if path else str(key))


def _rule(path: str, rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first rule for a path, without its pattern and reason."""
    for rule in rules:
        if fnmatch.fnmatchcase(path, rule["of"]):
            return {k: v for k, v in rule.items() if k not in ("of", "why")}
    return {}


def _holds(found: Any, wanted: Any, rule: dict[str, Any]) -> bool:
    try:
        ours, theirs = _numbers(found), _numbers(wanted)
    except (TypeError, ValueError):  # words
        return found == wanted
    if not rule:
        return found == wanted
    if ours.shape != theirs.shape:
        return False
    match rule:
        case {"overlap": _}:
            low, high = (
                np.maximum(ours, theirs)[..., 1],
                np.minimum(ours, theirs)[..., 2],
            )
            return bool(np.all((low <= high) | np.isclose(low, high, STORED, 0)))
        case {"at_most": most}:
            return bool(np.all(ours <= most))
        case {"factor": factor}:
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = ours / theirs
            near = (1 / factor <= ratio) & (ratio <= factor)
            return bool(np.all(near | (ours == theirs)))
    rtol, atol = rule.get("rtol", 0), rule.get("atol", 0)
    return np.allclose(ours, theirs, rtol, atol, equal_nan=True)


def _numbers(value: Any) -> np.ndarray:
    """The value as floats, "inf" and "nan" among them."""
    if value is None:
        raise TypeError("None is no number.")
    return np.asarray(value).astype(float)


def _told(found: Any, wanted: Any) -> str:
    """Both values; of long lists of numbers only the entry that is farthest off."""
    try:
        ours, theirs = _numbers(found), _numbers(wanted)
    except (TypeError, ValueError):
        ours = theirs = np.zeros(0)
    if ours.shape != theirs.shape or ours.size <= 8:
        return f"is {found}, expected {wanted}"
    gap = np.where(ours == theirs, 0, np.abs(np.nan_to_num(ours - theirs, nan=np.inf)))
    worst = np.unravel_index(np.argmax(gap), gap.shape)
    place = ", ".join(map(str, worst))
    return f"at [{place}] is {ours[worst]}, expected {theirs[worst]}"
