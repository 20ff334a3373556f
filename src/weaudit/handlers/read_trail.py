"""Serves the trail over the API: histories, past states of items, differences, changes of a table, records, proofs."""

from __future__ import annotations

import time
from itertools import islice

from weaudit.api import answers, queries, requests
from weaudit.aws.batches import read_items
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import RecordNotFoundError, StoreRefusedError
from weaudit.evidence import EvidenceBucket
from weaudit.items.texts import Written
from weaudit.runtime import logs
from weaudit.trail import documents, pages
from weaudit.trail.callers import with_callers
from weaudit.trail.reader import AuditHistory
from weaudit.trail.state_documents import as_of_document, between_document
from weaudit.trail.store_callers import AuditLogs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from typing import Any

    from weaudit.api.queries import Asked
    from weaudit.aws.client import Pending
    from weaudit.aws.transport import Answer
    from weaudit.items.values import Item
    from weaudit.ledger.finding import Part
    from weaudit.ledger.tiles import Fetch
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.pages import ChangesPlan, HistoryPlan
    from weaudit.trail.reader import Trail

    Response = tuple[int, Any, dict[str, str]]

# At most this many changes, with their values, are in memory while their callers are looked up.
_LOOKED_UP = 25


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: AUDIT_TABLE (default ``Audit``), AUDIT_LOG_TABLE (default ``audit_logs``), EVIDENCE_BUCKET.

    And LEDGER_BUCKET: without it no record has a proof.
    """
    connections = [Connection.from_environment(service, environment) for service in ("dynamodb", "s3")]
    for connection in connections:
        connection.deadline_s = 10.0
    dynamodb = DynamoDB(connections[0])
    s3 = S3(connections[1])
    evidence = EvidenceBucket(s3, environment.get("EVIDENCE_BUCKET", ""))
    ledger_bucket = environment.get("LEDGER_BUCKET", "")
    audit_table = environment.get("AUDIT_TABLE") or "Audit"

    def query(request: dict[str, Any]) -> dict[str, Any]:
        return dynamodb.call("Query", request)

    def begin(request: dict[str, Any]) -> Pending:
        return dynamodb.begin("Query", request)

    def get(ids: list[str]) -> dict[str, Item]:
        return read_items(dynamodb.call, audit_table, "id", ids)

    def sealed(path: str, span: str = "") -> Answer | None:
        try:
            return s3.read_object(ledger_bucket, path, span=span) if ledger_bucket else None
        except StoreRefusedError as error:
            # S3 reports a missing object as access denied to a caller that may not list the bucket.
            if error.aws_code in ("NoSuchKey", "AccessDenied"):
                return None
            raise

    def fetch(path: str) -> bytes | None:
        found = sealed(path)
        return None if found is None else found.body

    def part(path: str, first: int, count: int) -> tuple[bytes, int] | None:
        found = sealed(path, f"{first}-{first + count - 1}")
        return None if found is None else (found.body, int(found.headers["content-range"].rpartition("/")[2]))

    return {
        "trail": AuditHistory(query, begin, get, audit_table, evidence.get, lambda: evidence.name),
        "audit_logs": AuditLogs(dynamodb.call, environment.get("AUDIT_LOG_TABLE") or "audit_logs"),
        "ledger": (fetch, part),
    }


def handle(
    event: Any,
    *,
    trail: Trail,
    audit_logs: AuditLogs,
    ledger: tuple[Fetch, Part],
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Response:
    """Return what a request asks of the trail. Raises RequestError, StoreError."""
    request = requests.parse(event)
    asked = queries.asked(request.route, request.path, request.query, "read_trail")
    kind = asked.route.path.rpartition("/")[2]
    if kind == "history":
        plan = pages.history_plan(asked)
        found = trail.item(
            plan.table,
            plan.item_key,
            plan.since,
            plan.until,
            plan.newest_first,
            beyond_order=plan.beyond_order,
            page=plan.records_a_read,
            without=plan.without,
        )
        changes = _with_callers(found, plan, trail, audit_logs)
        return 200, pages.history_page(asked, plan, changes), {}
    if kind == "changes":
        span = pages.changes_plan(asked, now_ms())
        found = span.left(
            trail.table(span.table, span.since, span.until, newest_first=span.newest_first, without=span.without)
        )
        changes = _with_callers(found, span, trail, audit_logs)
        return 200, pages.changes_page(asked, span, changes), {}
    if kind == "item":
        return _as_of(asked, trail)
    if kind == "diff":
        table, key = queries.table(asked), asked.query["key"]
        since, until = queries.two_moments(asked)
        document = between_document(trail.between(table, key, since, until), table, key, since, until)
        return 200, documents.cut(document), {}
    if kind == "proof":
        return _proof(asked, trail, *ledger)
    return _record(asked, trail)


def _with_callers(
    found: Iterable[AuditedChange], plan: HistoryPlan | ChangesPlan, trail: Trail, audit_logs: AuditLogs
) -> Iterator[AuditedChange]:
    """Yield as many changes as a page may need, whole, with the callers of those that it shows."""
    return with_callers(
        islice(found, plan.most_changes),
        trail,
        audit_logs,
        _warn_without_callers,
        _LOOKED_UP,
        wanted=lambda change: plan.shown(change) is not None,
    )


def _as_of(asked: Asked, trail: Trail) -> Response:
    table, key = queries.table(asked), asked.query["key"]
    at, sequence = queries.point(asked)
    state = trail.as_of(table, key, at, sequence)
    document = as_of_document(state, table, key, at=at, sequence=sequence)
    if sequence is None:
        return 200, document, {}
    # A next change may still come; without it the response for a complete state never changes and can be cached.
    document.pop("nextChange", None)
    last = state.last_change
    settled = state.complete and last is not None and last.sequence == sequence.rpartition("#")[2]
    return 200, document, {"cache-control": answers.KEPT_FOR_EVER} if settled else {}


def _record(asked: Asked, trail: Trail) -> Response:
    change = trail.record(queries.record_id(asked))
    if change is None:
        raise _unknown()
    whole = not any(part.lost for part in change.attributes)
    document = documents.fitting(documents.record(change))
    return 200, document, {"cache-control": answers.KEPT_FOR_EVER} if whole else {}


def _proof(asked: Asked, trail: Trail, fetch: Fetch, part: Part) -> Response:
    # Few requests ask for a proof, and every cold start would pay for this import.
    from weaudit.trail import receipts

    change = trail.record(queries.record_id(asked), values=False)
    if change is None:
        raise _unknown()
    content = receipts.receipt_of(change, fetch, part)
    if content is None:
        raise RecordNotFoundError(
            "This record has no proof yet: a record is sealed within a minute or so", {"sealed": False}
        )
    return 200, Written(content.decode()), {"content-type": "text/plain; charset=utf-8"}


def _unknown() -> RecordNotFoundError:
    return RecordNotFoundError("No audit record has this id")


def _warn_without_callers(error: StoreRefusedError) -> None:
    logs.write("WARNING", "the callers of logged updates cannot be read", why=str(error))
