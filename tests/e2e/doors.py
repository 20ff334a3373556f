"""The three doors to an update: a direct call, a request of API Gateway, and the command."""

import json
from typing import Any

from tests.e2e.commands import client, run

FUNCTION = "table-update-function"
CALLER = "arn:aws:iam::000000000000:user/ada"
_STATUSES = {
    None: 200,
    "InvalidInputError": 400,
    "ValidationError": 400,
    "RecordNotFoundError": 404,
    "ConditionalCheckFailed": 412,
    "DatabaseError": 500,
}
_EXIT_CODES = {200: 0, 400: 2, 404: 1, 412: 1, 500: 1}


def invoke(event: Any) -> Any:
    """Call the function and return what it returns; it must not raise."""
    answer = client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def http_event(document: Any, *, headers: dict[str, str] | None = None, raw: str | None = None) -> dict[str, Any]:
    """Return the event that API Gateway makes of a signed request."""
    return {
        "version": "2.0",
        "routeKey": "POST /v1/updates",
        "rawPath": "/v1/updates",
        "headers": {"content-type": "application/json", "user-agent": "curl/8", **(headers or {})},
        "requestContext": {
            "accountId": "000000000000",
            "authorizer": {"iam": {"accountId": "000000000000", "userArn": CALLER, "userId": "AIDA"}},
            "http": {"method": "POST", "path": "/v1/updates", "sourceIp": "127.0.0.1", "userAgent": "curl/8"},
            "requestId": "r-1",
        },
        "body": json.dumps(document) if raw is None else raw,
        "isBase64Encoded": False,
    }


def direct(document: Any) -> tuple[int, Any]:
    """Ask by a direct call; the status is what the document's error stands for."""
    answer = invoke(document)
    assert "statusCode" not in answer
    return _STATUSES[answer.get("error")], answer


def http(document: Any) -> tuple[int, Any]:
    """Ask as API Gateway does."""
    answer = invoke(http_event(document))
    assert answer["headers"]["content-type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def command(document: Any) -> tuple[int, Any]:
    """Ask by the command; its exit code has to agree with the document."""
    words = ["update", str(document["id"])]
    words += [f"{name}={json.dumps(value)}" for name, value in document.get("attributes", {}).items()]
    options = {"condition_expression": "--if", "table_name": "--table", "request_id": "--request-id"}
    for name, option in options.items():
        words += [option, document[name]] if name in document else []
    code, text = run(*words, *(["--log"] if document.get("enable_logging") else []))
    answer = json.loads(text)
    status = _STATUSES[answer.get("error")]
    assert code == _EXIT_CODES[status]
    return status, answer


DOORS = {"direct": direct, "http": http, "command": command}
