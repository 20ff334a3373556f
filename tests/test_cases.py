"""Every file in tests/cases/audit_producer is a test: an event in, what is decided, and the records that come out."""

import json
from pathlib import Path
from typing import Any

from tests.case_files import CaseFile, every_case_of
from tests.fakes import PolicingDynamoDB, PolicingS3, producer_stores
from tests.trails import decide
from weaudit.capture import stream
from weaudit.errors import MalformedEventError
from weaudit.handlers import audit_producer


def decision_of(event: dict[str, Any]) -> str:
    """Return what is decided of each change, a line a record: attribute, old value, arrow, new value."""
    lines = []
    for raw in event["Records"]:
        try:
            records = decide(stream.parse(raw), actor="updatedBy")
        except MalformedEventError as error:
            lines.append(f"quarantine: {error}")
            continue
        lines += [
            f"{record.get('updatedAttribute', {'S': '(whole item)'})['S']}: "
            f"{json.dumps(record.get('oldValue', 'absent'))} -> {json.dumps(record.get('newValue', 'absent'))}"
            for record in records
        ]
    return "\n".join(lines or ["(nothing)"])


def records_of(event: dict[str, Any]) -> list[Any]:
    dynamodb, s3 = PolicingDynamoDB(), PolicingS3()
    audit_producer.handle(event, **producer_stores(dynamodb, s3, "updatedBy"))
    items = sorted(dynamodb.items.values(), key=lambda item: (item["changeOrder"]["S"], item["id"]["S"]))
    return [*items, *({key: json.loads(s3.objects[key])} for key in sorted(s3.objects))]


@every_case_of("audit_producer")
def test_the_event_gives_the_decision_and_the_records_that_the_case_shows(path: Path) -> None:
    case = CaseFile(path)
    decision, records = decision_of(case.read("event in")), records_of(case.read("event in"))
    case.came_to(decision, records)
    assert decision == case.text("decision")
    assert records == case.read("records out")
