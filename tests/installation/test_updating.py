"""`weaudit update`: what it hands to the function is within what Lambda takes."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.fakes import PolicingLambda
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.installation import updating


def ask(document: dict[str, Any]) -> bytes:
    """Ask for an update; return what the function was given."""
    function = PolicingLambda(lambda _event: {"statusCode": 200, "body": '{"success":true}'})
    updating.update(installed(function), {"user_agent": "me", **document})
    return function.payloads[0]


def installed(function: Any) -> Any:
    target = SimpleNamespace(client=lambda _service: function)
    return SimpleNamespace(target=target, outputs={"TableUpdateAliasArn": "update"})


def test_a_document_takes_few_more_bytes_than_its_texts() -> None:
    text = "ф" * 190_000
    payload = ask({"id": "k", "attributes": {"t": text}})
    assert len(payload) < len(text.encode()) + 300
    assert json.loads(json.loads(payload)["body"])["attributes"] == {"t": text}


def test_a_document_larger_than_a_call_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidInputError, match="a call can carry 6,291,455"):
        ask({"id": "k", "attributes": {"t": "x" * 6_291_456}})


def test_why_the_function_did_not_respond_stays_on_the_line_of_the_message() -> None:
    payload = json.dumps({"errorMessage": "one\ntwo"}).encode()
    function = SimpleNamespace(invoke=lambda **_: {"FunctionError": "Unhandled", "Payload": io.BytesIO(payload)})
    with pytest.raises(StoreRefusedError) as refused:
        updating.update(installed(function), {"user_agent": "me"})
    assert str(refused.value).splitlines()[0] == "the function did not respond: one\\ntwo"
