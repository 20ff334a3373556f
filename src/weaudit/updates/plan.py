"""Plan an update of a record: one write, its response, and the error for each refusal (docs/updating.md)."""

from __future__ import annotations

import hmac
import json

from weaudit.errors import (
    ConditionalCheckFailedError,
    DatabaseError,
    InvalidInputError,
    RecordNotFoundError,
    StoreUnavailableError,
    ValidationError,
)
from weaudit.items.hashes import encoded, framed
from weaudit.items.keys import REMEMBERED, item_key
from weaudit.items.plain import below, refusal, shown
from weaudit.items.sizes import LARGEST_ITEM_BYTES, item_bytes
from weaudit.items.typed_keys import typed_key
from weaudit.items.values import MARKER, spelled_item
from weaudit.updates.answers import success
from weaudit.updates.conditions import EXISTS, LONGEST_EXPRESSION_BYTES
from weaudit.updates.log import log_entry
from weaudit.updates.requests import named
from weaudit.values import replaced, value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from weaudit.capture.rules import Rules
    from weaudit.items.values import Item, Value
    from weaudit.updates.requests import Caller, Settings, UpdateRequest


# What the items of the Configuration table are for whose keys begin so, and what to do instead of updating them.
_GOVERNING = {
    "WATCH/": "the rules by which a table is audited; `weaudit watch` changes them",
    "HOLD/": "what must be neither erased nor expired",
}


@value
class UpdatePlan:
    """One write that makes the whole update, and the response if it succeeds."""

    request: UpdateRequest
    key: Item
    update: dict[str, Any]  # the body of an UpdateItem
    answer: dict[str, Any]
    request_hash: str  # "" if the request has no request_id
    body: dict[str, Any]  # of ``operation``: ``update``, or a transaction with it
    operation: str = "UpdateItem"  # or TransactWriteItems
    steps: tuple[str, ...] = ("update",)  # the actions of the transaction: request, update, log

    @property
    def record_id(self) -> str:
        """The record's id in the trail and in the log."""
        return str(self.answer["updated_id"])


def plan(
    request: UpdateRequest,
    key_schema: dict[str, str],
    settings: Settings,
    caller: Caller,
    now_ms: int,
    log_id: str,
    *,
    secret: bytes = b"",
    rules: Sequence[Rules],
) -> UpdatePlan:
    """Return the write for a request. Raises InvalidInputError, ValidationError.

    ``rules`` are those of the table that may govern the write: what any of them hides is not logged.

    ``key_schema`` is the table's key attributes and their types, partition key first; ``log_id`` is a fresh UUID.
    A request with a request_id is remembered under the ``secret``. Raises ValueError if it is missing then.
    """
    key = typed_key(request.id, key_schema)
    if not request.reason and any(one.requires_reason for one in rules):
        raise ValidationError(
            "The rules of this table require a reason: say in `reason` why the record is updated", {"field": "reason"}
        )
    if named(request.table) == settings.configuration_table:
        _check_governs_nothing(key)
    for name in request.attributes:
        if name in key_schema:
            raise refusal(below("attributes", name), "it is part of the record's key, which never changes")
    item = {**key, **request.attributes}
    if request.logged and settings.marks:
        item[MARKER] = {"S": log_id}
    _check_size(item, "the new values with the key take")
    set_values = {name: value for name, value in item.items() if name not in key}
    update = _update(request, key, set_values)
    answer = success(item_key(key), list(request.attributes), now_ms)
    request_hash = _request_hash(request, key, secret) if request.request_id else ""
    alone = UpdatePlan(request, key, update, answer, request_hash, body=update)
    if not (request.logged or request.request_id):
        return alone
    actions = _actions(alone, settings, caller, now_ms, log_id, secret, rules)
    # The token makes the call safe to retry: after a lost response DynamoDB answers the retry and writes nothing again.
    body = {"TransactItems": list(actions.values()), "ClientRequestToken": log_id}
    return replaced(alone, body=body, operation="TransactWriteItems", steps=tuple(actions))


def _check_governs_nothing(key: Item) -> None:
    """Raise InvalidInputError for an item that says what is audited: an ordinary update must not blind the trail."""
    text = str(next(iter(key.values())).get("S", ""))
    for prefix, what in _GOVERNING.items():
        if text.startswith(prefix):
            raise InvalidInputError(f"no update may change the record {shown(text)}: it holds {what}", {"field": "id"})


def _check_size(item: Item, what: str) -> None:
    size = item_bytes(item)
    if size > LARGEST_ITEM_BYTES:
        raise ValidationError(
            f"{what} {size} bytes; an item of DynamoDB has at most {LARGEST_ITEM_BYTES}",
            {"path": "attributes", "limit": LARGEST_ITEM_BYTES},
        )


def _update(request: UpdateRequest, key: Item, values: dict[str, Value]) -> dict[str, Any]:
    expression = "SET " + ",".join(f"#{place}=:{place}" for place in range(len(values)))
    if len(expression) > LONGEST_EXPRESSION_BYTES:
        raise ValidationError(
            f"{len(request.attributes)} attributes are too many for one operation: its expression would have "
            f"{len(expression)} bytes, and {LONGEST_EXPRESSION_BYTES} is the most",
            {"path": "attributes", "limit": LONGEST_EXPRESSION_BYTES},
        )
    condition = request.condition
    names = {f"#{place}": name for place, name in enumerate(values)}
    return {
        "TableName": request.table,
        "Key": key,
        "UpdateExpression": expression,
        "ConditionExpression": f"{EXISTS} AND ({condition.expression})" if condition else EXISTS,
        "ExpressionAttributeNames": {**names, "#k": next(iter(key)), **(condition.names if condition else {})},
        "ExpressionAttributeValues": {
            **{f":{place}": value for place, value in enumerate(values.values())},
            **(condition.values if condition else {}),
        },
        # The returned item distinguishes "no such record" from "the condition did not hold", without a second call.
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _actions(
    made: UpdatePlan,
    settings: Settings,
    caller: Caller,
    now_ms: int,
    log_id: str,
    secret: bytes,
    rules: Sequence[Rules],
) -> dict[str, dict[str, Any]]:
    table = settings.audit_log_table
    actions: dict[str, dict[str, Any]] = {}
    if made.request.request_id:
        actions["request"] = {"Put": {"TableName": table, **_request_row(made, settings, caller, now_ms, secret)}}
    actions["update"] = {"Update": made.update}
    if made.request.logged:
        entry = log_entry(made.request, made.record_id, caller, "success", now_ms, log_id, rules)
        _check_size(entry, "the log entry with the new values takes")
        actions["log"] = {"Put": {"TableName": table, "Item": entry}}
    return actions


def _request_row(made: UpdatePlan, settings: Settings, caller: Caller, now_ms: int, secret: bytes) -> dict[str, Any]:
    """Return the row that remembers a request's response; written only if there is none yet, or an expired one."""
    digest = _mac(secret, "weaudit-request-2", caller.owner, made.request.request_id)
    now = now_ms // 1000
    return {
        "Item": {
            "log_id": {"S": REMEMBERED + digest},
            "timestamp": {"S": made.answer["timestamp"]},
            "request_hash": {"S": made.request_hash},
            "answer": {"S": json.dumps(made.answer, ensure_ascii=False)},
            "expires_at": {"N": str(now + settings.remembered_seconds)},
        },
        # DynamoDB removes expired rows with a delay.
        "ConditionExpression": "attribute_not_exists(log_id) OR expires_at < :now",
        "ExpressionAttributeValues": {":now": {"N": str(now)}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _request_hash(request: UpdateRequest, key: Item, secret: bytes) -> str:
    """Return a keyed hash of what is changed and on what condition: it distinguishes two requests with the same id.

    Why, by whom, and whether it is logged are no part of it.
    """
    parts = [request.table, spelled_item(key), spelled_item(request.attributes)]
    condition = request.condition
    if condition:
        names = json.dumps(condition.names, sort_keys=True)
        parts += [condition.expression, names, spelled_item(condition.values)]
    return _mac(secret, "weaudit-asked-2", *parts)


def _mac(secret: bytes, tag: str, *parts: str) -> str:
    if not secret:
        raise ValueError("a request with a request_id is remembered under a secret")
    return hmac.digest(secret, framed(tag.encode(), *map(encoded, parts)), "sha256").hex()


def refused(
    plan: UpdatePlan, reasons: list[dict[str, Any]], *, unanswered: bool = False, steps: tuple[str, ...] | None = None
) -> dict[str, Any]:
    """Return the first response if the same request succeeded before; otherwise raise what the refusal means.

    ``reasons`` is CancellationReasons of a transaction, or ``[{"Code": "ConditionalCheckFailed", "Item": …}]`` of an
    UpdateItem; ``steps`` names what they refer to, if that is not the plan's own write. ``unanswered`` says that an
    earlier try of this very write got no response. Raises RecordNotFoundError, ConditionalCheckFailedError,
    ValidationError, DatabaseError, InvalidInputError (another request has its request_id), and StoreUnavailableError
    if it is unknown whether the same request succeeded before.
    """
    by_step = dict(zip(steps or plan.steps, reasons, strict=False))
    codes = {step: str(reason.get("Code", "None")) for step, reason in by_step.items()}
    failed = {step: reason for step, reason in by_step.items() if codes[step] == "ConditionalCheckFailed"}
    if "request" in failed:
        return _first_answer(plan, failed["request"].get("Item") or {})
    if "update" in failed:
        if "request" in codes and any(code != "None" for step, code in codes.items() if step != "update"):
            # An earlier try of the same request may have succeeded, and so made its own condition untrue. The row that
            # would show this was not read.
            said = ", ".join(codes.values())
            unknown = StoreUnavailableError(f"it is unknown whether this request was answered before ({said})")
            unknown.in_doubt = unanswered
            raise unknown
        raise _unmet(plan, failed["update"].get("Item") or {}, unanswered=unanswered)
    # The other reasons are size limits: of the item with its other attributes, or of its collection.
    if any(reason.get("Code") in ("ValidationError", "ItemCollectionSizeLimitExceeded") for reason in reasons):
        message = next((str(r["Message"]) for r in reasons if str(r.get("Message")).startswith("Item ")), "")
        raise ValidationError("The record cannot be stored with these values", {"reason": message} if message else {})
    raise DatabaseError("The record could not be updated")


def _first_answer(plan: UpdatePlan, row: Item) -> dict[str, Any]:
    if row.get("request_hash") != {"S": plan.request_hash}:
        raise InvalidInputError("this request_id was used for another request", {"field": "request_id"})
    answer: dict[str, Any] = json.loads(row["answer"]["S"])
    return answer


def _unmet(plan: UpdatePlan, item: Item, *, unanswered: bool) -> Exception:
    details = {"id": plan.record_id, "table_name": plan.request.table}
    if not item:
        return RecordNotFoundError("No record has this id", details)
    if unanswered and plan.operation == "UpdateItem":
        # The earlier try may have set the values, and so made its own condition untrue. Finding other values would
        # prove nothing: another writer may have set them since.
        return DatabaseError(
            "It is not known whether this update was made or had been made before; a request_id makes repeats safe",
            {"outcome": "unknown"},
        )
    if plan.request.condition is None:
        return DatabaseError("The record could not be updated")
    details["condition_expression"] = plan.request.condition_expression
    return ConditionalCheckFailedError("The condition did not hold; nothing was changed", details)


DRY_RUN_STEPS = ("update",)


def dry_run(plan: UpdatePlan) -> dict[str, Any]:
    """Return the body of a TransactWriteItems that checks existence and condition, and writes nothing.

    Its one step is :data:`DRY_RUN_STEPS`, whatever steps the plan has.
    """
    condition = plan.request.condition
    check: dict[str, Any] = {
        name: plan.update[name]
        for name in ("TableName", "Key", "ConditionExpression", "ReturnValuesOnConditionCheckFailure")
    }
    check["ExpressionAttributeNames"] = {"#k": next(iter(plan.key)), **(condition.names if condition else {})}
    if condition and condition.values:
        check["ExpressionAttributeValues"] = condition.values
    return {"TransactItems": [{"ConditionCheck": check}]}
