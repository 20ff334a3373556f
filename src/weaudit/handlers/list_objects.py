"""GET /v1/objects: a bucket's objects, in the order of their keys, in pages."""

from __future__ import annotations

from weaudit.api import queries, requests
from weaudit.aws.client import S3
from weaudit.aws.connections import Connection
from weaudit.objects import listing as object_pages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the store: OBJECTS_BUCKET."""
    connection = Connection.from_environment("s3", environment)
    connection.deadline_s = 10.0
    return {"s3": S3(connection), "bucket": environment.get("OBJECTS_BUCKET", "")}


def handle(event: Any, *, s3: S3, bucket: str) -> tuple[int, dict[str, Any]]:
    """Return a page of objects. Raises RequestError, StoreError."""
    request = requests.parse(event)
    asked = queries.asked(request.route, request.path, request.query, "list_objects")
    plan = object_pages.plan(asked)
    listing = s3.list_objects(
        bucket, prefix=plan.prefix, delimiter=plan.delimiter, after=plan.after, limit=plan.most_entries
    )
    return 200, {"bucket": bucket, **object_pages.page(asked, plan, listing)}
