"""Every case of a reading function is a test: a request, what the stores say, what they are asked, what is answered."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.api_events import Api
from tests.case_files import CaseFile, every_case_of
from tests.ledger.logs import Log
from tests.trails import one_by_one
from weaudit.aws import errors
from weaudit.aws.batches import read_items
from weaudit.handlers import health, list_objects, read_images, read_trail
from weaudit.images.store import ImageTable
from weaudit.trail.reader import AuditHistory
from weaudit.trail.store_callers import AuditLogs

AT_MS = 1_704_677_672_343
FUNCTIONS = ("health", "list_objects", "read_images", "read_trail")


class Store:
    """DynamoDB and S3 that say what the case has for each operation, and remember what they were asked.

    A list of answers is given in turn.
    """

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[Any] = []
        self._answers = answers

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append({operation: body})
        told = self._answers[operation]
        answer: dict[str, Any] = told.pop(0) if isinstance(told, list) else told
        if "__type" in answer:
            raise errors.failure(operation, 400, answer["__type"], "", answer)
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

    def query(body: dict[str, Any]) -> dict[str, Any]:
        return store.call("Query", body)

    def get(ids: list[str]) -> dict[str, Any]:
        return read_items(store.call, "Audit", "id", ids)

    trail = AuditHistory(query, one_by_one(query), get, "Audit", lambda _bucket, _key: None)
    log = Log([])
    return Api(
        read_trail,
        trail=trail,
        audit_logs=AuditLogs(store.call, "audit_logs"),
        ledger=(log.fetch, log.part),
        now_ms=lambda: AT_MS,
    )


@every_case_of(*FUNCTIONS)
def test_the_request_gives_the_reads_and_the_answer_that_the_case_shows(path: Path) -> None:
    case = CaseFile(path)
    store = Store(case.read("store"))
    answer = api(path.parent.name, store).answer(case.read("event in"))
    document = json.loads(answer.pop("body"))
    if not document.get("success", True):
        document["timestamp"] = "…"  # the entry point's own clock
    case.came_to(store.asked, [answer, document])
    assert store.asked == case.read("decision")
    assert [answer, document] == case.read("records out")
