"""`weaudit update`: what it hands to the function is within what Lambda takes."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import PolicingLambda
from weaudit.cli import updates
from weaudit.errors import InvalidInputError


def ask(document: dict[str, Any]) -> bytes:
    """Ask for an update; return what the function was given."""
    function = PolicingLambda(lambda _event: {"statusCode": 200, "body": '{"success":true}'})
    installation = SimpleNamespace(
        target=SimpleNamespace(client=lambda _service: function), outputs={"TableUpdateAliasArn": "update"}
    )
    updates._ask(cast("Any", installation), {"user_agent": "me", **document})
    return function.payloads[0]


def test_a_document_takes_few_more_bytes_than_its_texts() -> None:
    text = "ф" * 190_000
    payload = ask({"id": "k", "attributes": {"t": text}})
    assert len(payload) < len(text.encode()) + 300
    assert json.loads(json.loads(payload)["body"])["attributes"] == {"t": text}


def test_a_document_larger_than_a_call_is_refused_before_it_is_sent() -> None:
    with pytest.raises(InvalidInputError, match="a call can carry 6,291,455"):
        ask({"id": "k", "attributes": {"t": "x" * 6_291_456}})
