"""The log entry of an update: its new values, its caller, and the reason (docs/updating.md)."""

from __future__ import annotations

import json

from weaudit.capture.masking import loggable
from weaudit.errors import InvalidInputError, WeauditError
from weaudit.items import plain
from weaudit.items.keys import LONGEST_LOGGED_ID_BYTES, logged_record_id
from weaudit.items.sizes import DEEPEST_LEVEL, LARGEST_ITEM_BYTES, item_bytes
from weaudit.items.times import iso_time
from weaudit.updates.requests import LONGEST_REASON_BYTES, Caller, Settings, UpdateRequest, decoded_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from weaudit.capture.rules import Rules
    from weaudit.items.values import Item, Value

_USER_AGENT = "lambda-function"


def log_entry(
    request: UpdateRequest,
    record_id: str,
    caller: Caller,
    status: str,
    now_ms: int,
    log_id: str,
    rules: Sequence[Rules] | None,
) -> Item:
    """Return the log entry of an update: its new values, its caller, and the reason if one was given.

    The values are as all of these ``rules`` of the table let them be logged. If they are not known (None), the entry
    has none.
    """
    agent = request.user_agent or _storable_text(caller.user_agent) or _USER_AGENT
    values, reason = request.attributes, request.reason
    return _entry(log_id, now_ms, request.table, record_id, values, agent, caller, status, reason, rules)


def failed_entry(
    document: Any,
    settings: Settings,
    caller: Caller,
    code: str,
    now_ms: int,
    log_id: str,
    *,
    reason: str = "",
    planned: tuple[UpdateRequest, str] | None = None,
    rules: Sequence[Rules] | None,
) -> Item | None:
    """Return the log entry of a failed attempt, or None if logging is off. ``code`` is the response's ``error``.

    ``reason`` is the X-WeAudit-Reason header as it was sent. ``planned`` is the request and the record's id, if the
    attempt got that far. Never raises: the entry holds whatever part of the document can be stored, as the ``rules`` of
    the table let it be logged (see :func:`log_entry`).
    """
    if planned is not None:
        request, record_id = planned
        return log_entry(request, record_id, caller, code, now_ms, log_id, rules) if request.logged else None
    given = document if isinstance(document, dict) else {}
    why = _storable_reason(given.get("reason"), reason)
    logging = given.get("enable_logging")
    if not settings.logs_always and (bool(why) if logging is None else logging) is not True:
        return None
    agent = _storable_text(given.get("user_agent")) or _storable_text(caller.user_agent) or _USER_AGENT
    table = _storable_text(given.get("table_name")) or settings.table
    record_id = _storable_text(_id_text(given.get("id")))
    values = _storable(given.get("attributes"))
    return _entry(log_id, now_ms, table, record_id, values, agent, caller, code, why, rules)


def _entry(
    log_id: str,
    now_ms: int,
    table: str,
    record_id: str,
    attributes: dict[str, Value],
    agent: str,
    caller: Caller,
    status: str,
    reason: str,
    rules: Sequence[Rules] | None,
) -> Item:
    entry: Item = {
        "log_id": {"S": log_id},
        "timestamp": {"S": iso_time(now_ms)},
        "table_name": {"S": table},
        "record_id": {"S": logged_record_id(record_id)},
        "updated_attributes": {"M": {} if rules is None else loggable(attributes, rules)},
        "user_agent": {"S": agent},
        "status": {"S": status},
    }
    if rules is None:
        entry["values_left_out"] = {"BOOL": True}
    if not record_id:
        del entry["record_id"]  # an index key must not be empty
    if caller.identity:
        entry["caller"] = {"S": caller.identity}
    if reason:
        entry["reason"] = {"S": reason}
    return entry


def _id_text(found: Any) -> Any:
    if isinstance(found, dict | list):
        try:
            return json.dumps(found, default=str, separators=(",", ":"), sort_keys=True)
        except (ValueError, TypeError, RecursionError):
            return ""
    return found if plain.is_text(found) or found is None else str(found)[:100]


def _storable_text(found: Any) -> str:
    if not plain.is_text(found):
        return ""
    return str(found).encode("utf-8", "replace").decode()[:LONGEST_LOGGED_ID_BYTES]


def _storable_reason(stated: Any, header: str) -> str:
    found = stated
    if not plain.is_text(stated) or not stated:
        try:
            found = decoded_reason(header)
        except InvalidInputError:
            found = header
    # What is cut off in the middle of a character ends before it.
    return str(found).encode("utf-8", "replace")[:LONGEST_REASON_BYTES].decode("utf-8", "ignore")


def _storable(attributes: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        try:
            path = plain.check_name(name, "attributes")
            found[path] = plain.typed(value, path, DEEPEST_LEVEL - 1)
        except WeauditError:
            continue
    # Leave room for the entry's other fields.
    return found if item_bytes(found) < LARGEST_ITEM_BYTES - 4 * LONGEST_LOGGED_ID_BYTES else {}
