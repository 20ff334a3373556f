"""Every file in tests/cases/s3_processor is a test: an event in, what is answered, and the records that come out.

With WEAUDIT_WRITE_CASES=1 set it writes the two outcomes anew from what the code does; read the difference before
committing it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import PolicingDynamoDB, PolicingS3, processor_stores
from weaudit.handlers import s3_processor
from weaudit.runtime.event import Invocation

CASES = Path(__file__).parent / "cases" / "s3_processor"
WRITE = "WEAUDIT_WRITE_CASES" in os.environ
INVOCATION = Invocation("s3-processor-dev", "8476a536-e9f4-11e8-9739-2dfe598c3fcd", lambda: 30_000)


def outcome(event: Any) -> tuple[Any, list[Any]]:
    """Return the answer, its body read, and rows and quarantined objects."""
    dynamodb, s3 = PolicingDynamoDB(key=("requestId", "timestamp")), PolicingS3()
    answer, _ = s3_processor.handle(event, INVOCATION, **processor_stores(dynamodb, s3))
    rows = sorted(dynamodb.items.values(), key=lambda row: (row["objectKey"]["S"], row["requestId"]["S"]))
    kept = [{key: json.loads(s3.objects[key])} for key in sorted(s3.objects)]
    return {**answer, "body": json.loads(answer["body"])}, [*rows, *kept]


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_the_event_gives_the_answer_and_the_records_that_the_case_shows(path: Path) -> None:
    prose, *parts = path.read_text().split("\n--- ")
    texts = dict(part.split("\n", 1) for part in parts)
    decision, records = outcome(json.loads(texts["event in"]))
    if WRITE:
        for name, found in (("decision", decision), ("records out", records)):
            texts[name] = json.dumps(found, indent=1, ensure_ascii=False)
        path.write_text("\n\n--- ".join([prose.strip(), *(f"{k}\n{v.strip()}" for k, v in texts.items())]) + "\n")
    assert decision == json.loads(texts["decision"])
    assert records == json.loads(texts["records out"])
