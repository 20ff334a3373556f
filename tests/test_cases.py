"""Every file in tests/cases/<function> is a test: an event in, what is decided, and the records that come out.

With WEAUDIT_WRITE_CASES=1 set it writes the two outcomes anew from what the code does; read the difference before
committing it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import PolicingDynamoDB, PolicingS3, producer_stores
from weaudit.domain import auditing
from weaudit.errors import MalformedEventError
from weaudit.events import dynamodb_stream
from weaudit.handlers import audit_producer

CASES = Path(__file__).parent / "cases"
WRITE = "WEAUDIT_WRITE_CASES" in os.environ


def sections(path: Path) -> tuple[str, str, str, str]:
    prose, event, decision, records = path.read_text().split("\n--- ")
    event, decision, records = (part.partition("\n")[2] for part in (event, decision, records))
    return prose, event, decision, records


def decision_of(event: dict[str, Any]) -> str:
    """Return what is decided of each change, a line a record: attribute, old value, arrow, new value."""
    lines = []
    for raw in event["Records"]:
        try:
            records = auditing.decide(dynamodb_stream.parse(raw), "updatedBy")
        except MalformedEventError as error:
            lines.append(f"quarantine: {error}")
            continue
        lines += [
            f"{record.get('updatedAttribute', {'S': '(whole item)'})['S']}: "
            f"{json.dumps(record.get('oldValue', 'absent'))} -> {json.dumps(record.get('newValue', 'absent'))}"
            for record in records
        ]
    return "\n".join(lines or ["(nothing)"])


def records_of(event: dict[str, Any]) -> str:
    dynamodb, s3 = PolicingDynamoDB(), PolicingS3()
    audit_producer.handle(event, **producer_stores(dynamodb, s3, "updatedBy"))
    items = sorted(dynamodb.items.values(), key=lambda item: (item["changeOrder"]["S"], item["id"]["S"]))
    return json.dumps([*items, *({key: json.loads(s3.objects[key])} for key in sorted(s3.objects))], indent=1)


@pytest.mark.parametrize("path", sorted(CASES.glob("audit_producer/*.txt")), ids=lambda path: path.stem)
def test_the_event_gives_the_decision_and_the_records_that_the_case_shows(path: Path) -> None:
    prose, event_text, decision, records = sections(path)
    event = json.loads(event_text)
    if WRITE:
        path.write_text(
            f"{prose.strip()}\n\n--- event in\n{event_text.strip()}\n\n"
            f"--- decision\n{decision_of(event)}\n\n--- records out\n{records_of(event)}\n"
        )
        _, _, decision, records = sections(path)
    assert decision_of(event) == decision.strip()
    assert json.loads(records_of(event)) == json.loads(records)
