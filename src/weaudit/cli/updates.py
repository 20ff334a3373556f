"""`weaudit update`, `weaudit audit-log`: change a record the safe way, and read its update log."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli.options import JsonListOption, limited
from weaudit.cli.printing import output, panels
from weaudit.errors import DatabaseError, InvalidInputError, ValidationError
from weaudit.items.plain import parse, plain
from weaudit.items.texts import dumps

if TYPE_CHECKING:
    from weaudit.items.differences import Difference
    from weaudit.items.values import Item

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
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Why, for the log and the history; an update with a reason is logged."),
    ] = None,
) -> None:
    """Change attributes of one existing record, all or none; it never creates one.

    Prints the response as JSON. Exit code 0 if the record was changed, 2 if the request was wrong, 3 if the database
    failed (DatabaseError), else 1.

    Example: weaudit update CACHE_TTL_SEC value=900 --if "value > 900" --log
    """
    from weaudit.installation import updating
    from weaudit.installation.outputs import Installation

    values = {**_from_file(json_file), **_assignments(attributes or [])}
    installation = Installation.find()
    document: dict[str, Any] = {"id": updating.record_key(installation, table, record_id), "attributes": values}
    given = {"table_name": table, "condition_expression": condition, "request_id": request_id, "user_agent": user_agent}
    given |= {"reason": reason}
    document |= {name: value for name, value in given.items() if value is not None}
    if log:
        document["enable_logging"] = True
    if dry_run:
        tried = updating.tried(installation, document)
        answer = tried.answer
        if tried.differences is not None:
            _print_differences(tried.differences)
    else:
        answer = updating.update(installation, document)
    output.print_text(dumps(answer))
    if not answer.get("success"):
        raise typer.Exit(_EXIT_CODES.get(str(answer.get("error")), output.EXIT_FAILED))


def _print_differences(differences: "tuple[Difference, ...]") -> None:
    from weaudit.cli.printing.rendering import path_text, value_text

    for place in differences:
        old, new = ("absent" if part is None else value_text(part) for part in (place.old, place.new))
        output.note(f"{path_text(place.path)}: {old} → {new}")
    if not differences:
        output.note("The record has these values already.")


def audit_log(
    record_id: Annotated[str, typer.Argument(metavar="RECORD_ID", help="The record's key.")],
    table: Annotated[str | None, typer.Option("--table", "-t", metavar="T", help="Only entries of this table.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="Show at most this many entries.")] = None,
    newest_first: Annotated[bool, typer.Option("--newest-first", "-r", help="Show the newest entry first.")] = False,
    as_json: JsonListOption = False,
) -> None:
    """Show the log of a record's updates, failed ones too: when, who, why, and the outcome.

    Example: weaudit audit-log CACHE_TTL_SEC --newest-first
    """
    from weaudit.installation import updating
    from weaudit.installation.outputs import Installation

    if not record_id:
        raise InvalidInputError(
            "no record has an empty key\nGive the record's key, as in: weaudit audit-log CACHE_TTL_SEC"
        )
    found = updating.logged(Installation.find(), table, record_id, newest_first=newest_first)
    entries = [_plain(entry) for entry in limited(found, limit)]
    if as_json:
        output.print_text(dumps(entries))
    elif entries:
        _print_entries(entries)
    else:
        output.note(f"No update of {record_id!r} was logged. `weaudit update --log` logs one.")


def _plain(entry: "Item") -> dict[str, Any]:
    return {name: plain(value) for name, value in entry.items()}


def _print_entries(entries: list[dict[str, Any]]) -> None:
    rows = []
    with_reasons = any("reason" in entry for entry in entries)
    for entry in entries:
        who = entry.get("caller") or entry.get("user_agent", "")
        names = entry.get("updated_attributes")
        listed = ", ".join(names) if isinstance(names, dict) else ""
        why = [entry.get("reason", "")] if with_reasons else []
        cells = (entry.get("timestamp", ""), entry.get("status", ""), who, listed, *why, entry.get("log_id", ""))
        rows.append([str(cell) for cell in cells])
    headings = ("When", "Status", "Who", "Attributes", *(["Reason"] if with_reasons else []), "Log id")
    output.print_table(output.table(headings, rows))


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
