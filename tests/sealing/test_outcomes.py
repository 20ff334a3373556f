"""What a record of a stream says of a row: every kind, by what became of the row."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import SECRETS
from tests.sealing.worlds import SOURCES, TTL
from tests.trails import changed, decision
from weaudit.capture.hashes import content_hash, content_salt, in_base64
from weaudit.capture.records import Decision
from weaudit.evidence import packed
from weaudit.items.hashes import item_secrets
from weaudit.items.values import Item
from weaudit.sealing.outcomes import Outcomes
from weaudit.trail.verification.rows import Source, stored_hash

AUDIT, LOGS, INVOCATIONS = SOURCES
AT_S = 1_711_922_395
TIME = "2024-03-31T21:59:55.000Z"


def decided(**item: Any) -> Decision:
    """Return what the creation of an item becomes."""
    return decision(next(changed("k", [None, {"n": {"N": "1"}, **item}], at_ms=AT_S * 1000)))


RECORD = decided().records[0]


def outcome(
    old: Item | None,
    new: Item | None,
    source: Source = AUDIT,
    objects: dict[str, bytes] | None = None,
    identity: dict[str, str] | None = None,
) -> tuple[str, str, dict[str, Any]]:
    """Return kind, hash and the rest of the entry of a row that was ``old`` and is ``new``."""
    row = new or old or {}
    body: dict[str, Any] = {
        "Keys": {name: row[name] for name in source.keys},
        "ApproximateCreationDateTime": float(AT_S),
        "SequenceNumber": "1",
    }
    body |= {name: image for name, image in (("OldImage", old), ("NewImage", new)) if image is not None}
    stored = objects or {}
    outcomes = Outcomes(SECRETS.origin, lambda _bucket, key: stored.get(key))
    found = outcomes.of(source, {"dynamodb": body, **({"userIdentity": identity} if identity else {})})
    assert found is not None
    assert found.time == TIME
    rest = {name: said for name, said in found.fields.items() if name not in ("format", "kind", "time", "hash", "id")}
    return found.kind, found.hash or "", rest


def test_a_record_of_ours_is_sealed_by_its_hash() -> None:
    digest = stored_hash(RECORD)
    assert digest is not None
    assert outcome(None, RECORD) == ("record", digest.hex(), {})


@pytest.mark.parametrize(
    "item",
    [
        {"v": {"S": "x" * 9_000}},
        {"v": {"M": {"deep": {"L": [{"SS": ["b", "a"]}, {"N": "1.50"}]}}}, "é\U0001f600": {"NULL": True}},
        {f"attribute-{number}": {"S": "x" * 400} for number in range(900)},
    ],
    ids=["a large value", "nested and unicode", "so many small attributes that they are in an object"],
)
def test_records_of_every_form_are_ours(item: dict[str, Any]) -> None:
    made = decided(**item)
    objects = {large.key: packed(large.text) for large in made.large_values}
    [record] = made.records
    assert outcome(None, record, objects=objects)[0] == "record"
    rest = "newValueRef" in record
    assert outcome(None, record)[0] == ("foreign" if rest else "record"), "only what the hash needs is read"


def test_a_masked_record_is_ours() -> None:
    images = [None, {"pin": {"S": "1234"}}, {"pin": {"S": "5678"}}]
    for change in changed("k", images, at_ms=AT_S * 1000):
        for record in decision(change, redact=("pin",)).records:
            assert record["masked"]
            assert outcome(None, record)[0] == "record"


def with_origin(record: Item) -> Item:
    return {**record, "origin": {"B": in_base64(b"\0" * 16)}}


FORGERIES: dict[str, Callable[[Item], Item]] = {
    "another origin": with_origin,
    "no origin": lambda record: {name: field for name, field in record.items() if name != "origin"},
    "another value": lambda record: {**record, "newValue": {"M": {"n": {"N": "2"}}}},
    "another time": lambda record: {**record, "modificationTime": {"S": "2024-03-31T21:59:56.000Z"}},
    "another actor": lambda record: {**record, "actor": {"M": {"kind": {"S": "stated"}, "name": {"S": "eve"}}}},
    "another id": lambda record: {**record, "id": {"S": "another"}},
    "nothing": lambda _record: {"id": {"S": "x"}},
    "rubbish": lambda record: {name: {"L": [{"N": "1"}]} for name in record} | {"id": {"S": "x"}},
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_what_is_not_ours_is_foreign_when_written_and_altered_when_changed(forge: Callable[[Item], Item]) -> None:
    forged = forge(copy.deepcopy(RECORD))
    kind, digest, rest = outcome(None, forged)
    assert (kind, len(digest), rest) == ("foreign", 64, {})
    if forged["id"] == RECORD["id"]:
        assert outcome(RECORD, forged)[0] == "altered"


def test_who_gives_a_record_its_end_changes_nothing_else() -> None:
    ends = {**RECORD, "expiresAt": {"N": "1800000000"}}
    assert outcome(RECORD, ends)[:2] == ("expiry", (stored_hash(RECORD) or b"").hex())
    assert outcome(RECORD, {**ends, "historyKey": {"S": "another"}})[0] == "altered"
    assert outcome(ends, {**ends, "expiresAt": {"N": "1"}})[0] == "altered", "an end does not move"
    assert outcome(ends, RECORD)[0] == "altered"
    assert outcome(RECORD, {**RECORD, "note": {"S": "x"}})[0] == "altered"


@pytest.mark.parametrize("identity", [TTL, {name[0].lower() + name[1:]: said for name, said in TTL.items()}])
def test_a_row_expires_by_dynamodb_alone_and_only_if_it_has_an_end(identity: dict[str, str]) -> None:
    ends = {**RECORD, "expiresAt": {"N": "1800000000"}}
    assert outcome(ends, None, identity=identity)[0] == "expired"
    assert outcome(RECORD, None, identity=identity)[0] == "deleted"
    assert outcome(ends, None)[0] == "deleted"
    assert outcome(ends, None, identity={"Type": "Service", "PrincipalId": "eve"})[0] == "deleted"
    assert outcome(ends, None)[1] == (stored_hash(RECORD) or b"").hex(), "it is named by what it was last"


def erased(by: str) -> Item:
    """Return the erased form of the record: its hash stays."""
    secrets = item_secrets(SECRETS.root, RECORD["tableArn"]["S"], RECORD["itemKey"]["S"])
    salt = content_salt(secrets.mask_key, RECORD["id"]["S"])
    text = '{"itemKey":{"S":"k"},"newValue":{"M":{"key":{"S":"k"},"n":{"N":"1"}}}}'
    p = in_base64(content_hash(salt, text))
    gone = ("itemKey", "newValue", "salt", "contentSalt", "historyKey")
    kept = {name: field for name, field in RECORD.items() if name not in gone}
    said = {"p": {"B": p}, "by": {"S": by}, "at": {"S": TIME}}
    return {**kept, "historyKey": {"S": "f" * 40}, "erased": {"M": said}}


def test_an_erasure_keeps_the_hash_and_names_nobody() -> None:
    uuid = "0b7e4a6e-5d1c-4c57-8a53-3f0d8f6b7a10"
    assert outcome(RECORD, erased(uuid)) == ("erased", (stored_hash(RECORD) or b"").hex(), {"by": uuid})
    assert outcome(RECORD, erased("arn:aws:sts::111122223333:assumed-role/ops/ada"))[2] == {}
    assert outcome(RECORD, {**erased(uuid), "kid": {"B": ""}})[0] == "altered"
    assert outcome(erased(uuid), RECORD)[0] == "altered", "what was erased does not come back"


def test_rows_of_logs_are_written_once() -> None:
    row: Item = {"log_id": {"S": "l"}, "status": {"S": "success"}, "expires_at": {"N": "1"}}
    kind, digest, rest = outcome(None, row, LOGS)
    assert (kind, rest) == ("log", {"table": "audit_logs"})
    assert outcome(None, {**row, "status": {"S": "failed"}}, LOGS)[1] != digest
    assert outcome(row, {**row, "status": {"S": "failed"}}, LOGS)[0] == "altered"
    assert outcome(row, None, LOGS) == ("deleted", digest, {"table": "audit_logs"})
    assert outcome(row, None, LOGS, identity=TTL)[0] == "expired"
    renamed = {**row, "log_id": {"S": "m"}}
    assert outcome(None, renamed, LOGS)[1] != digest, "the hash is of this row alone"


def test_rows_that_remember_requests_are_passed_over() -> None:
    outcomes = Outcomes(SECRETS.origin, lambda _bucket, _key: None)
    row: Item = {"log_id": {"S": "request#1"}}
    body = {"Keys": row, "ApproximateCreationDateTime": AT_S, "NewImage": row}
    assert outcomes.of(LOGS, {"dynamodb": body}) is None
    assert outcomes.of_row(LOGS, row, TIME) is None


def test_half_of_a_surrogate_pair_stops_no_log() -> None:
    row: Item = {"requestId": {"S": "\ud800"}, "timestamp": {"S": "t"}}
    assert outcome(None, row, INVOCATIONS)[0] == "log"
