"""`weaudit update`, `weaudit audit-log`: change a record the safe way, and read its update log."""

import json
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import weaudit
from weaudit.api.routes import LARGEST_BODY_BYTES
from weaudit.cli.options import JsonListOption, limited
from weaudit.cli.printing import output, panels
from weaudit.errors import DatabaseError, DeployError, InvalidInputError, ValidationError
from weaudit.installation import payloads
from weaudit.items.plain import parse, plain
from weaudit.items.texts import compact, dumps

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.items.values import Item
    from weaudit.updates.plan import UpdatePlan

# As `weaudit call` exits for the same errors, whose statuses are 400 and 500.
_EXIT_CODES = {
    InvalidInputError.code: output.EXIT_USAGE,
    ValidationError.code: output.EXIT_USAGE,
    DatabaseError.code: output.EXIT_UNREACHABLE,
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=panels.RECORDS)(update)
    app.command("audit-log", rich_help_panel=panels.RECORDS)(audit_log)


def update(
    record_id: Annotated[
        str, typer.Argument(metavar="ID", help="""The record's key; '{"pk": "a", "sk": 7}' for a composite key.""")
    ],
    attributes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE", help="What to set: the value is read as JSON if it is JSON, else as text."
        ),
    ] = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also set the attributes in this JSON object; - for stdin."),
    ] = None,
    condition: Annotated[
        str | None,
        typer.Option("--if", metavar="EXPR", help="Update only if this condition holds, in DynamoDB's syntax."),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Log the update, in the same transaction.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the difference and write nothing.")] = False,
    table: Annotated[
        str | None, typer.Option("--table", "-t", metavar="T", help="The table.", show_default="Configuration")
    ] = None,
    request_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Makes a retry safe: it gets the first response.")
    ] = None,
    user_agent: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Who makes the update, for the log.", show_default="your AWS identity"),
    ] = None,
) -> None:
    """Change attributes of one existing record, all or none; it never creates one.

    Prints the response as JSON. Exit code 0 if the record was changed, 2 if the request was wrong, 3 if the database
    failed (DatabaseError), else 1.

    Example: weaudit update CACHE_TTL_SEC value=900 --if "value > 900" --log
    """
    from weaudit.installation.outputs import Installation

    values = {**_from_file(json_file), **_assignments(attributes or [])}
    installation = Installation.find()
    document: dict[str, Any] = {"id": _key(installation, table, record_id), "attributes": values}
    given = {"table_name": table, "condition_expression": condition, "request_id": request_id, "user_agent": user_agent}
    document |= {name: value for name, value in given.items() if value is not None}
    if log:
        document["enable_logging"] = True
    answer = _dry_run(installation, document) if dry_run else _ask(installation, document)
    output.print_text(dumps(answer))
    if not answer.get("success"):
        raise typer.Exit(_EXIT_CODES.get(str(answer.get("error")), output.EXIT_FAILED))


def _ask(installation: "Installation", document: dict[str, Any]) -> dict[str, Any]:
    """Call the function with the document as an HTTP body: Lambda would turn a bare one's numbers into floats."""
    from weaudit.installation import boto_errors

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
        why = payload.get("errorMessage", "") if isinstance(payload, dict) else ""
        raise boto_errors.function_failed(
            payload,
            f"the function did not respond: {output.safe(str(why))}\n"
            "`weaudit logs table-update-function` shows why. With --request-id the same command can be run again.",
        )
    found: dict[str, Any] = parse(payload["body"])
    return found


def _dry_run(installation: "Installation", document: dict[str, Any]) -> dict[str, Any]:
    from weaudit.errors import ConditionNotMetError, StoreUnavailableError, WeauditError
    from weaudit.updates import answers, plan
    from weaudit.updates.requests import Caller, read_request, settings_of

    found = installation.target.client("lambda").get_function_configuration(
        FunctionName=_output(installation, "TableUpdateAliasArn")
    )
    settings = settings_of(found["Environment"]["Variables"])
    now_ms = time.time_ns() // 1_000_000
    try:
        request = read_request(parse(dumps(document)), settings)
        call, schema = _stores(installation, request.table)
        planned = plan.plan(request, schema, settings, Caller(), now_ms, str(uuid.uuid4()))
        try:
            call("TransactWriteItems", plan.dry_run(planned))
        except ConditionNotMetError as error:
            return plan.refused(planned, error.reasons, steps=plan.DRY_RUN_STEPS)
    except WeauditError as error:
        if isinstance(error, StoreUnavailableError):
            raise
        return answers.failure(error, now_ms)[1]
    read = call("GetItem", {"TableName": request.table, "Key": planned.key, "ConsistentRead": True})
    _show(planned, read.get("Item") or {})
    return {**planned.answer, "message": "Nothing was written: this was a dry run"}


def _show(plan: "UpdatePlan", item: "Item") -> None:
    from weaudit.cli.printing.rendering import path_text, value_text
    from weaudit.items.differences import differences

    changed = False
    for name, new in plan.request.attributes.items():
        for place in differences(item.get(name), new, (name,)):
            changed = True
            old, after = ("absent" if part is None else value_text(part) for part in (place.old, place.new))
            output.note(f"{path_text(place.path)}: {old} → {after}")
    if not changed:
        output.note("The record has these values already.")


def _stores(installation: "Installation", table: str) -> tuple[Any, dict[str, str]]:
    from weaudit.installation import clients
    from weaudit.updates.store import UpdatedTables

    call = clients.dynamodb(installation.target).call
    return call, UpdatedTables(call).key_schema(table)


def audit_log(
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="The record's key.")],
    table: Annotated[str | None, typer.Option("--table", "-t", metavar="T", help="Only entries of this table.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Show at most this many entries.")] = None,
    newest_first: Annotated[bool, typer.Option("--newest-first", "-r", help="Show the newest entry first.")] = False,
    as_json: JsonListOption = False,
) -> None:
    """Show the log of a record's updates, failed ones too: when, who, and the outcome.

    Example: weaudit audit-log CACHE_TTL_SEC --newest-first
    """
    from weaudit.installation import clients
    from weaudit.installation.outputs import Installation
    from weaudit.items.keys import logged_record_id
    from weaudit.trail.store_callers import AuditLogs

    if not record_id:
        raise InvalidInputError(
            "no record has an empty key\nGive the record's key, as in: weaudit audit-log CACHE_TTL_SEC"
        )
    installation = Installation.find()
    key = _key(installation, table, record_id)
    logs = AuditLogs(clients.dynamodb(installation.target).call, _output(installation, "AuditLogsTableName"))
    found = (entry for entry in logs.query(logged_record_id(key), newest_first=newest_first) if _is_of(entry, table))
    entries = [_plain(entry) for entry in limited(found, limit)]
    if as_json:
        output.print_text(dumps(entries))
    elif entries:
        _print_entries(entries)
    else:
        output.note(f"No update of {record_id!r} was logged. `weaudit update --log` logs one.")


def _is_of(entry: "Item", table: str | None) -> bool:
    return table is None or entry.get("table_name", {}).get("S") == table


def _plain(entry: "Item") -> dict[str, Any]:
    return {name: plain(value) for name, value in entry.items()}


def _print_entries(entries: list[dict[str, Any]]) -> None:
    rows = []
    for entry in entries:
        who = entry.get("caller") or entry.get("user_agent", "")
        names = entry.get("updated_attributes")
        listed = ", ".join(names) if isinstance(names, dict) else ""
        cells = (entry.get("timestamp", ""), entry.get("status", ""), who, listed, entry.get("log_id", ""))
        rows.append([str(cell) for cell in cells])
    output.print_table(output.table(("When", "Status", "Who", "Attributes", "Log id"), rows))


def _key(installation: "Installation", table: str | None, text: str) -> str:
    """Return the record's id as the log and the trail spell it, whatever the table's key."""
    from weaudit.installation import clients
    from weaudit.installation.item_keys import item_keys
    from weaudit.installation.readers import key_schema

    name = table or installation.configuration_table
    schema, _ = key_schema(clients.dynamodb(installation.target), name)
    try:
        return item_keys(text, schema, name)[0]
    except InvalidInputError:
        return text  # the function says what is wrong with it


def _output(installation: "Installation", name: str) -> str:
    try:
        return installation.outputs[name]
    except KeyError:
        raise DeployError(
            f"the stack on {installation.target.describe()} is older than this command: it has no {name}\n"
            "Deploy it again: `weaudit up` does, for the embedded engine."
        ) from None


def _assignments(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in map(_assignment, texts):
        if name in values:
            raise InvalidInputError(f"{output.safe(name)} is given twice\nGive each attribute one value.")
        values[name] = value
    return values


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidInputError(f"{text!r} sets nothing\nGive it as NAME=VALUE, as in: value=900")
    try:
        found = parse(value)
    except InvalidInputError:
        return name, value
    # NaN and Infinity are text: only Python's JSON knows them.
    return name, value if value.lstrip("-") in ("NaN", "Infinity") else found


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
        found = parse(text)
    except (OSError, UnicodeDecodeError, InvalidInputError) as error:
        named = "standard input" if str(path) == "-" else path
        raise InvalidInputError(f"{named} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f'{path} is not a JSON object of attributes\nGive one like {{"name": value}}')
    return found
