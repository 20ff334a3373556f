"""The rules of a watched table, and what else governs how a change is recorded."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from itertools import pairwise

from weaudit.errors import InvalidInputError
from weaudit.items.hashes import encoded, framed
from weaudit.items.paths import path_of, path_text
from weaudit.items.plain import shown
from weaudit.items.values import MARKER
from weaudit.values import replaced, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any

    from weaudit.items.paths import Path

PLACES = {"exclude": "excluded", "hash": "hashed", "ignore": "ignored", "only": "only", "redact": "redacted"}
"""The rules about places, by the names that a table's configuration has for them, sorted: fields of :class:`Rules`."""

MOST_PLACES = 100
"""A version of a table's rules has at most this many places."""

LONGEST_PLACE_BYTES = 1024

_DIGEST_BYTES = 12
# Names of a map nest as deep as DynamoDB lets values nest.
_MOST_NAMES = 32
_POSITION = re.compile(r"(?<!\\)\[\d+\]")
# Each backslash is before a character.
_ESCAPED = re.compile(r"(?:[^\\]|\\.)+", re.DOTALL)


@value
class Rules:
    """The rules of a table from one time on: a change is recorded by the rules of its own time, however late it comes.

    ``actor`` names the attribute in which the table's writers name themselves, "" if there is none; a write that
    changes the attribute ``fresh`` confirms what the actor attribute says. ``subject`` says what the subject of an item
    is (capture.subjects), "" if it has none. ``requires_reason``: an update through table-update-function must say why.

    The places: ``excluded`` ones are never stored or hashed; ``ignored`` ones make no record by themselves, and are in
    no hash of a state; a record shows ``redacted`` ones as ``[REDACTED]``, and ``hashed`` ones as keyed hashes. If
    there are ``only`` attributes, all others but the key are excluded. ``digest`` (12 bytes) names the places in the
    records, b"" if there are none.
    """

    since: str = ""  # ISO 8601, UTC; "" for always
    actor: str = ""
    fresh: str = ""
    subject: str = ""
    requires_reason: bool = False
    excluded: tuple[Path, ...] = ()
    ignored: tuple[Path, ...] = ()
    redacted: tuple[Path, ...] = ()
    hashed: tuple[Path, ...] = ()
    only: tuple[Path, ...] = ()
    digest: bytes = b""

    @property
    def masked(self) -> tuple[Path, ...]:
        """The places whose values are not kept, though a change of them shows."""
        return self.redacted + self.hashed


@value
class Erasure:
    """Who erased the values of a subject, and when (ISO 8601, UTC)."""

    by: str
    at: str


@value
class Terms:
    """All that governs how one change is recorded, besides the change.

    ``secret`` (32 bytes) hides the item's values, and ``kid`` names it; an ``erasure`` has taken the secret away.
    ``origin`` (32 bytes) marks records as ours, and ``equal`` (32 bytes) is the key of what ``rules.hashed`` shows. A
    value whose canonical text is longer than ``inline_bytes`` goes to the evidence bucket, ``bucket``.
    """

    rules: Rules
    secret: bytes
    kid: bytes
    origin: bytes
    bucket: str
    inline_bytes: int
    erasure: Erasure | None = None
    equal: bytes = b""


def place_of(text: Any) -> Path:
    """Return the path that a person wrote. Raises InvalidInputError, which says what would be right."""
    if not isinstance(text, str) or not text:
        raise InvalidInputError("a place is the name of an attribute, or a path into a map, such as address.street")
    if len(encoded(text)) > LONGEST_PLACE_BYTES:
        raise InvalidInputError(f"the place {shown(text)} has more than {LONGEST_PLACE_BYTES} bytes")
    if _POSITION.search(text):
        raise InvalidInputError(
            f"{shown(text)} leads into a list, and a place is an attribute or a part of a map\n"
            f"Name the whole list: {shown(_POSITION.split(text)[0])}. "
            r"If the name itself has brackets, write \ before each opening one."
        )
    path = path_of(text)
    if "" in path or len(path) > _MOST_NAMES or not _ESCAPED.fullmatch(text):
        raise InvalidInputError(
            f"{shown(text)} is no path: names are joined by single dots, {_MOST_NAMES} at most, "
            r"and \ goes before a dot that is part of a name"
        )
    return path


def with_places(rules: Rules, **places: Iterable[Path]) -> Rules:
    """Return rules with other places, and their digest. Raises InvalidInputError if the places contradict each other.

    ``places`` are by the names of :data:`PLACES`; those that are not given stay.
    """
    fields = {PLACES[name]: tuple(sorted(set(paths), key=path_text)) for name, paths in places.items()}
    found = replaced(rules, **fields)
    _check(found)
    return replaced(found, digest=_digest(places_text(found)))


def resolved(rules: Rules, key: Collection[str]) -> Rules:
    """Return the rules of a table with these key attributes. Raises InvalidInputError if they are about the key."""
    if not rules.digest:
        return rules
    for name in ("exclude", "hash", "ignore", "redact"):
        for path in getattr(rules, PLACES[name]):
            if path[0] in key:
                what = f"{shown(path_text(path))} cannot be under {name}"
                raise InvalidInputError(f"{what}: it is part of the key, by which the trail names items")
    if not rules.only:
        return rules
    return with_places(rules, only={*rules.only, *((name,) for name in key)})


def places_text(rules: Rules) -> str:
    """Return the canonical text of the places of rules, "" if there are none: what ``digest`` is the digest of."""
    listed = {name: [path_text(path) for path in getattr(rules, field)] for name, field in PLACES.items()}
    found = {name: sorted(texts) for name, texts in listed.items() if texts}
    return json.dumps(found, ensure_ascii=False, sort_keys=True, separators=(",", ":")) if found else ""


def rules_with(text: bytes, digest: bytes) -> Rules | None:
    """Return rules with the places that a text names, or None if the text is not the one with this digest."""
    try:
        found = with_places(Rules(), **{name: map(path_of, paths) for name, paths in json.loads(text).items()})
    except (ValueError, TypeError, AttributeError, KeyError, InvalidInputError):
        return None
    return found if found.digest == digest and places_text(found).encode() == text else None


def hides(rules: Rules, name: str) -> bool:
    """Return whether rules keep an attribute, or a part of it, out of records or out of the hashes of states."""
    places = rules.excluded + rules.ignored + rules.masked
    return any(path[0] == name for path in places) or (bool(rules.only) and (name,) not in rules.only)


def no_rules(digest: str) -> Rules | None:
    """Return the rules of records that name none, and None for any digest: no text of rules can be read here."""
    return None if digest else Rules()


def _digest(text: str) -> bytes:
    return sha256(framed(b"weaudit-rules-2", encoded(text))).digest()[:_DIGEST_BYTES] if text else b""


def _check(rules: Rules) -> None:
    if any(len(path) > 1 for path in rules.only):
        raise InvalidInputError("only takes names of attributes, and no paths: exclude leaves out a part of a map")
    places = sorted((path, name) for name, field in PLACES.items() if name != "only" for path in getattr(rules, field))
    if len(places) + len(rules.only) > MOST_PLACES:
        raise InvalidInputError(f"the rules have {len(places) + len(rules.only)} places; {MOST_PLACES} is the most")
    # Sorted, a place comes right before what lies within it.
    for (path, name), (within, other) in pairwise(places):
        if within == path:
            what = f"{shown(path_text(path))} is under {name} and under {other}"
            raise InvalidInputError(f"{what}: one rule is the most for a place")
        if within[: len(path)] == path:
            what = f"{shown(path_text(within))} ({other}) lies within {shown(path_text(path))} ({name})"
            raise InvalidInputError(f"{what}: keep one of the two")
    for name in ("exclude", "hash", "redact"):
        for path in getattr(rules, PLACES[name]):
            if path[0] in (rules.actor, rules.fresh):
                raise InvalidInputError(
                    f"{shown(path_text(path))} cannot be under {name}: writers name themselves there, or confirm it\n"
                    "Without its value, no change could say who made it."
                )
            if path[0] == MARKER:
                raise InvalidInputError(f"{MARKER} is WeAudit's own mark, which no record shows")
    if any(path[0] == MARKER for path in rules.ignored + rules.only):
        raise InvalidInputError(f"{MARKER} is WeAudit's own mark, which no record shows")
