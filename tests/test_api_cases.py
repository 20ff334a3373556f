"""Every case of a reading function is a test: a request, what the stores say, what they are asked, what is answered.

With WEAUDIT_WRITE_CASES=1 set it writes the two outcomes anew from what the code does; read the difference before
committing it.
"""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.api_events import Api
from weaudit.adapters import aws_errors
from weaudit.adapters.audit_history import AuditHistory
from weaudit.adapters.audit_logs import AuditLogs
from weaudit.adapters.image_table import ImageTable
from weaudit.handlers import health, list_objects, read_images, read_trail

CASES = Path(__file__).parent / "cases"
WRITE = "WEAUDIT_WRITE_CASES" in os.environ
AT_MS = 1_704_677_672_343
FUNCTIONS = ("health", "list_objects", "read_images", "read_trail")


class Store:
    """DynamoDB and S3 that say what the case has for each operation, and remember what they were asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[Any] = []
        self._answers = answers

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({operation: body})
        answer: dict[str, Any] = self._answers[operation]
        if "__type" in answer:
            raise aws_errors.failure(operation, 400, answer["__type"], "", answer)
        return answer

    def list_objects(self, bucket: str, **asked: Any) -> Any:
        return SimpleNamespace(**self.call("ListObjectsV2", {"bucket": bucket, **asked}))


def api(function: str, store: Store) -> Api:
    if function == "list_objects":
        return Api(list_objects, s3=store, bucket="lambda-trigger-bucket-dev-111122223333")
    if function == "read_images":
        images = ImageTable(store.call, "Images")

        def links(key: str) -> str:
            return f"https://renditions.example/{key}?X-Amz-Expires=900"

        return Api(read_images, images=images, link=links, link_seconds=900, now_ms=lambda: AT_MS)
    if function == "health":
        return Api(health, call=store.call, tables=["Audit", "Configuration"], release="42", now_ms=lambda: AT_MS)
    trail = AuditHistory(lambda body: store.call("Query", body), "Audit", lambda _bucket, _key: None)
    return Api(read_trail, trail=trail, audit_logs=AuditLogs(store.call, "audit_logs"), now_ms=lambda: AT_MS)


@pytest.mark.parametrize(
    "path",
    sorted(path for function in FUNCTIONS for path in (CASES / function).glob("*.txt")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_the_request_gives_the_reads_and_the_answer_that_the_case_shows(path: Path) -> None:
    prose, *parts = path.read_text().split("\n--- ")
    texts = dict(part.split("\n", 1) for part in parts)
    store = Store(json.loads(texts["store"]))
    answer = api(path.parent.name, store).answer(json.loads(texts["event in"]))
    document = json.loads(answer.pop("body"))
    if not document.get("success", True):
        document["timestamp"] = "…"  # the entry point's own clock
    outcome = {"decision": store.asked, "records out": [answer, document]}
    if WRITE:
        texts |= {name: json.dumps(found, indent=1, ensure_ascii=False) for name, found in outcome.items()}
        path.write_text("\n\n--- ".join([prose.strip(), *(f"{k}\n{v.strip()}" for k, v in texts.items())]) + "\n")
    assert outcome == {name: json.loads(texts[name]) for name in outcome}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_reading_function_has_cases(function: str) -> None:
    assert list((CASES / function).glob("*.txt"))
