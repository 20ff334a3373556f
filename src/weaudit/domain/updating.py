"""What an update of a record comes to: one write, its answer, and what each refusal means (docs/updating.md)."""

from __future__ import annotations

from typing import Any, NamedTuple

from weaudit.domain.changes import Item, Value


class Settings(NamedTuple):
    """How this stack updates: its environment, read once."""

    table: str  # the default table
    audit_log_table: str = "audit_logs"
    logs_always: bool = False  # ENABLE_AUDIT_LOG: a call cannot switch it off
    marks: bool = True  # a logged update leaves `_weaudit` on the item
    allowed_tables: frozenset[str] | None = None  # besides the default table; None leaves it to permissions alone
    remembered_seconds: int = 7 * 24 * 3600  # how long a request_id is remembered


class Caller(NamedTuple):
    """Who asks, as far as the door knows."""

    identity: str = ""  # IAM ARN or token subject of the API's request context; "" where the door proved none
    account: str = ""  # request ids of two accounts never meet
    user_agent: str = ""  # of the HTTP request; one stated in the document comes first


class UpdateRequest(NamedTuple):
    """A document of part C whose shape is right; what depends on the table's key is not checked yet."""

    id: Any  # str, number or object: see `record_key`
    attributes: dict[str, Value]  # DynamoDB JSON, in the order given
    table: str
    logged: bool
    request_id: str
    condition_expression: str
    condition: Any  # conditions.Condition or None
    user_agent: str


class UpdatePlan(NamedTuple):
    """One write that makes the whole update, and the answer for when it succeeds."""

    operation: str  # UpdateItem or TransactWriteItems
    body: dict[str, Any]
    answer: dict[str, Any]  # the success document
    steps: tuple[str, ...]  # what the transaction's actions are, in order: request, update, log; ("update",) alone
    request: UpdateRequest
    record_id: str  # the record's name in audit_logs and in the trail
    key: Item
    update: dict[str, Any]  # the UpdateItem as such (TableName, Key, UpdateExpression, ...), for `dry_run`
    request_hash: str


def read_request(document: object, settings: Settings, request_id: str = "") -> UpdateRequest:
    """Return a document as a request. Raises InvalidInputError, ValidationError.

    ``request_id`` is the Idempotency-Key of HTTP; the document's own must be the same where both are given.
    Numbers in the document are int, float, Decimal or plain_values.Number.
    """
    raise NotImplementedError


def plan(
    request: UpdateRequest, key_schema: dict[str, str], settings: Settings, caller: Caller, now_ms: int, log_id: str
) -> UpdatePlan:
    """Return the write for a request. Raises InvalidInputError, ValidationError.

    ``key_schema`` is the table's key attributes and their types, partition key first; ``log_id`` a fresh UUID.
    """
    raise NotImplementedError


def refused(plan: UpdatePlan, reasons: list[dict[str, Any]], *, unanswered: bool = False) -> dict[str, Any]:
    """Return the first answer where the write was refused because the same request succeeded before; raise otherwise.

    ``reasons`` is CancellationReasons of a transaction, or ``[{"Code": "ConditionalCheckFailed", "Item": ...}]`` of an
    UpdateItem. ``unanswered`` says that an earlier try of this very write got no answer (so it may have happened).
    Raises RecordNotFoundError, ConditionalCheckFailedError, InvalidInputError (request_id used for another request),
    ValidationError, DatabaseError.
    """
    raise NotImplementedError


def failure(error: Exception, now_ms: int) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the document of any error; what is not the caller's fault becomes DatabaseError."""
    raise NotImplementedError


def failed_entry(
    document: object, settings: Settings, caller: Caller, code: str, now_ms: int, log_id: str, plan: UpdatePlan | None
) -> Item | None:
    """Return the audit log entry of a failed attempt (``code`` = the document's `error`), or None where logging is off.

    Never raises: whatever of the document can be stored is in it.
    """
    raise NotImplementedError


def dry_run(plan: UpdatePlan) -> dict[str, Any]:
    """Return a TransactWriteItems body that checks existence and condition and writes nothing."""
    raise NotImplementedError
