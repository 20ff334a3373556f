"""Every file in tests/cases/s3_processor is a test: an event in, what is answered, and the records that come out."""

import json
from pathlib import Path
from typing import Any

from tests.case_files import CaseFile, every_case_of
from tests.fakes import PolicingDynamoDB, PolicingS3, processor_stores
from weaudit.handlers import s3_processor
from weaudit.runtime.event import Invocation

INVOCATION = Invocation("s3-processor-dev", "8476a536-e9f4-11e8-9739-2dfe598c3fcd", lambda: 30_000)


def outcome(event: Any) -> tuple[Any, list[Any]]:
    """Return the answer, its body read, and rows and quarantined objects."""
    dynamodb, s3 = PolicingDynamoDB(key=("requestId", "timestamp")), PolicingS3()
    answer, _ = s3_processor.handle(event, INVOCATION, **processor_stores(dynamodb, s3))
    rows = sorted(dynamodb.items.values(), key=lambda row: (row["objectKey"]["S"], row["requestId"]["S"]))
    kept = [{key: json.loads(s3.objects[key])} for key in sorted(s3.objects)]
    return {**answer, "body": json.loads(answer["body"])}, [*rows, *kept]


@every_case_of("s3_processor")
def test_the_event_gives_the_answer_and_the_records_that_the_case_shows(path: Path) -> None:
    case = CaseFile(path)
    decision, records = outcome(case.read("event in"))
    case.came_to(decision, records)
    assert decision == case.read("decision")
    assert records == case.read("records out")
