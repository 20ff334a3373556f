"""`weaudit history`, `weaudit changes`: reading the trail."""

import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weaudit.cli import output, times
from weaudit.cli.item_keys import item_keys
from weaudit.errors import StoreRefusedError

# So many changes are read before their callers are looked up, all at once.
_LOOKED_UP = 100

if TYPE_CHECKING:
    from weaudit.adapters.audit_history import AuditHistory
    from weaudit.deploy.targets import Target
    from weaudit.domain.histories import AuditedChange

_PANEL = "The trail"
_TIMES = "ISO 8601, a date, or 2h, 3d (that long ago)."

TableOption = Annotated[str, typer.Option("--table", "-t", metavar="TABLE", help="The audited table.")]
SinceOption = Annotated[str | None, typer.Option(metavar="TIME", help=f"From then on. {_TIMES}")]
UntilOption = Annotated[str | None, typer.Option(metavar="TIME", help="Up to then, a date with its whole day.")]
LimitOption = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many changes.")]
NewestOption = Annotated[bool, typer.Option("--newest-first", "-r", help="Begin with the newest change.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON list, values whole, times in UTC.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="Show and take times in UTC, not in local time.")]
LogTableOption = Annotated[
    str, typer.Option(metavar="NAME", envvar="WEAUDIT_AUDIT_LOG_TABLE", help="The table of logged updates.")
]
AuditTableOption = Annotated[
    str, typer.Option(metavar="NAME", envvar="WEAUDIT_AUDIT_TABLE", help="The table that holds the trail.")
]
StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="The engine's directory.", show_default="~/.local/state/weaudit"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (history, changes):
        app.command(rich_help_panel=_PANEL)(command)


def history(
    item_key: Annotated[
        str, typer.Argument(metavar="ITEM_KEY", help="""The item's key; '{"pk": "a", "sk": 7}' where it has parts.""")
    ],
    table: TableOption = "Configuration",
    attribute: Annotated[
        str | None, typer.Option("--attribute", "-a", metavar="NAME", help="Only changes of this attribute.")
    ] = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    newest_first: NewestOption = False,
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show what happened to one item: when, who, what, from what to what.

    It works for deleted items and for tables that are gone, too.

    Example: weaudit history CACHE_TTL_SEC --since 2h
    """
    from weaudit.deploy.targets import Target
    from weaudit.domain.histories import narrowed

    table, audit_table, audit_log_table = of_stage(table, audit_table, audit_log_table)
    begin, end = _range(since, until, utc)
    target = Target.resolve(state_dir=state)
    client = target.client("dynamodb")
    schema, why_unread = key_schema(client, table)
    trail = open_trail(target, audit_table, client)
    found: Iterator[AuditedChange] = iter(())
    for key in item_keys(item_key, schema, table):
        asked = trail.item(table, key, begin, end, newest_first)
        first = next(asked, None)
        if first is not None:
            found = chain([first], asked)
            break
    if attribute is not None:
        found = (kept for change in found if (kept := narrowed(change, attribute)) is not None)
    found = with_callers(islice(found, limit), client, audit_log_table)
    if not _print(found, as_json=as_json, utc=utc, with_items=False):
        what = f"change of {output.safe(attribute)!r} of" if attribute is not None else "change of"
        output.note(f"No {what} {output.safe(item_key)!r} in {table}{_within(begin, end)} is in the trail.")
        output.note(why_unread or "Is the key spelled exactly so? `weaudit changes` lists what was changed.")
        output.note(f"Looked at {target.describe()}. A change shows a moment after it was made.")


def changes(
    table: TableOption = "Configuration",
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = None,
    newest_first: NewestOption = False,
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show what happened to a whole table, in the order of time.

    Example: weaudit changes --table Configuration --since 3d
    """
    from weaudit.deploy.targets import Target

    table, audit_table, audit_log_table = of_stage(table, audit_table, audit_log_table)
    begin, end = _range(since, until, utc)
    target = Target.resolve(state_dir=state)
    client = target.client("dynamodb")
    found = open_trail(target, audit_table, client).table(table, begin, end, newest_first)
    found = with_callers(islice(found, limit), client, audit_log_table)
    if not _print(found, as_json=as_json, utc=utc, with_items=True):
        _, why_unread = key_schema(client, table)
        output.note(f"No change of {table}{_within(begin, end)} is in the trail.")
        output.note(why_unread or "Has anything changed in it? `weaudit logs audit_producer` shows what was audited.")
        output.note(f"Looked at {target.describe()}. A change shows a moment after it was made.")


def of_stage(table: str, audit_table: str, audit_log_table: str) -> tuple[str, str, str]:
    """Return the three tables' names in the stage that WEAUDIT_STAGE and WEAUDIT_PREFIX name."""
    from weaudit.deploy.stages import Stage

    stage = Stage.of()
    return (
        stage.named(table, "Configuration"),
        stage.named(audit_table, "Audit"),
        stage.named(audit_log_table, "audit_logs"),
    )


def open_trail(target: "Target", audit_table: str = "Audit", client: Any = None) -> "AuditHistory":
    """Return the trail kept in a target's table ``audit_table``.

    ``client`` is the target's boto3 client of DynamoDB, where there is one already. Reading raises StoreRefusedError
    where there is no such table.
    """
    from weaudit.adapters.audit_history import AuditHistory
    from weaudit.deploy.targets import unwire, wire

    dynamodb = client or target.client("dynamodb")

    def query(request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = dynamodb.query(**unwire(request))
        except dynamodb.exceptions.ResourceNotFoundException as error:
            raise StoreRefusedError(
                f"there is no audit table {audit_table} on {target.describe()}\n"
                "Deploy WeAudit first (`weaudit up` for the embedded engine), or name it with --audit-table."
            ) from error
        return {"Items": wire(answer["Items"]), "LastEvaluatedKey": wire(answer.get("LastEvaluatedKey"))}

    def fetch(bucket: str, key: str) -> bytes | None:
        s3 = target.client("s3")  # made where a value needs it: few trails have large ones
        try:
            return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
            return None

    return AuditHistory(query, audit_table, fetch)


def with_callers(found: "Iterable[AuditedChange]", client: Any, log_table: str) -> "Iterator[AuditedChange]":
    """Yield the changes with the callers that log entries name; where the log cannot be read, as they are."""
    import botocore.exceptions

    from weaudit.adapters.audit_logs import AuditLogs
    from weaudit.deploy.wire_calls import calls
    from weaudit.domain.histories import attributed

    logs: AuditLogs | None = AuditLogs(calls(client), log_table)
    waiting = iter(found)
    while some := list(islice(waiting, _LOOKED_UP)):
        entries: dict[str, Any] = {}
        log_ids = [change.change_id for change in some if change.change_id]
        if logs is not None and log_ids:
            try:
                entries = logs.get(log_ids)
            except botocore.exceptions.ClientError as error:
                code = error.response["Error"]["Code"]
                if code != "ResourceNotFoundException" and "AccessDenied" not in code:
                    raise
                logs = None
                output.note(f"Callers of logged updates are not shown: {log_table} cannot be read ({code}).")
        for change in some:
            yield attributed(change, entries.get(change.change_id or ""))


def _range(since: str | None, until: str | None, utc: bool) -> tuple[str | None, str | None]:
    begin = times.parse(since, name="--since", utc=utc) if since is not None else None
    end = times.parse(until, name="--until", utc=utc, end=True) if until is not None else None
    if begin is not None and end is not None and begin > end:
        raise typer.BadParameter(f"--since {since} is after --until {until}: nothing lies between")
    return begin, end


def _within(begin: str | None, end: str | None) -> str:
    return (f" since {begin}" if begin else "") + (f" until {end}" if end else "")


def key_schema(client: Any, table: str) -> tuple[dict[str, str] | None, str]:
    """Return a table's key attributes with their types, None where it cannot be asked; and why it may have no trail."""
    import botocore.exceptions

    try:
        found = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None, f"There is no table {table} now. Is its name spelled exactly so (--table)?"
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ValidationException":
            return None, f"{table!r} can be no table's name (--table)."
        # Reading the trail needs no permission on the table itself.
        if "AccessDenied" not in code:
            raise
        return None, ""
    except botocore.exceptions.ParamValidationError:
        return None, f"{table!r} can be no table's name (--table)."
    types = {part["AttributeName"]: part["AttributeType"] for part in found["AttributeDefinitions"]}
    hash_first = sorted(found["KeySchema"], key=lambda part: str(part["KeyType"]))
    schema = {part["AttributeName"]: types[part["AttributeName"]] for part in hash_first}
    streams = found.get("StreamSpecification", {}).get("StreamEnabled")
    return schema, "" if streams else f"{table} is not audited: its stream is off."


def _print(found: Iterable["AuditedChange"], *, as_json: bool, utc: bool, with_items: bool) -> int:
    if as_json:
        return _print_json(found)
    from weaudit.cli.rendering import Rendering

    rendering = Rendering(output.stdout(), utc=utc, with_items=with_items)
    count = rendering.print(found)
    if rendering.cut:
        output.note("Long values are cut here: --json shows them whole.")
    return count


def _print_json(found: Iterable["AuditedChange"]) -> int:
    """Print one JSON list, an element at a time: a trail of any length is never in memory whole."""
    from weaudit.cli.plain_json import document, dumps

    count = 0
    for count, change in enumerate(found, 1):
        text = dumps(document(change)).replace("\n", "\n  ")
        sys.stdout.write(f"{'[' if count == 1 else ','}\n  {text}")
    sys.stdout.write("\n]\n" if count else "[]\n")
    sys.stdout.flush()
    return count
