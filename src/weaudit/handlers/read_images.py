"""GET /v1/images: what is known about an image, with links to its renditions that expire."""

from __future__ import annotations

import time

from weaudit.api import queries, requests
from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.errors import RecordNotFoundError
from weaudit.images import rows
from weaudit.images.store import ImageTable
from weaudit.items.times import iso_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: IMAGES_TABLE (default ``Images``), RENDITIONS_BUCKET, LINK_SECONDS (default: 900).

    A link expires earlier if the function's own credentials do.
    """
    dynamodb = Connection.from_environment("dynamodb", environment)
    dynamodb.deadline_s = 10.0
    s3 = S3(Connection.from_environment("s3", environment))
    bucket, seconds = environment.get("RENDITIONS_BUCKET", ""), int(environment.get("LINK_SECONDS") or 900)
    return {
        "images": ImageTable(DynamoDB(dynamodb).call, environment.get("IMAGES_TABLE") or "Images"),
        "link": lambda key: s3.link(bucket, key, seconds),
        "link_seconds": seconds,
    }


def handle(
    event: Any,
    *,
    images: ImageTable,
    link: Callable[[str], str],
    link_seconds: int,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> tuple[int, dict[str, Any]]:
    """Return an image's row as a document. Raises RequestError, StoreError."""
    request = requests.parse(event)
    asked = queries.asked(request.route, request.path, request.query, "read_images")
    row = images.get(queries.image_key(asked))
    if row is None:
        raise RecordNotFoundError("There is no image with this key, or it has not been processed yet")
    # The clock is read before the links are signed, so that no link expires before the stated time.
    return 200, rows.document(row, link, iso_time(now_ms() + 1000 * link_seconds))
