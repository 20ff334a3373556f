"""A change whose values were erased keeps its hash and its place; every reader says that it is erased."""

import base64
import hmac
import io
from collections.abc import Sequence
from typing import Any

import pytest
from rich.console import Console

from tests.fakes import SECRETS
from tests.trail.test_item_history import Index
from tests.trails import changed, decide, hash_of, one_by_one
from weaudit.capture.hashes import CONTENT, content_hash, from_base64, joined, origin, record_hash
from weaudit.cli.printing.rendering import Rendering
from weaudit.items.values import spelled
from weaudit.trail.changes import AuditedChange
from weaudit.trail.documents import document, record
from weaudit.trail.history import changes, narrowed
from weaudit.trail.reader import AuditHistory
from weaudit.trail.rebuilding import rebuild
from weaudit.trail.states import AsOf
from weaudit.trail.verification.verifying import verify_item

TABLE = "Configuration"
ARN = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{TABLE}"
START_MS = 1_711_922_395_000
KEY = b"a random key of this erasure"
LIFE: list[Any] = [
    None,
    {"a": {"N": "1"}, "b": {"N": "1"}, "by": {"S": "ada"}},
    {"a": {"N": "2"}, "b": {"N": "2"}, "by": {"S": "ada"}, "_weaudit": {"S": "log-1"}},
    {"a": {"N": "3"}, "b": {"N": "2"}, "by": {"S": "ada"}},
    None,
]
GONE = {"itemKey", "oldValue", "newValue", "reason", "actor", "changeId", "salt", "contentSalt"}


def erased(whole: dict[str, Any]) -> dict[str, Any]:
    """Return a record in its erased form (docs/formats/audit-record.md), written by hand."""
    content = {name: spelled(whole[name]) for name in CONTENT if name in whole}
    p = content_hash(from_base64(whole["contentSalt"]), joined(CONTENT, content))
    partition = hmac.digest(KEY, whole["historyKey"]["S"].encode(), "sha256").hex()
    said = {
        "p": {"B": base64.b64encode(p).decode()},
        "by": {"S": "arn:aws:iam::111122223333:user/ada"},
        "at": {"S": "2024-05-01T00:00:00.000Z"},
    }
    kept = {name: value for name, value in whole.items() if name not in GONE}
    return {**kept, "historyKey": {"S": partition}, "erased": {"M": said}}


def whole_records() -> list[dict[str, Any]]:
    return [found for one in changed("k", LIFE, at_ms=START_MS) for found in decide(one, actor="by")]


def erased_records() -> list[dict[str, Any]]:
    return [erased(found) for found in whole_records()]


def found() -> list[AuditedChange]:
    return list(changes(erased_records()))


def test_an_erased_record_keeps_its_hash_and_says_nothing_of_the_item_or_of_people() -> None:
    for whole in whole_records():
        gone = erased(whole)
        digest = record_hash(whole, whole.get("oldValue"), whole.get("newValue"))
        assert record_hash(gone, None, None) == digest
        assert from_base64(gone["origin"]) == origin(SECRETS.origin, digest)
        assert not GONE & gone.keys()
        assert all(text not in str({**gone, "erased": ""}) for text in ("'k'", "ada", "log-1"))


@pytest.mark.parametrize("secrets", [None, SECRETS])
def test_the_chain_of_an_erased_item_is_still_verified(secrets: Any) -> None:
    def kinds(records: Sequence[dict[str, Any]]) -> set[str]:
        verdict = verify_item(
            changes(records), None, table=TABLE, table_arn=ARN, item_key="", audited_from_birth=True, secrets=secrets
        )
        return {finding.kind for finding in verdict.findings}

    records = erased_records()
    assert kinds(records) == set()
    # Of the second change, all records; the first change; the last one; and one record of the second change.
    assert kinds([records[0], *records[3:]]) == {"gap"}
    assert kinds(records[1:]) == {"gap"}
    assert kinds(records[:-1]) == {"unaudited"}
    assert kinds([*records[:1], *records[2:]]) == {"gap"}
    records[1] = {**records[1], "afterHash": records[0]["afterHash"]}
    assert "edited" in kinds(records)


def test_a_rewrite_of_what_an_erased_record_keeps_is_found_by_who_has_the_secrets() -> None:
    for place, name in ((1, "updatedAttribute"), (2, "modificationTime"), (3, "erased"), (3, "kid")):
        records = erased_records()
        others: dict[str, Any] = {
            "updatedAttribute": {"S": "c"},
            "modificationTime": {"S": "2024-03-31T22:00:00.000Z"},
            "erased": {"M": {**records[place]["erased"]["M"], "p": {"B": base64.b64encode(bytes(32)).decode()}}},
            "kid": {"B": "AAAAAAAAAAA="},
        }
        records[place][name] = others[name]
        verdict = verify_item(
            changes(records), None, table=TABLE, table_arn=ARN, item_key="", audited_from_birth=True, secrets=SECRETS
        )
        assert "edited" in {finding.kind for finding in verdict.findings}, name


def told(at: Sequence[AuditedChange], place: int, **options: Any) -> AsOf:
    return rebuild(reversed(at[: place + 1]), at[place + 1 :], lambda _reference, _salt: None, exact=True, **options)


def codes(state: AsOf) -> list[str]:
    return [problem.code for problem in state.problems]


def test_as_of_says_erased() -> None:
    for place in range(3):
        state = told(found(), place)
        assert (state.exists, state.item, codes(state)) == (True, None, ["Erased"])
    state = told(found(), 3)
    assert (state.exists, state.complete) == (False, True)


def test_as_of_among_erased_changes_tells_what_the_others_know_and_no_absence() -> None:
    """A change that came late, after the item was erased, is erased too; the others may not be."""
    whole = list(changes(whole_records()))
    # The creation, after which everything was written again but the key; and the last change of b.
    for place, known in (
        (0, {"a": {"N": "3"}, "b": {"N": "2"}}),
        (1, {"a": {"N": "3"}, "key": {"S": "k"}, "by": {"S": "ada"}}),
    ):
        mixed = [*whole[:place], found()[place], *whole[place + 1 :]]
        # A deletion holds the whole item, so that the state is known from there.
        state = told(mixed, 2)
        assert (state.complete, state.item) == (True, {"key": {"S": "k"}, **LIFE[3]})
        state = told(mixed[:3], 2)
        assert (codes(state), state.item, state.absent) == (["Erased"], known, frozenset())
        assert state.unknown == (("b",) if place else ())
    # The erased change is later than the point: what it replaced is not known.
    assert told([whole[1], found()[2]], 0).absent == frozenset()
    assert codes(told([whole[1], found()[2]], 0)) == ["AuditingBeganLater"]


def test_documents_say_that_a_change_is_erased() -> None:
    for one in found():
        shown = document(one)
        assert shown["erased"] is True
        assert not {"actor", "changeId"} & shown.keys()
        for part in shown["attributes"]:
            assert part.keys() <= {"updatedAttribute", "recordId"}
        assert record(one)["erased"] is True
    assert "erased" not in document(next(changes(whole_records())))
    assert narrowed(found()[0], "a") is None
    assert narrowed(found()[1], "a") is not None


def test_the_changes_of_a_table_show_erased_changes_among_others() -> None:
    records = [
        *erased_records(),
        *(one for life in changed("l", LIFE, at_ms=START_MS, first=50) for one in decide(life)),
    ]
    gathered = list(changes(sorted(records, key=lambda one: (one["changesOrder"]["S"], one["id"]["S"]))))
    assert [one.erased for one in gathered].count(True) == 4
    assert {one.item_key for one in gathered} == {"", "l"}
    file = io.StringIO()
    Rendering(Console(file=file, width=120), utc=True, with_items=True).print(gathered)
    lines = [line.split()[2:] for line in file.getvalue().splitlines() if "erased" in line]
    assert [line for line in lines if line[:1] == ["unknown"]] == [
        ["unknown", "erased", "created", "erased"],
        ["unknown", "erased", "a", "erased"],
        ["unknown", "erased", "a", "erased"],
        ["unknown", "erased", "deleted", "erased"],
    ]
    assert ["erased"] in [line[-1:] for line in lines]
    assert "None" not in file.getvalue()


def test_an_erased_item_is_read_by_the_partition_of_its_records() -> None:
    records = erased_records()
    index = Index(records)
    history = AuditHistory(index.query, one_by_one(index.query), index.get, "Audit", lambda _bucket, _key: None)
    assert list(history.item(TABLE, "k")) == []
    (partition,) = {one["historyKey"]["S"] for one in records}
    assert [one.event_name for one in history.item(TABLE, "", partition=partition)] == [
        "INSERT",
        "MODIFY",
        "MODIFY",
        "REMOVE",
    ]
    assert {one.partition for one in history.item(TABLE, "", partition=partition)} == {partition}
    # The hashes of its states stay, too: what was given out before can still be compared.
    (first, *_) = changed("k", LIFE, at_ms=START_MS)
    assert next(history.item(TABLE, "", partition=partition)).after_hash == hash_of(first.new_image or {}, first)
