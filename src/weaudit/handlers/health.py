"""A route of the API."""

from __future__ import annotations

from weaudit.domain import api_queries
from weaudit.events import http_request

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Mapping
    from typing import Any


def connect(_environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the store: STACK_TABLES, names with commas between them, and RELEASE, what is deployed."""
    return {}


def handle(event: Any) -> tuple[int, dict[str, Any]]:
    """Answer a request. Raises RequestError, StoreError."""
    request = http_request.parse(event)
    api_queries.asked(request.route, request.path, request.query, "health")
    return 200, {}
