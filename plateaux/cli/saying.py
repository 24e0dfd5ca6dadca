"""What the command line says, and where: results on stdout, all else on stderr."""

import json
import sys
from typing import Any, NoReturn


def double_precision() -> None:
    """Switch 64-bit mode on, before anything else touches JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)


def refuse(error: object) -> NoReturn:
    """One sentence on stderr, exit code 2."""
    say(" ".join(str(error).split()))
    raise SystemExit(2)


def say(text: str) -> None:
    """One line on stderr."""
    print(f"plateaux: {text}", file=sys.stderr)


def tell(found: dict[str, Any], as_json: bool, text: str) -> None:
    """The result on stdout, for people or for machines."""
    print(json.dumps(found, indent=2) if as_json else text)
