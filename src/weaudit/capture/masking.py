"""Places of an item under rules: taken out before anything is hashed in clear or written down.

A place is an attribute, or a part of a map in it, named by its path. In an item of ours a masked place is
``{"#": ""}``; a record shows it as ``[REDACTED]``, or as a keyed hash, and lists its path.
"""

from __future__ import annotations

import hmac
import re

from weaudit.items.hashes import encoded, framed
from weaudit.items.paths import path_of, path_text
from weaudit.items.values import WITHHELD, spelled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from weaudit.capture.rules import Rules
    from weaudit.items.paths import Path
    from weaudit.items.values import Item, Value

REDACTED: Value = {"S": "[REDACTED]"}
_MASKED: Value = {WITHHELD: ""}
_HASHED = "hmac-sha256:"
_is_hashed = re.compile(_HASHED + "[0-9a-f]{64}", re.ASCII).fullmatch


def governed(item: Item, rules: Rules, equal: bytes) -> tuple[Item, Item, Item]:
    """Return an item as its states are hashed, as records show it, and its masked values by path text.

    In both items a redacted place is ``{"#": ""}``. A hashed place is that in the first, and a text in the second, of
    which ``equal`` (32 bytes) is the key. Ignored places are in the second item alone.

    A path that meets something other than a map takes the whole of it, unless it is ignored: what a rule hides must not
    show because a writer nested it in another way.
    """
    clear, taken, hashed = _masked(item, rules)
    shown = clear
    for text, value in hashed.items():
        digest = hmac.digest(equal, framed(b"weaudit-equal-2", encoded(text), encoded(spelled(value))), "sha256")
        shown = _changed(shown, path_of(text), _put({"S": _HASHED + digest.hex()}), whole=True)
    return without_places(clear, rules.ignored), shown, taken | hashed


def clear_of(item: Item, rules: Rules) -> tuple[Item, Item]:
    """Return an item as its states are hashed under rules, and its masked values by path text."""
    if not rules.digest:
        return item, {}
    clear, taken, hashed = _masked(item, rules)
    return without_places(clear, rules.ignored), taken | hashed


def _masked(item: Item, rules: Rules) -> tuple[Item, Item, Item]:
    if rules.only:
        names = {path[0] for path in rules.only}
        item = {name: value for name, value in item.items() if name in names}
    for path in rules.excluded:
        item = _changed(item, path, _drop, whole=True)
    clear, taken = masked(item, rules.redacted)
    clear, hashed = masked(clear, rules.hashed)
    return clear, taken, hashed


def loggable(attributes: Item, versions: Iterable[Rules]) -> Item:
    """Return attributes of an item, without its key, as a log may show them under each of these rules together.

    Masked places are ``[REDACTED]``, hashed ones too: who writes the log need not have the key of their hashes.
    """
    for rules in versions:
        attributes, _, _ = _masked(attributes, rules)
    shown: Item = redacted({"M": attributes})["M"]
    return shown


def without_places(item: Item, places: Iterable[Path]) -> Item:
    """Return the item without these places; a path that meets something other than a map takes nothing."""
    for path in places:
        item = _changed(item, path, _drop, whole=False)
    return item


def masked(item: Item, places: Iterable[Path]) -> tuple[Item, Item]:
    """Return the item with ``{"#": ""}`` at each of the places that it has, and the values from there, by path text.

    A path that meets something other than a map takes the whole of it.
    """
    taken: Item = {}

    def mask(item: Item, name: str, path: Path) -> Item:
        taken[path_text(path)] = item[name]
        return {**item, name: _MASKED}

    for path in places:
        item = _changed(item, path, mask, whole=True)
    return item, taken


def redacted(value: Value) -> Value:
    """Return a value as a record shows it: each redacted place is ``[REDACTED]``."""
    ((kind, content),) = value.items()
    if kind == WITHHELD:
        return REDACTED if content == "" else value
    if kind == "M":
        return {"M": {name: redacted(part) for name, part in content.items()}}
    return value


def unredacted(name: str | None, value: Value, paths: Iterable[Path]) -> Value:
    """Return a record's value with ``{"#": ""}`` at its masked places: of the attribute ``name``, or the whole item.

    A place that shows a keyed hash stays as it is, and so does a map or NULL: only the other value of the record, which
    had something else there, was masked at this place.
    """

    def mask(item: Item, name: str, _path: Path) -> Item:
        return item if is_mask(item[name]) and item[name] != REDACTED else {**item, name: _MASKED}

    item: Any = value.get("M") if name is None else {name: value}
    if not isinstance(item, dict):  # a record that was written by hand may hold anything
        return value
    for path in paths:
        item = _changed(item, path, mask, whole=False)
    return {"M": item} if name is None else item[name]


def masked_in(item: Item, paths: Iterable[Path]) -> list[Path]:
    """Return those of the paths at which an item, as a reader has it, is ``{"#": ""}`` or a keyed hash."""
    return [path for path, value in values_at(item, paths) if value == _MASKED or _is_keyed_hash(value)]


def values_at(item: Item, paths: Iterable[Path]) -> list[tuple[Path, Value]]:
    """Return each of the paths that leads to a value of the item, and the value."""
    found: list[tuple[Path, Value]] = []

    def note(item: Item, name: str, path: Path) -> Item:
        found.append((path, item[name]))
        return item

    for path in paths:
        _changed(item, path, note, whole=False)
    return found


def is_mask(value: Value) -> bool:
    """Return whether a record may show this value at a masked place.

    A path may have met a text in one value of the record, which was masked whole, and a map or NULL in the other.
    """
    return value == REDACTED or _is_keyed_hash(value) or "M" in value or "NULL" in value


def _is_keyed_hash(value: Value) -> bool:
    text = value.get("S")
    return isinstance(text, str) and _is_hashed(text) is not None


def _drop(item: Item, name: str, _path: Path) -> Item:
    return {other: value for other, value in item.items() if other != name}


def _put(value: Value) -> Any:
    return lambda item, name, _path: {**item, name: value}


def _changed(item: Item, path: Path, change: Any, *, whole: bool, depth: int = 0) -> Item:
    """Return the item with what ``change(map, name, path)`` returns in place of the map that has the end of the path.

    If the path meets something other than a map, and ``whole``, then its end is there, unless that is NULL, which says
    nothing, or not here.
    """
    name = path[depth]
    value = item.get(name)
    if value is None:
        return item
    if depth + 1 == len(path):
        changed: Item = change(item, name, path)
        return changed
    inner = value.get("M")
    if not isinstance(inner, dict):
        stays = not whole or "NULL" in value or WITHHELD in value
        return item if stays else change(item, name, path[: depth + 1])
    deeper = _changed(inner, path, change, whole=whole, depth=depth + 1)
    return item if deeper is inner else {**item, name: {"M": deeper}}
