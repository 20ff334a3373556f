"""A receipt opens its own record, of whatever form, and nothing of it is shown unless all of it holds."""

import base64
import contextlib
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import SECRETS
from tests.ledger import trees
from tests.ledger.keys import signer
from tests.ledger.logs import AT, ORIGIN, Log, seal, sealed
from tests.strategies import change, items, values
from tests.trail.test_erased import erased
from tests.trails import decision
from weaudit.capture.hashes import from_base64, origin
from weaudit.evidence import packed
from weaudit.items.values import Item
from weaudit.ledger import policies
from weaudit.ledger.entries import canonical, parse_canonical
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.proofs import build, parse
from weaudit.trail import documents, receipts
from weaudit.trail.reader import AuditHistory
from weaudit.trail.receipts import Receipt, Sealed

POLICY = policies.of_log(signer(ORIGIN).key)
KEY = {"key": {"S": "k"}}
LONG = {"S": "é" * 2_000}
MANY = {**KEY, **{f"a{at}": {"S": "x" * 900} for at in range(450)}}


def receipt_records(old: Any, new: Any, objects: dict[str, bytes] | None = None, **rules: Any) -> list[Any]:
    """Return the records of a change as receipts have them; large values are read from these objects alone."""
    made = decision(change(old, new, keys=KEY), **rules)
    kept = {large.key: packed(large.text) for large in made.large_values} if objects is None else objects
    return [record_of(record, kept) for record in made.records]


def record_of(record: Item, objects: dict[str, bytes]) -> Any:
    unused: Any = None
    trail = AuditHistory(unused, unused, unused, "Audit", lambda _bucket, key: objects.get(key))
    [found] = trail.gathered([record])
    return receipts.record_of(found)


def is_ours(record: Any, stored: Item) -> bool:
    """Return whether the hash of a receipt's record is the one that its origin was made for."""
    return origin(SECRETS.origin, bytes.fromhex(receipts.hash_of(record))) == from_base64(stored["origin"])


def stored_and_shown(old: Any, new: Any, **rules: Any) -> Iterable[tuple[Item, Any]]:
    return zip(decision(change(old, new, keys=KEY), **rules).records, receipt_records(old, new, **rules), strict=True)


def log_of(records: Iterable[Any], before: int = 3, after: int = 5) -> Log:
    entries = [sealed("before")] * before
    entries += [sealed(record["id"]["S"], row_hash=receipts.hash_of(record)) for record in records]
    return Log([*entries, *[sealed("after")] * after, seal(len(entries) + after)])


def receipt(log: Log, record: Any, *, bare: bool = False) -> bytes:
    found = receipts.sealed(receipts.entries_of(record["id"]["S"], None, log.tree(), log.fetch, log.part))
    assert found is not None
    return receipts.written(log.tree(), log.note, found, None if bare else record)


def refused(content: bytes) -> None:
    with pytest.raises(LedgerError):
        receipts.opened(content, POLICY)


# ---- every form of a record


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        (None, {**KEY, "v": {"N": "1"}}, {}),
        ({**KEY, "v": {"N": "1.50"}}, {**KEY, "v": {"SS": ["b", "a"]}, "é": {"S": "\U0001f600"}}, {"actor": "é"}),
        ({**KEY, "v": LONG, "w": {"N": "1"}}, None, {}),
        ({**KEY, "v": {"N": "1"}}, {**KEY, "v": LONG}, {}),
        ({**KEY, "v": LONG}, {**KEY, "v": {"S": "x" * 5_000}}, {}),
        ({**KEY, "v": {"S": "a"}}, {**KEY, "v": {"S": "b" * 600}}, {"inline_bytes": 500}),
        (None, MANY, {}),
        ({**KEY, "p": {"S": "1"}}, {**KEY, "p": {"S": "2"}, "w": {"M": {"p": {"N": "3"}}}}, {"redact": ["p", "w.p"]}),
        (None, {**KEY, "p": {"S": "1"}, "w": {"M": {"p": LONG, "x": LONG}}}, {"redact": ["p"], "hash": ["w.p"]}),
        ({**KEY, "a": {"S": "text"}}, {**KEY, "a": {"M": {"pin": {"N": "1"}, "x": LONG}}}, {"redact": ["a.pin"]}),
        ({**KEY, "v": {"N": "1"}}, {**KEY, "v": {"M": {"t": {"N": "2"}, "x": LONG}}}, {"ignore": ["v.t"]}),
        (None, {**KEY, "#": {"M": {"#": {"S": "x"}}}, "[REDACTED]": {"S": "[REDACTED]"}}, {}),
    ],
    ids=[
        "whole", "attributes", "large whole", "large new", "two large", "not so long", "many small", "redacted",
        "hashed", "a text that became a map", "ignored", "odd names",
    ],
)  # fmt: skip
def test_a_record_in_a_receipt_has_the_hash_of_the_stored_one(old: Any, new: Any, rules: dict[str, Any]) -> None:
    for stored, shown in stored_and_shown(old, new, **rules):
        assert is_ours(shown, stored)
        assert "salt" not in shown
        assert parse_canonical(canonical(shown)) == shown
        log = log_of([shown])
        found = receipts.opened(receipt(log, shown), POLICY)
        assert (found.checkpoint.origin, found.checkpoint.size, found.checkpoint.root) == (ORIGIN, log.size, log.root)
        assert (found.index, found.entry, found.record) == (3, log.entries[3], shown)
        assert receipts.opened(receipt(log, shown, bare=True), POLICY) == Receipt(
            found.checkpoint, 3, log.entries[3], None
        )


@given(st.none() | items, items)
def test_a_receipt_of_any_change_opens(old: Any, new: Any) -> None:
    for stored, shown in stored_and_shown(old, new):
        assert is_ours(shown, stored)
        assert receipts.opened(receipt(log_of([shown]), shown), POLICY).record == shown


def test_long_values_are_their_commitments() -> None:
    [shown] = receipt_records({**KEY, "v": LONG}, {**KEY, "v": {"S": "x" * 5_000}})
    commitments = receipts.commitments(shown)
    assert {name: shown[name] for name in ("oldValue", "newValue")} == {
        name: {"#": commitments[name]["v"]} for name in ("oldValue", "newValue")
    }
    [whole] = receipt_records(None, {**KEY, "v": LONG, "w": {"N": "1"}, "pin": {"S": "1"}}, redact=["pin"])
    assert whole["newValue"] == {
        "M": {**KEY, "w": {"N": "1"}, "pin": {"#": ""}, "v": {"#": receipts.commitments(whole)["newValue"]["v"]}}
    }
    assert documents.record(receipts.change_of(whole))["newValue"] == {
        "key": "k",
        "w": json_number("1"),
        "pin": "[REDACTED]",
    }


def json_number(text: str) -> str:
    return text  # items.plain.Number keeps the digits


def test_an_erased_record_is_proven_without_its_values() -> None:
    [stored] = decision(change(None, {**KEY, "v": {"N": "1"}}, keys=KEY)).records
    log = log_of([record_of(stored, {})])
    shown = record_of(erased(stored), {})
    assert shown["erased"] == {"M": {"p": erased(stored)["erased"]["M"]["p"]}}, "who erased it, and when, is not proven"
    assert not {"itemKey", "newValue", "contentSalt", "salt"} & shown.keys()
    found = receipts.opened(receipt(log, shown), POLICY)
    assert found.record == shown
    assert receipts.change_of(shown).erased


def test_a_log_of_one_entry_and_one_of_more_than_a_lookup() -> None:
    [shown] = receipt_records(None, {**KEY, "v": {"N": "1"}})
    only = Log([sealed(shown["id"]["S"], row_hash=receipts.hash_of(shown))])
    assert receipts.opened(receipt(only, shown), POLICY).index == 0
    many = log_of([shown], before=70_000, after=0)
    assert receipts.opened(receipt(many, shown), POLICY).index == 70_000


def test_a_receipt_ties_the_record_to_its_own_salt_alone() -> None:
    stored = decision(
        change({**KEY, "v": LONG, "w": {"S": "1"}}, {**KEY, "v": {"N": "1"}, "w": LONG}, keys=KEY)
    ).records
    for record in stored:
        content = receipt(log_of([record_of(record, {})]), record_of(record, {}))
        extra = parse(content).extra
        assert record["contentSalt"]["B"].encode() in extra
        assert record["salt"]["B"].encode() not in extra
        assert b'"origin"' not in extra
        assert b"historyKey" not in extra


# ---- what is not a receipt


def test_a_record_that_is_not_the_sealed_one_has_no_receipt() -> None:
    [shown] = receipt_records(None, {**KEY, "v": {"N": "1"}})
    log = log_of([shown])
    for wrong in (
        {**shown, "newValue": {"M": {**KEY, "v": {"N": "2"}}}},
        {**shown, "origin": {"B": ""}},
        {},
        {"id": shown["id"]},
    ):
        with pytest.raises(LedgerError):
            receipts.written(log.tree(), log.note, Sealed(3, log.entries[3], ()), wrong)


def test_a_record_whose_small_values_are_gone_has_no_receipt() -> None:
    log = log_of(receipt_records(None, MANY))
    [gone] = receipt_records(None, MANY, {})
    with pytest.raises(LedgerError, match="not the one that was sealed"):
        receipts.written(log.tree(), log.note, Sealed(3, log.entries[3], ()), gone)


def test_a_record_written_by_hand_has_no_receipt() -> None:
    odd: Any
    for odd in ({"id": {"S": "x"}}, {"id": {"S": "x"}, "newValue": {"S": 1}, "erased": {}}, {"newValue": {"M": []}}):
        with pytest.raises(LedgerError):
            receipts.hash_of(record_of(odd, {}))


# ---- nothing else is taken


[SHOWN] = receipt_records({**KEY, "v": {"N": "1"}}, {**KEY, "v": {"S": "2"}}, actor="v")
LOG = log_of([SHOWN], before=4, after=6)
RECEIPT = receipt(LOG, SHOWN)


@given(st.integers(0, len(RECEIPT) - 1), st.integers(0, 7))
def test_a_receipt_with_a_changed_bit_is_refused(at: int, bit: int) -> None:
    # Also in the signature and in the checkpoint.
    refused(trees.flipped(RECEIPT, at * 8 + bit))


@given(st.integers(0, len(RECEIPT) - 1), st.integers(1, 40))
def test_a_receipt_with_a_part_missing_is_refused(at: int, count: int) -> None:
    refused(RECEIPT[:at] + RECEIPT[at + count :])


def rebuilt(record: Any, entry: Any = LOG.entries[4]) -> bytes:
    return build(4, parse(RECEIPT).hashes, LOG.note, entry, record)


def test_a_field_that_the_hash_does_not_cover_is_refused() -> None:
    assert receipts.opened(rebuilt(SHOWN), POLICY).record == SHOWN
    for name in (
        "salt",
        "origin",
        "expiresAt",
        "historyKey",
        "changesKey",
        "newValueRef",
        "content",
        "streamLabel",
        "note",
    ):
        refused(rebuilt({**SHOWN, name: {"S": "x"}}))
    refused(rebuilt({**SHOWN, "changeOrder": {"S": SHOWN["changeOrder"]["S"] + "0"}}))
    refused(rebuilt({**SHOWN, "changeOrder": {**SHOWN["changeOrder"], "N": "1"}}))
    for name in SHOWN:
        refused(rebuilt({field: value for field, value in SHOWN.items() if field != name}))
        other: Any
        for other in ({"S": "x"}, {"N": "1"}, {"M": {}}, {"L": [{}]}, {"#": ""}, {}, [], "x", None, 1):
            if other != SHOWN[name]:
                refused(rebuilt({**SHOWN, name: other}))


def test_a_field_without_a_value_which_the_hash_does_not_see_is_refused() -> None:
    [created] = receipt_records(None, {**KEY, "v": {"N": "1"}})
    log = log_of([created])
    for name in ("oldValue", "actor", "reason", "beforeHash"):
        assert name not in created
        content = receipt(log, created)
        [extra] = [line for line in content.splitlines() if line.startswith(b"extra ")]
        held: Any = parse_canonical(base64.b64decode(extra[6:]))
        held["record"][name] = None
        refused(content.replace(extra, b"extra " + base64.b64encode(canonical(held))))


def test_values_beside_the_hash_of_erased_ones_are_refused() -> None:
    [stored] = decision(change({**KEY, "v": {"N": "1"}}, {**KEY, "v": {"S": "2"}}, keys=KEY), actor="v").records
    gone = record_of(erased(stored), {})
    assert receipts.opened(rebuilt(gone), POLICY).record == gone, "it has the hash that it had"
    for name, field in {"newValue": {"S": "a lie"}, "reason": {"S": "a lie"}, "contentSalt": {"B": ""}}.items():
        refused(rebuilt({**gone, name: field}))
    p = gone["erased"]["M"]["p"]
    form: Any
    for form in ({"M": {"p": p, "by": {"S": "a lie"}}}, {"M": {}}, {"S": "x"}, {"M": {"p": p}, "S": "x"}):
        if form.get("S") is None or "M" not in form:
            refused(rebuilt({**gone, "erased": form}))


def test_a_receipt_of_another_log_or_key_is_refused() -> None:
    other = Log(LOG.entries, signer("weaudit/other/log/x"))
    refused(RECEIPT.replace(LOG.note, other.note))
    stranger = Log(LOG.entries, signer(ORIGIN, seed="stranger"))
    refused(RECEIPT.replace(LOG.note, stranger.note))
    refused(RECEIPT.replace(LOG.note, LOG.signed(4, LOG.root)))
    refused(RECEIPT.replace(LOG.note, LOG.signed(LOG.size, bytes(32))))


def test_a_record_of_another_id_is_refused() -> None:
    # Only the log itself could do that: the hash covers the id.
    log = Log([sealed("another", row_hash=receipts.hash_of(SHOWN))])
    with pytest.raises(LedgerError, match="another id"):
        receipts.opened(build(0, [], log.note, log.entries[0], SHOWN), POLICY)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["S", "N", "M", "L", "B", "#", "NS"]) | st.text(max_size=2), inner, max_size=3
        )
    ),
)


@given(st.dictionaries(st.sampled_from(sorted(SHOWN)), JSON))
def test_a_record_of_any_form_is_read_or_refused(fields: dict[str, Any]) -> None:
    with contextlib.suppress(LedgerError):
        assert len(receipts.hash_of({**SHOWN, **fields})) == 64


@given(st.dictionaries(st.sampled_from(sorted(SHOWN.keys() - {"id", "changeOrder", "sequenceNumber"})), values))
def test_what_somebody_wrote_by_hand_can_be_shown_once_it_is_proven(fields: dict[str, Any]) -> None:
    found = {**SHOWN, **fields}
    try:
        log = Log([sealed(SHOWN["id"]["S"], "foreign", row_hash=receipts.hash_of(found))])
    except LedgerError:
        return
    opened = receipts.opened(build(0, [], log.note, log.entries[0], found), POLICY)
    assert opened.record is not None
    assert documents.record(receipts.change_of(opened.record))["id"] == SHOWN["id"]["S"]
    assert receipts.commitments(opened.record) is not None


# ---- what the log says of a row


def test_the_entry_that_is_proven_says_that_the_row_was_written() -> None:
    kinds = ("expiry", "record", "altered", "expired")
    entries = [sealed("x", kind, AT) for kind in kinds]
    found = receipts.sealed(enumerate(entries))
    assert found == Sealed(1, entries[1], (entries[2], entries[3]))
    assert found is not None
    assert found.findings == (entries[2],)


def test_a_row_that_was_only_seen_later_was_adopted() -> None:
    entries = [sealed("x", "adopted"), sealed("x", "record")]
    assert receipts.sealed(enumerate(entries)) == Sealed(1, entries[1], ())
    assert receipts.sealed(enumerate(entries[:1])) == Sealed(0, entries[0], ())
    assert receipts.sealed([]) is None
    assert receipts.sealed([(0, sealed("x", "foreign"))]) is None


def test_only_what_can_have_entries_is_read_for_a_record() -> None:
    [shown] = receipt_records(None, {**KEY, "v": {"N": "1"}})
    at = receipts.change_of(shown)
    assert at.at == AT
    log = Log([sealed("early", time="2023-12-29T00:00:00.000Z")] * 600 + [sealed(shown["id"]["S"])])
    assert [leaf for leaf, _ in receipts.entries_of(shown["id"]["S"], at, log.tree(), log.fetch, log.part)] == [600]
    assert "tile/entries/000" not in log.asked, "what was sealed three days before the change"
    log = Log([sealed(shown["id"]["S"], time="2023-12-31T00:00:00.000Z")] * 600)
    assert len(receipts.entries_of(shown["id"]["S"], at, log.tree(), log.fetch, log.part)) == 600


def test_the_extra_line_is_what_the_page_says() -> None:
    extra = json.loads(base64.b64decode(RECEIPT.split(b"\n")[1].removeprefix(b"extra ")))
    assert extra.keys() == {"entry", "record"}
    assert json.loads(extra["entry"]) == LOG.entries[4].fields
