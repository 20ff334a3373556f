"""Updates one record: conditionally, all or nothing, logged in the same transaction (docs/updating.md)."""

from __future__ import annotations

import os
import time

from weaudit.api import requests
from weaudit.aws.client import DynamoDB
from weaudit.aws.connections import Connection
from weaudit.capture.configuration import WatchConfiguration
from weaudit.errors import (
    DatabaseError,
    InvalidInputError,
    RecordRejectedError,
    StoreError,
    StoreRefusedError,
    ValidationError,
)
from weaudit.items.ids import uuid4
from weaudit.runtime import logs
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates import answers, log
from weaudit.updates.plan import plan
from weaudit.updates.requests import Caller, Settings, named, read_request, settings_of
from weaudit.updates.store import UpdatedTables
from weaudit.updates.store_secret import RequestSecret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from weaudit.capture.rules import Rules

# How a remembered key schema shows that it is out of date: a new table of this name has another key, so the id is not
# valid, the attributes are not, or DynamoDB rejects the write.
_OUTDATED_KEY = (InvalidInputError, ValidationError, StoreRefusedError, RecordRejectedError)


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores, and read the settings (see settings_of).

    KEYS_TABLE has the secret for request ids, CONFIGURATION_TABLE the rules of tables, which are read again after
    CACHE_TTL_SEC seconds (default: 60).
    """
    writing, logging = (Connection.from_environment("dynamodb", environment) for _ in range(2))
    # An HTTP API waits 30 seconds: by then the key schema is read, the update is made, and a failure is logged.
    writing.deadline_s, logging.deadline_s = 10.0, 3.0
    settings = settings_of(environment)
    dynamodb = DynamoDB(writing)
    return {
        "tables": UpdatedTables(dynamodb.call),
        "request_secret": RequestSecret(dynamodb.call, environment.get("KEYS_TABLE") or ""),
        "watches": WatchConfiguration(
            dynamodb,
            environment.get("CONFIGURATION_TABLE") or "",
            ttl_s=float(environment.get("CACHE_TTL_SEC") or 60),
        ),
        "audit_logs": AuditLogs(DynamoDB(logging).call, settings.audit_log_table),
        "settings": settings,
    }


def handle(
    event: Any,
    *,
    tables: UpdatedTables,
    request_secret: RequestSecret,
    watches: WatchConfiguration,
    audit_logs: AuditLogs,
    settings: Settings,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    new_id: Callable[[], str] = lambda: uuid4(os.urandom(16).hex()),
) -> tuple[int, dict[str, Any]]:
    """Make the update that an event requests; return the HTTP status and the document of the response. Never raises."""
    at_ms = now_ms()
    document, planned, rules = None, None, None
    request = requests.parse(event)
    caller = Caller(request.identity, request.owner, request.user_agent)
    try:
        document = requests.document_of(event)
        asked = read_request(document, settings, request.idempotency_key, request.reason)
        secret = request_secret.get() if asked.request_id else b""
        remembered = tables.knows(asked.table)
        schema = tables.key_schema(asked.table)
        rules = _rules(watches, asked.table, schema)
        try:
            planned = plan(asked, schema, settings, caller, at_ms, log_id := new_id(), secret=secret, rules=rules)
            answer = tables.apply(planned)
        except _OUTDATED_KEY:
            # Nothing was written. The remembered key of an earlier table must not reject a request with the new key.
            if not (remembered and tables.has_another_key(asked.table)):
                raise
            planned = None
            schema = tables.key_schema(asked.table)
            planned = plan(asked, schema, settings, caller, at_ms, log_id := new_id(), secret=secret, rules=rules)
            answer = tables.apply(planned)
        if asked.logged and answer is planned.answer:  # a repeated request changes nothing, and gets the first response
            logs.add(changeId=log_id)
        return 200, answer
    except Exception as error:  # noqa: BLE001 every error has a response; only the log has a DatabaseError's cause
        status, answer = answers.failure(error, at_ms)
        level = "ERROR" if status >= 500 else "DEBUG"
        logs.write(level, "update failed", error=answer["error"], why=logs.cause(error))
        # A new id: an update that was made, but whose response was lost, keeps the entry that was written with it.
        entry = log.failed_entry(
            document, settings, caller, answer["error"], at_ms, new_id(), reason=request.reason,
            planned=(planned.request, planned.record_id) if planned else None,
            rules=rules if rules is not None else _rules_of(document, watches, settings),
        )  # fmt: skip
        if entry is not None:
            logs.add(logId=entry["log_id"]["S"])
            _keep(entry, audit_logs)
        return status, answer


def _rules(watches: WatchConfiguration, table: str, key: Iterable[str]) -> tuple[Rules, ...]:
    """Return the rules that may govern a write to a table. Raises DatabaseError: without them nothing is written."""
    try:
        return watches.from_now_on(named(table), {name: {} for name in key})
    except StoreError as error:
        # The store's own error might say that it is unknown whether the update was made. It was not begun.
        raise DatabaseError("Nothing was changed: the rules of the table cannot be read") from error


def _rules_of(document: Any, watches: WatchConfiguration, settings: Settings) -> tuple[Rules, ...] | None:
    """Return the rules of the table that a document names, or None: what cannot be judged is not logged.

    Only the stack's own tables are looked for. A caller can name any.
    """
    table = document.get("table_name") if isinstance(document, dict) else None
    name = named(table) if isinstance(table, str) and table else settings.table
    if name != settings.table and name not in (settings.allowed_tables or ()):
        return None
    try:
        return watches.from_now_on(name, {})
    except StoreError:
        return None


def _keep(entry: Any, audit_logs: AuditLogs) -> None:
    try:
        audit_logs.put(entry)
    except StoreError as error:
        logs.write("WARNING", "the failed attempt could not be logged", why=str(error))
