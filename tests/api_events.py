"""Requests as API Gateway hands them to a function, in both payloads, and the function that answers them."""

import json
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

from weaudit.runtime import http

REQUEST_ID = "7f0c5d1e-6b5d-4c37-9a3e-2f5d4b1a8c90"


def second(
    route: str, path: dict[str, str] | None = None, headers: Any = None, /, **query: str | list[str]
) -> dict[str, Any]:
    """Return a request in payload 2.0; an underscore ends the name of a parameter that Python has taken.

    A parameter with a list is given once for each of its values.
    """
    given = {name.rstrip("_"): value for name, value in query.items()}
    return {
        "version": "2.0",
        "routeKey": route,
        "rawQueryString": urlencode(given, doseq=True, quote_via=quote),
        "headers": headers or {},
        "pathParameters": path or {},
        "requestContext": {"requestId": "gateway-1", "http": {}},
        "isBase64Encoded": False,
    }


def first(
    route: str, path: dict[str, str] | None = None, headers: Any = None, /, **query: str | list[str]
) -> dict[str, Any]:
    """Return the same request in payload 1.0."""
    method, resource = route.split(" ")
    given = {name.rstrip("_"): [value] if isinstance(value, str) else value for name, value in query.items()}
    return {
        "version": "1.0",
        "httpMethod": method,
        "resource": resource,
        "headers": headers,
        "queryStringParameters": {name: values[-1] for name, values in given.items()} or None,
        "multiValueQueryStringParameters": given or None,
        "pathParameters": path,
        "requestContext": {"requestId": "gateway-1"},
    }


class Api:
    """One function with its stores, as Lambda would call it."""

    def __init__(self, module: ModuleType, **stores: Any) -> None:
        handler: Any = SimpleNamespace(connect=lambda _environment: stores, handle=module.handle)
        self._function = http.entry_point(handler)

    def answer(self, event: Any) -> dict[str, Any]:
        """Return what API Gateway gets."""
        answer: dict[str, Any] = self._function(event, SimpleNamespace(aws_request_id=REQUEST_ID))
        assert len(json.dumps(answer, ensure_ascii=False).encode()) < 6 * 1024 * 1024, "Lambda refuses it"
        return answer

    def get(self, route: str, path: dict[str, str] | None = None, /, **query: str | list[str]) -> Any:
        """Return the document of a request that is answered with 200, whichever payload it comes in."""
        answers = [self.answer(make(f"GET {route}", path, **query)) for make in (second, first)]
        for answer in answers:
            assert answer["statusCode"] == 200, answer["body"]
        assert answers[0] == answers[1]
        return json.loads(answers[0]["body"])

    def refused(
        self, route: str, path: dict[str, str] | None = None, /, **query: str | list[str]
    ) -> tuple[int, dict[str, Any]]:
        """Return status and document of a request that is refused, its shape checked."""
        answer = self.answer(second(f"GET {route}", path, **query))
        document = json.loads(answer["body"])
        assert list(document) == ["success", "error", "message", "details", "timestamp"]
        assert document["success"] is False
        assert answer["headers"]["x-request-id"] == REQUEST_ID
        assert answer["headers"]["cache-control"] == "no-store"
        return answer["statusCode"], document
