"""Entries of the log: what happened to which row, when, and the row's hash; never a value, an item's key or an actor.

The text of an entry is canonical JSON, and the hash of its leaf is the hash of that text. An entry of a kind that this
version does not know is kept as it is, so that a later log can still be read and verified.
"""

from __future__ import annotations

import json
import re

from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    JSON = str | int | bool | None | list["JSON"] | dict[str, "JSON"]

FORMAT = "weaudit-entry-1"
MOST_BYTES = 65_535
"""The length of an entry in a bundle has two bytes."""
MOST_ID_BYTES = 4_096
"""Both keys of a row of DynamoDB have 3,072 bytes at most."""
MOST_INTEGER = (1 << 53) - 1
"""Every reader of JSON reads integers up to this one alike."""

ROWS = ("record", "log", "expiry", "expired", "erased", "adopted", "foreign", "altered", "deleted")
"""The kinds of entries of one row: written as it should be, or one of the findings."""
FINDINGS = frozenset(("foreign", "altered", "deleted", "gap", "erased"))
"""The kinds that somebody must look at. ``erased`` is one as long as no erasure is sealed that it could name."""
_FIELDS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    # kind: the fields that it has besides format, kind and time, and those that it may have
    **{kind: (frozenset({"id", "hash"}), frozenset({"table"})) for kind in ROWS},
    "erased": (frozenset({"id", "hash"}), frozenset({"table", "by"})),
    "gap": (frozenset({"stream"}), frozenset({"shard", "after"})),
    "seal": (frozenset({"marks", "n"}), frozenset({"behind", "more"})),
}
_TIME = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_TEXT = 1_024


class Entry:
    """One entry. ``fields`` has everything that it holds; the other attributes are those that most kinds have.

    ``id`` and ``hash`` are None where the kind has none. Made by :func:`entry` and :func:`parse`.
    """

    __slots__ = ("fields", "hash", "id", "kind", "text", "time")

    def __init__(self, fields: Mapping[str, JSON], text: bytes) -> None:
        """Raise LedgerError unless the fields are those of the kind."""
        if len(text) > MOST_BYTES:
            raise LedgerError(f"an entry has {MOST_BYTES} bytes at most, not {len(text)}")
        if fields.get("format") != FORMAT:
            raise LedgerError(f"an entry of another format than {FORMAT}")
        self.fields, self.text = fields, text
        self.kind, self.time = _text(fields, "kind"), _time(fields)
        if self.kind in _FIELDS:
            _known(self.kind, fields)
        one, other = fields.get("id"), fields.get("hash")
        self.id = one if isinstance(one, str) else None
        self.hash = other if isinstance(other, str) else None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Entry({self.text!r})"


def entry(kind: str, time: str, **fields: JSON) -> Entry:
    """Return an entry. Raises LedgerError unless this version knows the kind, and the fields are those of the kind."""
    if kind not in _FIELDS:
        raise LedgerError(f"no entry is of the kind {kind!r}")
    fields |= {"format": FORMAT, "kind": kind, "time": time}
    return Entry(fields, canonical(fields))


def parse(text: bytes) -> Entry:
    """Return the entry that has this text. Raises LedgerError for a text that :func:`entry` would not have written."""
    if len(text) > MOST_BYTES:
        raise LedgerError(f"an entry has {MOST_BYTES} bytes at most, not {len(text)}")
    found = parse_canonical(text)
    if not isinstance(found, dict):
        raise LedgerError("an entry is a JSON object")
    return Entry(found, text)


def _known(kind: str, fields: Mapping[str, JSON]) -> None:
    needed, allowed = _FIELDS[kind]
    names = fields.keys() - {"format", "kind", "time"}
    if not needed <= names <= needed | allowed:
        others = f", and may have {', '.join(sorted(allowed))}" if allowed else ""
        raise LedgerError(f"an entry of the kind {kind} has {', '.join(sorted(needed))}{others}, and nothing else")
    for name in names - {"id", "hash", "marks", "n", "behind", "more"}:
        _text(fields, name)
    if "id" in needed and len(_text(fields, "id", MOST_ID_BYTES).encode()) > MOST_ID_BYTES:
        raise LedgerError(f"the id of an entry has {MOST_ID_BYTES} bytes at most")
    if "hash" in needed and not _HASH.fullmatch(_text(fields, "hash")):
        raise LedgerError("the hash of an entry is not 64 hexadecimal digits")
    if kind == "seal":
        n, marks = fields["n"], fields["marks"]
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise LedgerError("n of a seal is not a count")
        if not all(fields[name] is True for name in names & {"behind", "more"}):
            raise LedgerError("behind and more of a seal are true, or not there")
        shards = marks.values() if isinstance(marks, dict) else [None]
        if not all(isinstance(one, dict) and all(isinstance(mark, str) for mark in one.values()) for one in shards):
            raise LedgerError("marks of a seal are not a sequence number for each shard of each stream")


def _text(fields: Mapping[str, JSON], name: str, most: int = _MOST_TEXT) -> str:
    found = fields.get(name)
    if not isinstance(found, str) or not 0 < len(found) <= most:
        raise LedgerError(f"{name} of an entry is not a text of 1 to {most} characters")
    return found


def _time(fields: Mapping[str, JSON]) -> str:
    found = _text(fields, "time")
    if not _TIME.fullmatch(found):
        raise LedgerError("time of an entry is not of the form 2024-01-01T00:00:00.000Z")
    return found


# ---- canonical JSON


def canonical(value: JSON | Mapping[str, JSON]) -> bytes:
    """Return the canonical JSON of a value: compact, names sorted by their UTF-8 bytes, numbers integers only.

    Raises LedgerError for a value that has none: it holds a float, an integer that not every reader reads alike, half
    of a surrogate pair, or anything that JSON does not have.
    """
    text = _dumped(value)
    # Texts by their names, as most entries are, come back as they are.
    flat = isinstance(value, dict) and all(type(one) is str for one in (*value, *value.values()))
    if not flat and _loaded(text) != value:
        raise LedgerError("a value that JSON does not have")
    return text


def parse_canonical(text: bytes) -> JSON:
    """Return the value of a canonical JSON text. Raises LedgerError for any other text, sound JSON or not."""
    found = _loaded(text)
    if _dumped(found) != text:
        raise LedgerError("a text that is not canonical JSON")
    return found


def _integer(text: str) -> int:
    if len(text) > 17 or abs(int(text)) > MOST_INTEGER:
        raise LedgerError(f"the integer {text[:20]} is too large")
    return int(text)


def _refused(text: str) -> JSON:
    raise LedgerError(f"{text[:20]} is not an integer")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode
_decode = json.JSONDecoder(parse_int=_integer, parse_float=_refused, parse_constant=_refused).decode


def _dumped(value: object) -> bytes:
    try:
        return _encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise LedgerError(f"no canonical JSON: {error}") from error


def _loaded(text: bytes) -> JSON:
    try:
        found: JSON = _decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"no canonical JSON: {error}") from error
    return found
