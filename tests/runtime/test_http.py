"""A direct call gets the bare document, a request of API Gateway its status and headers around it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from weaudit.runtime import http

DOCUMENT = {"success": False, "error": "RecordNotFoundError", "message": "grün"}


class Handler:
    """Answers always the same, and remembers what it was given."""

    def connect(self, environment: Any, /) -> dict[str, Any]:
        return {"store": "a store"}

    def handle(self, event: Any, /, **stores: Any) -> tuple[int, dict[str, Any]]:
        assert stores == {"store": "a store"}
        return 404, dict(DOCUMENT)


def test_a_direct_call_gets_the_bare_document() -> None:
    events: tuple[Any, ...] = ({"id": "a"}, {}, [], None, "text")
    for event in events:
        assert http.entry_point(Handler())(event, None) == DOCUMENT


def test_a_request_of_api_gateway_gets_status_and_headers(capsys: pytest.CaptureFixture[str]) -> None:
    context = SimpleNamespace(aws_request_id="r-1")
    answer = http.entry_point(Handler())({"requestContext": {}, "body": "{}"}, context)
    assert answer["statusCode"] == 404
    assert answer["headers"]["content-type"] == "application/json"
    assert json.loads(answer["body"]) == {**DOCUMENT, "details": {"request_id": "r-1"}}
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["requestId"], line["status"], line["error"]) == ("r-1", 404, "RecordNotFoundError")
