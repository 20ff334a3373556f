"""Stores in memory that police the contract of the real ones, and fail where they are told to.

They are held to the real engines by the contract tests in tests/aws, tests/capture and tests/images.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable
from typing import Any, cast

from weaudit.capture.configuration import WatchConfiguration
from weaudit.capture.rules import Rules
from weaudit.capture.store import AuditTable
from weaudit.capture.store_secrets import Secrets
from weaudit.errors import (
    ConditionNotMetError,
    RecordRejectedError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from weaudit.evidence import EvidenceBucket
from weaudit.items.sizes import item_bytes
from weaudit.objects.store import InvocationLog

ITEM_BYTES = 400 * 1024
SECRETS = Secrets.of(bytes(range(32)), bytes(range(32, 64)))


def _no_fault(_call: int) -> str:
    return ""


class FixedRules:
    """The rules of every table, at every time."""

    def __init__(self, **rules: Any) -> None:
        self._rules = Rules(**rules)

    def rules(self, _table: str, _at: str, _key: Any) -> Rules:
        return self._rules

    def faults(self) -> dict[str, tuple[str, ...]]:
        return {}


def no_rules() -> WatchConfiguration:
    """Return the rules of tables where no table has any."""
    return WatchConfiguration(cast("Any", None), "")


class FixedSecrets:
    """The table of keys, with the secrets that tests use."""

    def secrets(self) -> Secrets:
        return SECRETS

    def subjects(self, ids: Iterable[str]) -> dict[str, Any]:
        assert not list(ids), "no table has subjects here"
        return {}


def producer_stores(dynamodb: "PolicingDynamoDB", s3: "PolicingS3", actor_attribute: str = "") -> dict[str, Any]:
    """Return the stores of audit_producer over these fakes, every table with the one actor attribute."""
    evidence = EvidenceBucket(cast("Any", s3), "evidence")
    return {
        "audit": AuditTable(cast("Any", dynamodb), "Audit", evidence),
        "evidence": evidence,
        "watches": FixedRules(actor=actor_attribute),
        "keys": FixedSecrets(),
        "inline_bytes": 4096,
    }


def processor_stores(dynamodb: "PolicingDynamoDB", s3: "PolicingS3") -> dict[str, Any]:
    """Return the stores of s3_processor over these fakes."""
    return {"log": InvocationLog(cast("Any", dynamodb), "log"), "evidence": EvidenceBucket(cast("Any", s3), "evidence")}


class PolicingDynamoDB:
    """BatchWriteItem of DynamoDB over one table, and PutItem of what is absent; its key is ``id`` or what ``key`` says.

    ``fault`` is asked before every call: "" lets it through, "unpersisted" fails it before and "unanswered" after the
    write; "unprocessed" writes the first half and hands the rest back. ``capacity`` is how many more items it takes
    before it is throttled, None without end: then it hands items back, and refuses a call of which it can take none.
    """

    def __init__(self, fault: Callable[[int], str] = _no_fault, key: tuple[str, ...] = ("id",)) -> None:
        self._key = key
        self.items: dict[str, dict[str, Any]] = {}
        self.calls: list[int] = []
        self.capacity: int | None = None
        self._fault = fault
        self.under_way: list[Asked] = []
        self.most_under_way = 0

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation == "PutItem":
            assert body["ConditionExpression"] == f"attribute_not_exists({self._key[0]})"
            puts = [body["Item"]]
        else:
            assert operation == "BatchWriteItem"
            ((table, requests),) = body["RequestItems"].items()
            puts = [request["PutRequest"]["Item"] for request in requests]
        self.calls.append(len(puts))
        keys = [self._key_of(item) for item in puts]
        assert 1 <= len(puts) <= 25, "DynamoDB takes 1 to 25 items"
        assert len(set(keys)) == len(keys), "DynamoDB refuses two items with one key"
        fault = self._fault(len(self.calls))
        assert fault != "unprocessed" or operation == "BatchWriteItem", "only a batch hands items back"
        if fault == "unpersisted":
            raise StoreUnavailableError("throttled")
        if any(item_bytes(item) > ITEM_BYTES for item in puts):
            raise RecordRejectedError("Item size has exceeded the maximum allowed size")
        if any("poison" in (item.get(name, {}).get("S") for name in ("itemKey", "objectKey")) for item in puts):
            raise RecordRejectedError("no table would take this")
        kept = puts[: len(puts) // 2] if fault == "unprocessed" else puts
        if self.capacity is not None:
            kept = kept[: self.capacity]
            self.capacity -= len(kept)  # an item that is there already costs as much
            if not kept:
                raise StoreUnavailableError("throttled", aws_code="ProvisionedThroughputExceededException")
        there = operation == "PutItem" and keys[0] in self.items
        if not there:
            self.items.update({self._key_of(item): item for item in kept})
        if fault == "unanswered":
            raise StoreUnavailableError("connection lost")
        if there:
            raise ConditionNotMetError("it is there")
        if operation == "PutItem":
            return {}
        rest = [{"PutRequest": {"Item": item}} for item in puts[len(kept) :]]
        return {"UnprocessedItems": {table: rest}} if rest else {"UnprocessedItems": {}}

    def begin(self, operation: str, body: dict[str, Any]) -> "Asked":
        asked = Asked(lambda: self.call(operation, body), self.under_way)
        self.most_under_way = max(self.most_under_way, len(self.under_way))
        return asked

    def _key_of(self, item: dict[str, Any]) -> str:
        return "\0".join(item[name]["S"] for name in self._key)


class Asked:
    """A call on its way, and in ``under_way``, until its answer is asked for or done without: then it is made."""

    def __init__(self, call: Callable[[], dict[str, Any]], under_way: "list[Asked]") -> None:
        self._call = call
        self._under_way = under_way
        under_way.append(self)

    def result(self) -> dict[str, Any]:
        self._under_way.remove(self)
        return self._call()

    def cancel(self) -> None:
        with contextlib.suppress(StoreError):
            self.result()


class PolicingLambda:
    """Invoke of Lambda over one handler, with its limit for what it is given."""

    def __init__(self, handle: Callable[[Any], Any]) -> None:
        self._handle = handle
        self.payloads: list[bytes] = []

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 boto3's names
        # https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
        assert len(Payload) < 6_291_456, f"{FunctionName}: RequestEntityTooLargeException"
        self.payloads.append(Payload)
        answer = self._handle(json.loads(Payload))
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(answer).encode())}


class PolicingS3:
    """PutObject of S3 over one bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.puts = 0

    def head_object(self, bucket: str, key: str) -> None:
        assert bucket == "evidence"
        if key not in self.objects:
            raise StoreRefusedError("HeadObject: 404")

    def put_object(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        assert bucket == "evidence"
        assert len(key.encode()) <= 1024, "an S3 key holds at most 1,024 bytes"
        assert content_type == ("application/gzip" if body.startswith(b"\x1f\x8b") else "application/json")
        self.puts += 1
        self.objects[key] = body
