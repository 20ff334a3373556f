"""Entries are written in one way, and read in that way alone; what a later version adds is kept."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaudit.ledger import entries
from weaudit.ledger.entries import MOST_BYTES, ROWS, canonical, entry, parse, parse_canonical
from weaudit.ledger.faults import LedgerError

TIME = "2024-01-01T00:00:00.000Z"
ID, HASH = "0b7e4a6e-5d1c-4c57-8a53-3f0d8f6b7a10", "c7" * 32
MARKS = {"arn:aws:dynamodb:…/stream/2024": {"shardId-1": "100000000000000000001"}}
# A line for each kind: its fields besides format and time.
SOUND: list[dict[str, Any]] = [
    {"kind": "record", "id": ID, "hash": HASH},
    {"kind": "log", "id": f"request#{HASH}", "hash": HASH, "table": "audit_logs"},
    {"kind": "expiry", "id": ID, "hash": HASH},
    {"kind": "expired", "id": ID, "hash": HASH},
    {"kind": "erased", "id": ID, "hash": HASH, "by": "erasure-7"},
    {"kind": "erased", "id": ID, "hash": HASH},
    {"kind": "adopted", "id": ID, "hash": HASH},
    {"kind": "foreign", "id": 'é "\\\n\x7f𝄞', "hash": HASH},
    {"kind": "altered", "id": ID, "hash": HASH, "table": "audit_logs"},
    {"kind": "deleted", "id": ID, "hash": HASH},
    {"kind": "gap", "stream": "arn:…/stream/2024", "shard": "shardId-1", "after": "100"},
    {"kind": "gap", "stream": "arn:…/stream/2024"},
    {"kind": "seal", "n": 3, "marks": MARKS},
    {"kind": "seal", "n": 0, "marks": {}, "behind": True},
]
RECORD = {"format": entries.FORMAT, "time": TIME, **SOUND[0]}


def text_of(fields: Any) -> bytes:
    return json.dumps(fields, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def refused(text: bytes) -> None:
    with pytest.raises(LedgerError):
        parse(text)


def test_the_text_of_an_entry_is_this() -> None:
    assert entry("record", TIME, id=ID, hash=HASH).text == (
        b'{"format":"weaudit-entry-1","hash":"' + HASH.encode() + b'","id":"' + ID.encode() + b'","kind":"record",'
        b'"time":"2024-01-01T00:00:00.000Z"}'
    )


@pytest.mark.parametrize("fields", SOUND, ids=lambda fields: fields["kind"])
def test_every_kind_is_read_as_it_is_written(fields: dict[str, Any]) -> None:
    made = entry(time=TIME, **fields)
    assert made.text == text_of({"format": "weaudit-entry-1", "time": TIME, **fields})
    read = parse(made.text)
    assert read == made
    assert (read.kind, read.time, read.id, read.hash) == (
        fields["kind"], TIME, fields.get("id"), fields.get("hash"),
    )  # fmt: skip
    assert read.fields == {"format": "weaudit-entry-1", "time": TIME, **fields}


def test_every_kind_is_among_these() -> None:
    assert {fields["kind"] for fields in SOUND} == {*ROWS, "gap", "seal"} == entries._FIELDS.keys()


@pytest.mark.parametrize("fields", SOUND, ids=lambda fields: fields["kind"])
def test_a_field_more_or_less_is_refused(fields: dict[str, Any]) -> None:
    whole = {"format": "weaudit-entry-1", "time": TIME, **fields}
    for name in whole.keys() - {"table", "by", "shard", "after", "behind"}:
        refused(text_of({other: value for other, value in whole.items() if other != name}))
    for name in ("actor", "value", "itemKey", ""):
        refused(text_of({**whole, name: "x"}))
    wrongs: list[Any] = [None, "", 1, True, [], ["x"], {"x": 1}, {"x": []}]
    for name, wrong in itertools.product(whole, wrongs):
        if (name, wrong is True) != ("behind", True) and (name, wrong is wrongs[2]) != ("n", True):
            refused(text_of({**whole, name: wrong}))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("format", "weaudit-entry-2"), ("format", "weaudit-entry-1 "), ("hash", HASH.upper()), ("hash", HASH[2:]),
        ("hash", HASH + "00"), ("hash", HASH + "\n"), ("id", "x" * 4_097), ("id", "é" * 2_049), ("kind", "k" * 1_025),
        ("time", "2024-01-01T00:00:00Z"), ("time", "2024-01-01 00:00:00.000Z"), ("time", "2024-13-01T00:00:00.000Z"),
        ("time", "2024-01-01T24:00:00.000Z"), ("time", TIME + "\n"), ("time", "2024-01-01T00:00:00.000+00:00"),
        ("time", "\u0662024-01-01T00:00:00.000Z"),
    ],
)  # fmt: skip
def test_a_value_of_another_form_is_refused(name: str, wrong: str) -> None:
    refused(text_of({**RECORD, name: wrong}))


def test_a_kind_of_a_later_version_is_kept() -> None:
    fields = {"format": entries.FORMAT, "time": TIME, "kind": "witnessed", "id": [1, None, {"a": True}], "more": -7}
    read = parse(text_of(fields))
    assert (read.kind, read.id, read.hash, read.fields) == ("witnessed", None, None, fields)
    assert parse(text_of({**fields, "id": "x", "hash": "y"})).id == "x"
    with pytest.raises(LedgerError, match="witnessed"):
        entry("witnessed", TIME, id=ID, hash=HASH)
    refused(text_of({**fields, "time": "today"}))


def test_an_entry_has_room_for_two_bytes_of_length() -> None:
    def seal(size: int) -> bytes:
        return entry("seal", TIME, n=1, marks={"s": {"shard": "1" * size}}).text

    most = MOST_BYTES - len(seal(0))
    assert len(seal(most)) == MOST_BYTES
    assert parse(seal(most)).kind == "seal"
    with pytest.raises(LedgerError, match="65535"):
        seal(most + 1)
    refused(seal(most).replace(b"111", b"1111", 1))
    refused(b" " * 70_000)


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"null", b"[]", b'"weaudit-entry-1"', b"{}", b"{", b"\xff", b"\xef\xbb\xbf{}", b"NaN", b"1e5",
        text_of(RECORD) + b"\n", b" " + text_of(RECORD), text_of(RECORD)[:-1], text_of(RECORD) * 2,
        json.dumps(RECORD).encode(), json.dumps(RECORD, sort_keys=True, indent=0).encode(),
        text_of(RECORD).replace(b'"id"', b'"id":"x","id"', 1), text_of(RECORD).replace(b"record", b"rec\\u006frd"),
        text_of(RECORD).decode().encode("utf-16"), b'{"a":' * 9_000 + b"1" + b"}" * 9_000,
    ],
)  # fmt: skip
def test_other_texts_are_refused(text: bytes) -> None:
    refused(text)


@given(st.data())
def test_a_changed_byte_is_another_entry_or_refused(data: st.DataObject) -> None:
    sound = text_of({"format": entries.FORMAT, "time": TIME, **data.draw(st.sampled_from(SOUND))})
    at = data.draw(st.integers(0, len(sound) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != sound[at]))
    changed = sound[:at] + bytes([byte]) + sound[at + 1 :]
    try:
        read = parse(changed)
    except LedgerError:
        return
    assert read.text == changed
    assert text_of(read.fields) == changed


# ---- canonical JSON


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-entries.MOST_INTEGER, entries.MOST_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_canonical_json_is_read_as_it_is_written(value: Any) -> None:
    try:
        text = canonical(value)
    except LedgerError:
        assert any(0xD800 <= ord(character) < 0xE000 for character in str(value))
        return
    assert parse_canonical(text) == value
    assert json.loads(text) == value


def test_names_are_sorted_by_their_bytes() -> None:
    assert canonical({"é": 1, "z": 2, "": 3, "\uffff": 4, "\U00010000": 5}) == (
        '{"":3,"z":2,"é":1,"\uffff":4,"\U00010000":5}'.encode()
    )


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), float("inf"), 2**53, -(2**53), 10**4_000, "\ud800", {"\ud800": 1}, (1,), {1: 2}, {1: 1, "a": 1},
     b"x", {1, 2}, object()],
)  # fmt: skip
def test_what_json_does_not_have_alike_everywhere_is_refused(value: Any) -> None:
    with pytest.raises(LedgerError):
        canonical(value)
    with pytest.raises(LedgerError):
        canonical({"a": [value]})


@pytest.mark.parametrize(
    "text",
    [b"1.0", b"1e2", b"-0", b"01", b"9007199254740992", b"1" * 5_000, b"NaN", b"Infinity", b"[1, 2]", b'{"b":1,"a":1}',
     b'{"a":1,"a":1}', b'"\\ud800"', b'"\\/"', b'"\\u00e9"', b'"\t"', b"[" * 60_000, b"[" * 20_000 + b"]" * 20_000,
     b"tru", b"[1]]", b'"\xed\xa0\x80"'],
)  # fmt: skip
def test_json_that_is_not_canonical_is_refused(text: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_canonical(text)
