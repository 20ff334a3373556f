"""Masked places of an item: taken out before anything is hashed in clear or written down.

A place is an attribute, or a part of a map in it, named by its path. In an item of ours a masked place is
``{"#": ""}``; a record shows it as ``[REDACTED]`` and lists its path.
"""

from __future__ import annotations

from weaudit.items.values import WITHHELD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from weaudit.items.values import Item, Value

    Path = tuple[str, ...]

REDACTED: Value = {"S": "[REDACTED]"}
_MASKED: Value = {WITHHELD: ""}


def path_text(path: Path) -> str:
    r"""Return the text of a path: its names joined by dots, with ``\`` before each dot or backslash within a name."""
    return ".".join(name.replace("\\", "\\\\").replace(".", "\\.") for name in path)


def path_of(text: str) -> Path:
    """Return the path that :func:`path_text` spells so."""
    names, name, escaped = [], "", False
    for character in text:
        if escaped or character not in "\\.":
            name, escaped = name + character, False
        elif character == "\\":
            escaped = True
        else:
            names.append(name)
            name = ""
    return (*names, name)


def masked(item: Item, places: Iterable[Path]) -> tuple[Item, Item]:
    """Return the item with ``{"#": ""}`` at each of the places that it has, and the values from there, by path text."""
    taken: Item = {}
    for path in places:
        item = _without(item, path, path, taken)
    return item, taken


def redacted(value: Value) -> Value:
    """Return a value as a record shows it: each masked place is ``[REDACTED]``."""
    ((kind, content),) = value.items()
    if kind == WITHHELD:
        return REDACTED if content == "" else value
    if kind == "M":
        return {"M": {name: redacted(part) for name, part in content.items()}}
    return value


def unredacted(name: str | None, value: Value, paths: Iterable[Path]) -> Value:
    """Return a record's value with ``{"#": ""}`` at its masked places: of the attribute ``name``, or the whole item."""
    item: Any = value.get("M") if name is None else {name: value}
    if not isinstance(item, dict):  # a record that was written by hand may hold anything
        return value
    item, _ = masked(item, paths)
    return {"M": item} if name is None else item[name]


def _without(item: Item, rest: Path, path: Path, taken: Item) -> Item:
    """Return the item with ``{"#": ""}`` at ``rest``, the end of ``path``; ``taken`` gets what was there."""
    name, *deeper = rest
    value = item.get(name)
    if value is None:
        return item
    if not deeper:
        taken[path_text(path)] = value
        return {**item, name: _MASKED}
    inner = value.get("M")
    if not isinstance(inner, dict):
        return item
    changed = _without(inner, tuple(deeper), path, taken)
    return item if changed is inner else {**item, name: {"M": changed}}
