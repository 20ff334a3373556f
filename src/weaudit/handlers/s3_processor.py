"""Logs each object that arrives in the bucket as a row of the invocation log."""

from __future__ import annotations

import json

from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import MalformedEventError, WeauditError
from weaudit.evidence import EvidenceBucket, quarantined
from weaudit.objects import arrivals, notifications
from weaudit.objects.store import InvocationLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from weaudit.items.values import Item
    from weaudit.objects.store import Key
    from weaudit.runtime.event import Invocation


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: DYNAMODB_TABLE_NAME (default ``lambda-invocation-logs-dev``), EVIDENCE_BUCKET."""
    connections = {service: Connection.from_environment(service, environment) for service in ("dynamodb", "s3")}
    for connection in connections.values():
        connection.deadline_s = 10.0  # the function has 30 seconds for both stores
    name = environment.get("DYNAMODB_TABLE_NAME") or "lambda-invocation-logs-dev"
    return {
        "log": InvocationLog(DynamoDB(connections["dynamodb"]), name),
        "evidence": EvidenceBucket(S3(connections["s3"]), environment.get("EVIDENCE_BUCKET", "")),
    }


def handle(
    event: Any, invocation: Invocation, *, log: InvocationLog, evidence: EvidenceBucket
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Log every record of a notification; quarantine, whole, and report what can never be. Raises StoreError."""
    # Keyed by the table's whole key: only the time distinguishes two events without a sequencer.
    rows: dict[Key, Item] = {}
    places: dict[Key, int] = {}
    failed: list[tuple[int | None, Any, Exception]] = []
    for place, raw in enumerate(_records(event, failed)):
        try:
            happened = notifications.parse(raw)
            row = arrivals.decide(happened, invocation.function_name, invocation.request_id)
        except Exception as error:  # noqa: BLE001 deterministic: a retry would fail, and the other records with it
            failed.append((place, raw, error))
            continue
        key = InvocationLog.key_of(row)
        rows[key] = row
        places[key] = place
    rejected = log.put(rows.values())
    failed += [(places[key], event["Records"][places[key]], why) for key, why in rejected.items()]
    for _place, raw, why in failed:
        evidence.put(*quarantined(raw, why, "s3_processor"))
    body = {
        "logged": len(rows) - len(rejected),
        "failed": [{"record": place, **_reported(why)} for place, _raw, why in failed],
    }
    response = {"statusCode": 500 if failed else 200, "body": json.dumps(body)}
    return response, {"status": response["statusCode"], "logged": body["logged"], "quarantined": len(failed)}


def _records(event: Any, failed: list[tuple[int | None, Any, Exception]]) -> list[Any]:
    if notifications.is_test(event):
        return []
    try:
        return notifications.records(event)
    except MalformedEventError as error:
        failed.append((None, event, error))
        return []


def _reported(error: Exception) -> dict[str, str]:
    # The text of an unexpected error may quote data, so report only its type.
    known = isinstance(error, WeauditError)
    return {
        "code": error.code if isinstance(error, WeauditError) else type(error).__name__,
        "reason": str(error) if known else "the record could not be logged",
    }
