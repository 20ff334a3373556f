"""Opens the trail of a target, to be read with the functions' client."""

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from weaudit.aws import errors
from weaudit.aws.batches import read_items
from weaudit.aws.client import DynamoDB, Pending
from weaudit.errors import DeployError, RecordRejectedError, StoreRefusedError
from weaudit.installation import clients
from weaudit.installation.boto_errors import translated
from weaudit.installation.outputs import Installation
from weaudit.items.keys import key_types
from weaudit.trail import callers, history
from weaudit.trail.reader import AuditHistory
from weaudit.trail.store_callers import AuditLogs

if TYPE_CHECKING:
    from weaudit.installation.targets import Target
    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.reader import Trail


def open_trail(target: "Target", audit_table: str = "Audit", dynamodb: DynamoDB | None = None) -> "Trail":
    """Return the trail kept in a target's table ``audit_table``.

    ``dynamodb`` is the target's client, if there is one already. Reading raises StoreError; if there is no such table,
    its text says what to do.
    """
    client = dynamodb or clients.dynamodb(target)

    @contextmanager
    def explained() -> Iterator[None]:
        try:
            yield
        except StoreRefusedError as error:
            if error.aws_code != "ResourceNotFoundException":
                raise
            raise StoreRefusedError(
                f"there is no audit table {audit_table} on {target.describe()}\n"
                "Deploy WeAudit first (`weaudit up` for the embedded engine), or name it with --audit-table."
            ) from error

    class Explained:
        """A query under way, with errors that say what to do."""

        def __init__(self, pending: Pending) -> None:
            self.cancel = pending.cancel
            self._pending = pending

        def result(self) -> dict[str, Any]:
            """Return the response; can be called only once."""
            with explained():
                return self._pending.result()

    def query(request: dict[str, Any]) -> dict[str, Any]:
        with explained():
            return client.call("Query", request)

    def get(ids: list[str]) -> "dict[str, Item]":
        with explained():
            return read_items(client.call, audit_table, "id", ids)

    # Created only when a value needs it: few trails have large values.
    objects = functools.cache(lambda: clients.s3(target))

    def fetch(bucket: str, key: str) -> bytes | None:
        try:
            return objects().get_object(bucket, key)
        except StoreRefusedError as error:
            if error.aws_code in ("NoSuchKey", "NoSuchBucket"):
                return None
            if error.aws_code == "InvalidObjectState":
                raise archived(bucket, key) from error
            raise

    def bucket() -> str:
        try:
            with translated():
                found = Installation.find()
        except (DeployError, StoreRefusedError):  # a trail can be read without its stack
            return ""
        return found.evidence_bucket if found.target == target and found.audit_table == audit_table else ""

    def begin(request: dict[str, Any]) -> Explained:
        return Explained(client.begin("Query", request))

    return AuditHistory(query, begin, get, audit_table, fetch, functools.cache(bucket))


def archived(bucket: str, key: str) -> StoreRefusedError:
    """Return the error for an object that S3 does not return, despite any retry, because of its storage class."""
    return StoreRefusedError(
        f"s3://{bucket}/{key} is archived, and S3 does not return it\n"
        "Restore it (`aws s3api restore-object`), and remove rules of this bucket that archive objects.",
        aws_code="InvalidObjectState",
    )


def key_schema(dynamodb: DynamoDB, table: str) -> tuple[dict[str, str] | None, str]:
    """Return a table's key attributes and types, None if they cannot be read; and why it may have no trail, or ""."""
    invalid = f"{table!r} is not a valid name of a table (--table)."
    if not table:
        return None, invalid
    try:
        found = dynamodb.call("DescribeTable", {"TableName": table})["Table"]
    except RecordRejectedError:
        return None, invalid
    except StoreRefusedError as error:
        if error.aws_code == "ResourceNotFoundException":
            return None, f"There is no table {table} now. Is its name spelled correctly (--table)?"
        # Reading the trail needs no permission on the table itself.
        if not errors.withheld(error.aws_code):
            raise
        return None, ""
    streams = found.get("StreamSpecification", {}).get("StreamEnabled")
    return key_types(found), "" if streams else f"{table} is not audited: its stream is off."


def with_callers(
    found: "Iterable[AuditedChange]",
    trail: "Trail",
    dynamodb: DynamoDB,
    log_table: str,
    warn: Callable[[str], None],
    without: frozenset[str] = frozenset(),
) -> "Iterator[AuditedChange]":
    """Yield the changes of a trail with their callers, which log entries name (see trail.callers).

    ``warn`` is called once with the reason if the log cannot be read. No caller is looked up for a change of nothing
    but the attributes ``without``.
    """

    def unread(error: StoreRefusedError) -> None:
        warn(f"Callers of logged updates are not shown: {log_table} cannot be read ({error.aws_code or error.code}).")

    return callers.with_callers(
        found,
        trail,
        AuditLogs(dynamodb.call, log_table),
        unread,
        wanted=lambda change: history.without(change, without) is not None,
    )
