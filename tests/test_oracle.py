"""The oracle of the demo finds nothing wrong in what must be, and names each field that is not."""

import base64
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests import oracle
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trails import decide
from weaudit.demo import picture
from weaudit.demo.steps import KEY, STEPS, TABLE
from weaudit.demo.stops import PHOTOGRAPH, SEATS
from weaudit.items.values import Item
from weaudit.objects.arrivals import ObjectEvent
from weaudit.objects.arrivals import decide as decide_arrival
from weaudit.trail.changes import Actor, AttributeChange, AuditedChange

AT_MS = 1_704_067_200_000
OTHER_BYTES = {"B": base64.b64encode(bytes(32)).decode()}


def demo_records() -> dict[str, Item | None]:
    """Return the records that the demo's steps make."""
    records = [
        record
        for number, step in enumerate(STEPS)
        for record in decide(
            change(step.before, step.after, keys={"key": {"S": KEY}}, sequence=str(1000 + number), created_at_ms=AT_MS)
        )
    ]
    return {record["id"]["S"]: record for record in records}


KNOWN = oracle.Secrets(SECRETS.root, SECRETS.origin)


def demo_second() -> Item:
    """Return the record of the second step, which changes an attribute."""
    _, second, *_ = demo_records().values()
    assert second is not None
    return second


def faults(
    records: dict[str, Item | None],
    from_ms: int = AT_MS,
    until_ms: int = AT_MS,
    secrets: oracle.Secrets | None = None,
) -> list[str]:
    return list(oracle.faults(TABLE, KEY, STEPS, records, from_ms, until_ms, secrets))


def test_the_records_that_the_steps_make_are_right() -> None:
    assert faults(demo_records()) == []
    assert faults(demo_records(), secrets=KNOWN) == []


@pytest.mark.parametrize("field", sorted(demo_second()))
def test_a_missing_field_is_named(field: str) -> None:
    for secrets in (None, KNOWN):
        records = demo_records()
        _, second, *_ = records.values()
        assert second is not None
        del second[field]
        assert any(f.startswith("change the value to 1800") and field in f for f in faults(records, secrets=secrets))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("newValue", {"S": "1800"}),
        ("newValue", {"N": "1800.0"}),
        ("oldValue", {"NULL": True}),
        ("updatedAttribute", {"S": "key"}),
        ("afterHash", {"S": "0" * 64}),
        ("afterHash", OTHER_BYTES),
        ("beforeHash", OTHER_BYTES),
        ("format", {"N": "1"}),
        ("records", {"N": "2"}),
        ("tableArn", {"S": "arn:aws:dynamodb:eu-west-1:111122223333:table/Other"}),
        ("kid", {"B": "AAAA"}),
        ("salt", {"B": "AAAA"}),
        ("contentSalt", {"B": "AAAA"}),
        ("origin", {"B": "AAAA"}),
        ("origin", {"S": "AAAA"}),
        ("historyKey", {"S": "0" * 64}),
        ("changesKey", {"S": "Configuration#2024-01#x"}),
        ("changesOrder", {"S": "2024-01-01T00:00:00.000Z#1"}),
        ("changeOrder", {"S": f"#{'1001'.zfill(40)}"}),
        ("modificationTime", {"S": "2024-01-01 00:00:00"}),
        ("modificationTime", {"S": "2023-12-31T23:00:00.000Z"}),
        ("id", {"S": "c4ca4238-a0b9-1382-8dcc-509a6f75849b"}),
        ("invented", {"S": "x"}),
        ("actor", {"M": {}}),
    ],
)
def test_a_wrong_field_is_named(field: str, value: dict[str, Any]) -> None:
    records = demo_records()
    _, second, *_ = records.values()
    assert second is not None
    second[field] = value
    assert any(f.startswith("change the value to 1800") and field in f for f in faults(records))


@pytest.mark.parametrize("field", ["kid", "salt", "contentSalt", "origin"])
def test_who_knows_the_secrets_names_what_is_of_another_secret(field: str) -> None:
    records = demo_records()
    for record in records.values():
        assert record is not None
        size = len(base64.b64decode(record[field]["B"]))
        record[field] = {"B": base64.b64encode(bytes(size)).decode()}
    found = faults(records, secrets=KNOWN)
    for step in STEPS:
        assert any(fault.startswith(step.words) and f" {field} is " in fault for fault in found)


@pytest.mark.parametrize(("field", "size"), [("kid", 8), ("salt", 16)])
def test_two_salts_or_two_secrets_of_one_item_are_named(field: str, size: int) -> None:
    records = demo_records()
    *_, last = records.values()
    assert last is not None
    last[field] = {"B": base64.b64encode(bytes(size)).decode()}
    assert any("2 different pairs of kid and salt" in fault for fault in faults(records))


def test_lost_doubled_and_swapped_records_are_named() -> None:
    records = demo_records()
    ids = list(records)
    assert any("4 records instead of 5" in f for f in faults({name: records[name] for name in ids[1:]}))
    assert any("6 records instead of 5" in f for f in faults({**records, "more": records[ids[0]]}))
    assert any("not in the table" in f for f in faults({**records, ids[2]: None}))
    assert any("does not follow" in f for f in faults({name: records[name] for name in reversed(ids)}))


# ---- the update, the picture and its arrival

CALLER = "arn:aws:iam::000000000000:user/ada"
ANSWER = {
    "success": True,
    "message": "Record updated successfully",
    "updated_id": SEATS,
    "updated_attributes": ["left"],
    "timestamp": "2024-01-08T01:34:32.343Z",
}
EXPECTED: Item = {"table_name": {"S": TABLE}, "caller": {"S": CALLER}}
ENTRY: Item = {
    **EXPECTED,
    "log_id": {"S": "log-1"},
    "status": {"S": "success"},
    "timestamp": {"S": "2024-01-08T01:34:32.343Z"},
}


def made_update(**changed: Any) -> AuditedChange:
    fields = {
        "table": TABLE, "item_key": SEATS, "at": "2024-01-01T00:00:00.000Z", "sequence": "1", "order": "1",
        "event_name": "MODIFY", "actor": Actor("logged", CALLER), "change_id": "log-1", "before_hash": None,
        "after_hash": None, "attributes": (AttributeChange("left", {"N": "10"}, {"N": "9"}),), "records": (),
    }  # fmt: skip
    return AuditedChange(**{**fields, **changed})


def test_an_update_as_it_must_be_is_right() -> None:
    assert oracle.answer_faults(200, ANSWER, SEATS, ["left"]) == []
    assert oracle.logged_faults([made_update()], ENTRY, EXPECTED) == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (412, {"success": False, "message": "no"}),
        (200, None),
        *((200, {**ANSWER, name: "x"}) for name in ANSWER),
        *((200, {other: ANSWER[other] for other in ANSWER if other != name}) for name in ANSWER),
        (200, {**ANSWER, "more": 1}),
    ],
)
def test_a_wrong_answer_is_named(status: int, answer: Any) -> None:
    assert oracle.answer_faults(status, answer, SEATS, ["left"])


@pytest.mark.parametrize(
    "changed",
    [
        {"event_name": "INSERT"},
        {"actor": None},
        {"actor": Actor("stated", CALLER)},
        {"actor": Actor("logged", "somebody")},
        {"change_id": "another"},
        {"attributes": ()},
        {"attributes": (AttributeChange("left", {"N": "9"}, {"N": "9"}),)},
    ],
)
def test_a_wrong_change_of_an_update_is_named(changed: dict[str, Any]) -> None:
    assert oracle.logged_faults([made_update(**changed)], ENTRY, EXPECTED)


def test_a_wrong_log_entry_is_named() -> None:
    assert oracle.logged_faults([], ENTRY, EXPECTED)
    assert oracle.logged_faults([made_update(), made_update()], ENTRY, EXPECTED)
    assert oracle.logged_faults([made_update()], None, EXPECTED)
    for name in ENTRY:
        wrong = {**ENTRY, name: {"S": "x"}}
        assert any(name in fault for fault in oracle.logged_faults([made_update()], wrong, EXPECTED))


@pytest.fixture(scope="module")
def upload() -> picture.Upload:
    return picture.Upload("b", PHOTOGRAPH, picture.made(), "e", Path("sunset.jpg"))


def arrival(upload: picture.Upload) -> Item:
    event = ObjectEvent(
        bucket="b", key=PHOTOGRAPH, event_name="ObjectCreated:Put", at="2024-01-01T00:00:00.000Z", version="",
        sequencer="1", etag="e", size_bytes=len(upload.body),
    )  # fmt: skip
    return decide_arrival(event, "s3-processor-dev", "8b51ee32-6f50-4f3b-9b3f-6f2f6a7c1a11")


def test_every_field_of_an_arrival_is_checked(upload: picture.Upload) -> None:
    row = arrival(upload)
    assert oracle.arrival_faults([row], upload, "s3-processor-dev") == []
    assert oracle.arrival_faults([], upload, "s3-processor-dev")
    assert oracle.arrival_faults([row, row], upload, "s3-processor-dev")
    for name in row.keys() - {"sequencer"}:
        wrong = {**row, name: {"S": "x"}}
        assert any(name in fault for fault in oracle.arrival_faults([wrong], upload, "s3-processor-dev"))
    assert oracle.arrival_faults([{**row, "invented": {"S": "x"}}], upload, "s3-processor-dev")


def test_every_field_of_an_image_is_checked(upload: picture.Upload) -> None:
    rendition = {
        "name": {"S": "large"}, "format": {"S": "jpeg"}, "bytes": {"N": str(len(upload.body))},
        "width": {"N": "1200"}, "height": {"N": "800"}, "sha256": {"S": sha256(upload.body).hexdigest()},
    }  # fmt: skip
    row: Item = {
        "imageKey": {"S": PHOTOGRAPH}, "bucket": {"S": "b"}, "eTag": {"S": "e"}, "status": {"S": "processed"},
        "bytes": rendition["bytes"], "sha256": rendition["sha256"], "format": {"S": "jpeg"}, "width": {"N": "1200"},
        "height": {"N": "800"}, "pages": {"N": "1"}, "bitDepth": {"N": "8"}, "colourSpace": {"S": "srgb"},
        "hasAlpha": {"BOOL": False}, "pipelineVersion": {"S": "v"}, "sequencer": {"S": "A" * 40},
        "eventTime": {"S": "2024-01-01T00:00:00.000Z"}, "renditions": {"L": [{"M": rendition}]},
    }  # fmt: skip
    assert oracle.image_faults(row, upload, "v", [upload.body]) == []
    for name in row.keys() - {"renditions"}:
        assert oracle.image_faults({**row, name: {"S": "x"}}, upload, "v", [upload.body]), name
    for name in ("bytes", "width", "height", "sha256"):
        wrong: Item = {**row, "renditions": {"L": [{"M": {**rendition, name: {"N": "7", "S": "7"}}}]}}
        assert any("large" in fault for fault in oracle.image_faults(wrong, upload, "v", [upload.body]))


@pytest.mark.parametrize("wrong", ["tableName", "itemKey", "exists", "complete", "problems", "unknown", "item"])
def test_every_field_of_a_state_is_checked(wrong: str) -> None:
    answer = {
        "tableName": TABLE, "itemKey": KEY, "exists": True, "complete": True, "problems": [], "unknown": [],
        "item": {"key": KEY},
    }  # fmt: skip
    assert oracle.state_faults(200, answer, TABLE, KEY, {"key": KEY}) == []
    assert oracle.state_faults(404, answer, TABLE, KEY, {"key": KEY})
    assert any(wrong in fault for fault in oracle.state_faults(200, {**answer, wrong: "x"}, TABLE, KEY, {"key": KEY}))
