"""The trail as commands read it: the tables of a stage, asked by boto3, and the callers of logged updates."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from weaudit.errors import StoreRefusedError
from weaudit.items.keys import key_types

if TYPE_CHECKING:
    from concurrent.futures import Future

    from botocore.exceptions import ClientError

    from weaudit.installation.targets import Target
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.reader import AuditHistory

# A month's sixteen shards have a page on its way each, and so has the month after it.
_PAGES_AT_ONCE = 32
# So many changes are read before their callers are looked up, all at once.
_LOOKED_UP = 100


def of_stage(table: str, audit_table: str, audit_log_table: str) -> tuple[str, str, str]:
    """Return the three tables' names in the stage that WEAUDIT_STAGE and WEAUDIT_PREFIX name."""
    from weaudit.installation.stages import Stage

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
    from weaudit.installation.pool import ReadingPool
    from weaudit.installation.targets import unwire, wire
    from weaudit.trail.reader import AuditHistory

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
        except s3.exceptions.InvalidObjectState as error:
            raise archived(bucket, key) from error

    pool = ReadingPool(_PAGES_AT_ONCE, "weaudit-history")

    def begin(request: dict[str, Any]) -> "Future[dict[str, Any]]":
        return pool.submit(query, request)

    return AuditHistory(query, begin, audit_table, fetch)


def archived(bucket: str, key: str) -> StoreRefusedError:
    """Return the error of an object that S3 does not give because of its storage class, however often it is asked."""
    return StoreRefusedError(
        f"s3://{bucket}/{key} is archived, and S3 does not give it\n"
        "Restore it (`aws s3api restore-object`), and keep rules that archive away from this bucket.",
        aws_code="InvalidObjectState",
    )


def keeps_back(error: "ClientError") -> bool:
    """Say whether a service will never tell what was asked: we may not know, or it is not there. An outage passes."""
    code = str(error.response["Error"]["Code"])
    return "AccessDenied" in code or code == "ResourceNotFoundException"


def key_schema(client: Any, table: str) -> tuple[dict[str, str] | None, str]:
    """Return a table's key attributes with their types, None where it cannot be asked; and why it may have no trail."""
    import botocore.exceptions

    try:
        found = client.describe_table(TableName=table)["Table"]
    except client.exceptions.ResourceNotFoundException:
        return None, f"There is no table {table} now. Is its name spelled exactly so (--table)?"
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException":
            return None, f"{table!r} can be no table's name (--table)."
        # Reading the trail needs no permission on the table itself.
        if not keeps_back(error):
            raise
        return None, ""
    except botocore.exceptions.ParamValidationError:
        return None, f"{table!r} can be no table's name (--table)."
    streams = found.get("StreamSpecification", {}).get("StreamEnabled")
    return key_types(found), "" if streams else f"{table} is not audited: its stream is off."


def with_callers(
    found: "Iterable[AuditedChange]", trail: "AuditHistory", client: Any, log_table: str, warn: Callable[[str], None]
) -> "Iterator[AuditedChange]":
    """Yield the changes of a trail with the callers that log entries name; where the log cannot be read, as they are.

    They are given whole, none narrowed to some of its attributes. ``warn`` is told once why callers are missing.
    """
    import botocore.exceptions

    from weaudit.installation.boto import calls
    from weaudit.trail.store_callers import AuditLogs

    logs: AuditLogs | None = AuditLogs(calls(client), log_table)
    waiting = iter(found)
    while some := list(islice(waiting, _LOOKED_UP)):
        entries: dict[str, Any] = {}
        log_ids = [change.change_id for change in some if change.change_id]
        if logs is not None and log_ids:
            try:
                entries = logs.get(log_ids)
            except botocore.exceptions.ClientError as error:
                if not keeps_back(error):
                    raise
                logs = None
                code = error.response["Error"]["Code"]
                warn(f"Callers of logged updates are not shown: {log_table} cannot be read ({code}).")
        yield from trail.attributed(some, entries)
