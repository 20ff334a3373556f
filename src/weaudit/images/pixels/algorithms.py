"""Algorithms that users add: callables that other packages offer by the entry point group below (docs/images.md)."""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

GROUP = "weaudit.image_algorithms"
LARGEST_VALUE_BYTES = 32 * 1024
_found: dict[str, Callable[..., Any] | str] = {}


def find(name: str) -> Callable[..., Any] | str:
    """Return the algorithm of this name, or in words why there is none; what was found is kept."""
    if name not in _found:
        _found[name] = _look_up(name)
    return _found[name]


def _look_up(name: str) -> Callable[..., Any] | str:
    from importlib.metadata import entry_points  # dear, and needed by few pipelines

    offers = list(entry_points(group=GROUP, name=name))
    if not offers:
        return f"algorithm {name}: no installed package offers it (entry point group {GROUP})"
    try:
        algorithm = offers[0].load()
    except Exception as error:  # noqa: BLE001  (somebody else's module: whatever it raises)
        return f"algorithm {name}: cannot be loaded: {described(error)}"
    return algorithm if callable(algorithm) else f"algorithm {name}: {offers[0].value} is not callable"


def run(algorithm: Callable[..., Any], image: Any, parameters: dict[str, Any]) -> Any:
    """Return what an algorithm says of an image, as plain JSON. Raises whatever it raises, and ValueError for the rest.

    The value is what its JSON reads as; NaN and more than 32 KB are refused.
    """
    text = json.dumps(algorithm(image, **parameters), allow_nan=False)
    if len(text) > LARGEST_VALUE_BYTES:
        raise ValueError(f"its value takes {len(text):,} bytes as JSON, and {LARGEST_VALUE_BYTES:,} is the limit")
    return json.loads(text)


def described(error: BaseException) -> str:
    """Return an error in one short line of printable characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return "".join(character if character.isprintable() else "?" for character in text)[:200]
