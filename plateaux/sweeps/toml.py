"""TOML text of nested mappings of plain values; the standard library only reads."""

import json
from collections.abc import Mapping
from typing import Any


def dumps(entries: Mapping[str, Any], header: str = "") -> str:
    """TOML text of words, numbers, truth values, lists and nested mappings.

    Args:
        entries: Values by key; mappings become tables.
        header: The table these entries belong to.

    Returns:
        Text that `tomllib.loads` reads back as the same mapping.

    Example:
        >>> print(dumps({"name": "a", "sweep": {"lanes": [1, 2]}}))
        name = "a"
        <BLANKLINE>
        [sweep]
        lanes = [1, 2]
        <BLANKLINE>
    """
    values = {k: v for k, v in entries.items() if not isinstance(v, Mapping)}
    nested = {k: v for k, v in entries.items() if isinstance(v, Mapping)}
    lines = [f"{_key(key)} = {_value(value)}\n" for key, value in values.items()]
    blocks = [(f"[{header}]\n" if header else "") + "".join(lines)]
    for key, value in nested.items():
        blocks.append(dumps(value, f"{header}.{_key(key)}" if header else _key(key)))
    return "\n".join(block for block in blocks if block)


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    # A JSON string is a basic string of TOML, except for the delete character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
