"""A direct call gets the bare document, a request of API Gateway its status and headers around it."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from weaudit.errors import InvalidInputError, RecordNotFoundError, StoreUnavailableError
from weaudit.items.plain import Number
from weaudit.items.texts import Written
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


@pytest.mark.parametrize(
    "event",
    [
        {"body": '{"id": "a"}'},
        {"httpMethod": "POST", "resource": "/v1/updates", "body": None},
        {"version": "2.0", "routeKey": "GET /v1/health"},
        {"body": "{}", "requestContext": None},
        {"body": "{}", "requestContext": "none"},
    ],
)
def test_a_request_written_by_hand_without_its_context_is_answered_as_a_request(event: Any) -> None:
    assert http.entry_point(Handler())(event, None)["statusCode"] == 404


@pytest.mark.parametrize("document", [{"id": "a", "body": "x"}, {"attributes": {}, "httpMethod": "POST"}])
def test_a_document_with_a_field_that_a_request_has_is_a_direct_call(document: Any) -> None:
    assert http.entry_point(Handler())(document, None) == DOCUMENT


def test_a_request_of_api_gateway_gets_status_and_headers(capsys: pytest.CaptureFixture[str]) -> None:
    context = SimpleNamespace(aws_request_id="r-1")
    answer = http.entry_point(Handler())({"requestContext": {}, "body": "{}"}, context)
    assert answer["statusCode"] == 404
    assert answer["headers"]["content-type"] == "application/json"
    assert json.loads(answer["body"]) == DOCUMENT
    assert answer["headers"]["x-request-id"] == "r-1"
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["requestId"], line["status"], line["error"]) == ("r-1", 404, "RecordNotFoundError")


class Giving:
    """Answers as it is told to, or raises."""

    def __init__(self, *answer: Any) -> None:
        self.answer = answer

    def connect(self, environment: Any, /) -> dict[str, Any]:
        return {}

    def handle(self, event: Any, /, **stores: Any) -> Any:
        if isinstance(self.answer[0], Exception):
            raise self.answer[0]
        return self.answer


EVENT: dict[str, Any] = {"requestContext": {"requestId": "gateway-1"}, "routeKey": "GET /v1/health", "headers": None}
CONTEXT = SimpleNamespace(aws_request_id="r-1")


def test_numbers_keep_every_digit_and_parts_may_be_written_already() -> None:
    digits = "0." + "1" * 37
    document = {"n": Number(digits), "part": Written('{"a":1}'), "list": [True, None, "\x9b"]}
    answer = http.entry_point(Giving(200, document))(EVENT, CONTEXT)
    assert answer["body"] == f'{{"n":{digits},"part":{{"a":1}},"list":[true,null,"\\u009b"]}}'
    assert answer["headers"]["cache-control"] == "no-store"
    assert "etag" not in answer["headers"]


@pytest.mark.parametrize(
    ("given", "status"),
    [({}, 200), ({"If-None-Match": "*"}, 304), ({"if-none-match": '"other"'}, 200), ({"if-none-match": ""}, 200)],
)
def test_an_answer_that_may_be_kept_has_an_etag(given: dict[str, str], status: int) -> None:
    handler = http.entry_point(Giving(200, {"a": 1}, {"cache-control": "private"}))
    answer = handler({**EVENT, "headers": given}, CONTEXT)
    assert answer["statusCode"] == status
    assert len(answer["headers"]["etag"]) == 34
    same = handler({**EVENT, "headers": {"If-None-Match": f'"x", W/{answer["headers"]["etag"]}'}}, CONTEXT)
    assert (same["statusCode"], same["body"], same["headers"]["etag"]) == (304, "", answer["headers"]["etag"])
    assert same["headers"]["cache-control"] == "private"


@pytest.mark.parametrize("headers", [None, [], ["if-none-match"], "text", 1])
def test_headers_that_are_none_ask_for_nothing(headers: Any) -> None:
    handler = http.entry_point(Giving(200, {"a": 1}, {"cache-control": "private"}))
    assert handler({**EVENT, "headers": headers}, CONTEXT)["statusCode"] == 200


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (InvalidInputError("limit must be …", {"parameter": "limit"}), 400, "InvalidInputError"),
        (RecordNotFoundError("none"), 404, "RecordNotFoundError"),
        (StoreUnavailableError("GetItem: 503 of 10.0.0.1"), 500, "DatabaseError"),
        (KeyError("a value"), 500, "DatabaseError"),
    ],
)
def test_what_is_raised_is_answered_in_one_shape(
    raised: Exception, status: int, error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = http.entry_point(Giving(raised))(EVENT, CONTEXT)
    document = json.loads(answer["body"])
    assert list(document) == ["success", "error", "message", "details", "timestamp"]
    assert (answer["statusCode"], document["error"]) == (status, error)
    assert answer["headers"]["x-request-id"] == "r-1"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == (["ERROR", "INFO"] if status == 500 else ["INFO"])
    assert all((line["requestId"], line["apiRequestId"]) == ("r-1", "gateway-1") for line in lines)
    assert lines[-1]["route"] == "GET /v1/health"
    assert "10.0.0.1" not in answer["body"]
    assert "a value" not in answer["body"] + json.dumps(lines)
