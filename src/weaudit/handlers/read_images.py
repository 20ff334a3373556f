"""A route of the API."""

from __future__ import annotations

from weaudit.domain import api_queries
from weaudit.events import http_request

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Mapping
    from typing import Any


def connect(_environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: IMAGES_TABLE (default ``Images``), RENDITIONS_BUCKET, LINK_SECONDS (default: 900)."""
    return {}


def handle(event: Any) -> tuple[int, dict[str, Any]]:
    """Answer a request. Raises RequestError, StoreError."""
    request = http_request.parse(event)
    api_queries.asked(request.route, request.path, request.query, "read_images")
    return 200, {}
