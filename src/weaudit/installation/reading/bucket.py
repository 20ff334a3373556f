"""Lists the objects of the trigger bucket, and reads from the invocation log when the arrival of each was logged."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from weaudit.items.times import iso_moment

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation

# The log is scanned once for this many objects.
_COMPARED = 10_000


def objects(installation: "Installation", prefix: str = "") -> Iterator[dict[str, Any]]:
    """Yield the objects whose keys have this prefix, as S3 lists them."""
    pages = installation.target.client("s3").get_paginator("list_objects_v2")
    for page in pages.paginate(Bucket=installation.trigger_bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def with_log(
    installation: "Installation", listed: Iterator[dict[str, Any]], progress: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    """Yield for each listed object what it is, and the log's entry for its current version; None if it has no entry.

    ``progress`` is called with the number of rows read, once a page of the log.
    """
    while some := list(islice(listed, _COMPARED)):
        logged = _log_of(installation, some, progress)
        for one in some:
            row = logged.get(_version(one), {})
            yield {
                "key": one["Key"],
                "bytes": one["Size"],
                "modifiedAt": iso_moment(one["LastModified"]),
                "eTag": _version(one)[1],
                "loggedAt": row.get("timestamp"),
                "requestId": row.get("requestId"),
                "eventName": row.get("eventName"),
            }


def _version(listed: dict[str, Any]) -> tuple[str, str]:
    return listed["Key"], listed["ETag"].strip('"')


def _log_of(
    installation: "Installation", some: list[dict[str, Any]], progress: Callable[[int], None]
) -> dict[tuple[str, str], dict[str, str]]:
    """Return the log's row for the current version of each object, by key and ETag, if there is one.

    The log has no index on keys: it is scanned until each object has its row, or to its end.
    """
    wanted = set(map(_version, some))
    keys = sorted((key for key, _ in wanted), key=str.encode)
    names = ("requestId", "timestamp", "objectKey", "eTag", "eventName", "bucketName")
    pages = installation.target.client("dynamodb").get_paginator("scan").paginate(
        TableName=installation.invocation_log,
        FilterExpression="#bucketName = :bucket AND #objectKey BETWEEN :first AND :last",
        ProjectionExpression=", ".join(f"#{name}" for name in names),
        ExpressionAttributeNames={f"#{name}": name for name in names},
        ExpressionAttributeValues={
            ":bucket": {"S": installation.trigger_bucket}, ":first": {"S": keys[0]}, ":last": {"S": keys[-1]},
        },
    )  # fmt: skip
    found: dict[tuple[str, str], dict[str, str]] = {}
    read = 0
    for page in pages:
        for item in page["Items"]:
            row = {name: value["S"] for name, value in item.items()}
            known = (row["objectKey"], row.get("eTag", ""))
            # The same bytes may have been put more than once: the latest row counts.
            if known in wanted and row["timestamp"] >= found.get(known, row)["timestamp"]:
                found[known] = row
        read += page["ScannedCount"]
        if len(found) == len(wanted):
            break
        if page.get("LastEvaluatedKey"):
            progress(read)
    return found
