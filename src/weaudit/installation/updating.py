"""Changes a record through table_update, or says what that would change; and reads the log of a record's updates."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import weaudit
from weaudit.api.routes import LARGEST_BODY_BYTES
from weaudit.errors import ConditionNotMetError, DeployError, InvalidInputError, StoreUnavailableError, WeauditError
from weaudit.installation import boto_errors, clients, payloads
from weaudit.installation.item_keys import item_keys
from weaudit.installation.readers import key_schema
from weaudit.items.differences import differences
from weaudit.items.keys import logged_record_id
from weaudit.items.plain import parse
from weaudit.items.texts import compact, dumps
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates import answers, plan
from weaudit.updates.requests import Caller, read_request, settings_of
from weaudit.updates.store import UpdatedTables
from weaudit.values import replaced

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.items.differences import Difference
    from weaudit.items.values import Item


@dataclass(frozen=True, slots=True)
class Tried:
    """The response that an update would get, and what it would change; None if it would be refused."""

    answer: dict[str, Any]
    differences: "tuple[Difference, ...] | None" = None


def record_key(installation: "Installation", table: str | None, text: str) -> str:
    """Return a record's id as the log and the trail spell it, whatever the table's key; Configuration's by default."""
    name = table or installation.configuration_table
    schema, _ = key_schema(clients.dynamodb(installation.target), name)
    try:
        return item_keys(text, schema, name)[0]
    except InvalidInputError:
        return text  # the function says what is wrong with it


def update(installation: "Installation", document: dict[str, Any]) -> dict[str, Any]:
    """Call table_update with a request's document and return its response.

    The document goes as an HTTP body: Lambda would turn a bare one's numbers into floats. Raises InvalidInputError if
    it is too large for a call, and StoreError if the function does not respond.
    """
    if "user_agent" not in document:
        identity = installation.target.client("sts").get_caller_identity()["Arn"]
        document = {**document, "user_agent": f"weaudit/{weaudit.__version__} {identity}"}
    event = {"version": "2.0", "requestContext": {}, "headers": {}, "body": compact(document)}
    payload = payloads.payload(event)
    if len(payload) > payloads.LARGEST_BYTES:
        raise InvalidInputError(
            f"the update takes {len(payload):,} bytes; a call can carry {payloads.LARGEST_BYTES:,}\n"
            f"An item of DynamoDB has 400 KB at most, and an update's document {LARGEST_BODY_BYTES:,} bytes."
        )
    answer = installation.target.client("lambda").invoke(
        FunctionName=_output(installation, "TableUpdateAliasArn"), Payload=payload
    )
    payload = json.loads(answer["Payload"].read())
    if answer.get("FunctionError") or not isinstance(payload, dict) or "body" not in payload:
        why = str(payload.get("errorMessage", "")) if isinstance(payload, dict) else ""
        why = why.replace("\n", "\\n")  # an error's first line is its message, the others are advice
        raise boto_errors.function_failed(
            payload,
            f"the function did not respond: {why}\n"
            "`weaudit logs table-update-function` shows why. With --request-id the same command can be run again.",
        )
    found: dict[str, Any] = parse(payload["body"])
    return found


def tried(installation: "Installation", document: dict[str, Any]) -> Tried:
    """Check a request as table_update would, against the record as it is now, and write nothing."""
    found = installation.target.client("lambda").get_function_configuration(
        FunctionName=_output(installation, "TableUpdateAliasArn")
    )
    settings = settings_of(found["Environment"]["Variables"])
    now_ms = time.time_ns() // 1_000_000
    try:
        # What writes nothing is not remembered, and its caller may lack the secret for that.
        request = replaced(read_request(parse(dumps(document)), settings), request_id="")
        call = clients.dynamodb(installation.target).call
        schema = UpdatedTables(call).key_schema(request.table)
        planned = plan.plan(request, schema, settings, Caller(), now_ms, str(uuid.uuid4()), rules=())
        try:
            call("TransactWriteItems", plan.dry_run(planned))
        except ConditionNotMetError as error:
            return Tried(plan.refused(planned, error.reasons, steps=plan.DRY_RUN_STEPS))
    except WeauditError as error:
        if isinstance(error, StoreUnavailableError):
            raise
        return Tried(answers.failure(error, now_ms)[1])
    read = call("GetItem", {"TableName": request.table, "Key": planned.key, "ConsistentRead": True})
    item = read.get("Item") or {}
    places = (differences(item.get(name), new, (name,)) for name, new in request.attributes.items())
    answer = {**planned.answer, "message": "Nothing was written: this was a dry run"}
    return Tried(answer, tuple(place for found in places for place in found))


def logged(
    installation: "Installation", table: str | None, record_id: str, *, newest_first: bool = False
) -> "Iterator[Item]":
    """Yield the log's entries about a record, failed updates too; only those of ``table`` if it is given."""
    key = record_key(installation, table, record_id)
    logs = AuditLogs(clients.dynamodb(installation.target).call, _output(installation, "AuditLogsTableName"))
    for entry in logs.query(logged_record_id(key), newest_first=newest_first):
        if table is None or entry.get("table_name", {}).get("S") == table:
            yield entry


def _output(installation: "Installation", name: str) -> str:
    try:
        return installation.outputs[name]
    except KeyError:
        raise DeployError(
            f"the stack on {installation.target.describe()} is older than this command: it has no {name}\n"
            "Deploy it again: `weaudit up` does, for the embedded engine."
        ) from None
