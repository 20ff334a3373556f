"""How Lambda calls a function asynchronously: one log line an event, and failures that are raised."""

import json
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from weaudit.errors import StoreUnavailableError
from weaudit.runtime import event
from weaudit.runtime.event import Invocation

CONTEXT = SimpleNamespace(aws_request_id="r-1", function_name="f-1", get_remaining_time_in_millis=lambda: 29_000)


def handler(handle: Any) -> Any:
    module = ModuleType("handler")
    module.__dict__.update({"connect": lambda environment: {"store": environment["HOME"]}, "handle": handle})
    return module


def test_the_answer_is_the_handlers_and_the_log_line_has_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []

    def handle(found: Any, invocation: Invocation, store: str) -> tuple[Any, dict[str, Any]]:
        seen.append((found, invocation.function_name, invocation.request_id, invocation.remaining_ms(), bool(store)))
        return {"statusCode": 200}, {"logged": 3}

    assert event.entry_point(handler(handle))({"a": 1}, CONTEXT) == {"statusCode": 200}
    assert seen == [({"a": 1}, "f-1", "r-1", 29_000, True)]
    [line] = map(json.loads, capsys.readouterr().out.splitlines())
    assert line == {"level": "INFO", "message": "event done", "requestId": "r-1", "logged": 3}


def test_a_failure_is_logged_with_its_code_and_raised_so_that_lambda_tries_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(found: Any, invocation: Invocation, store: str) -> tuple[Any, dict[str, Any]]:
        raise StoreUnavailableError("the table is throttled")

    with pytest.raises(StoreUnavailableError):
        event.entry_point(handler(fail))({}, CONTEXT)
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["code"], line["requestId"]) == ("ERROR", "StoreUnavailable", "r-1")
    assert line["why"] == "the table is throttled"


def test_a_call_without_lambdas_context_is_one_with_time(capsys: pytest.CaptureFixture[str]) -> None:
    def handle(found: Any, invocation: Invocation, store: str) -> tuple[Any, dict[str, Any]]:
        return (invocation.function_name, invocation.request_id, invocation.remaining_ms()), {}

    assert event.entry_point(handler(handle))(None, None) == ("", "", 900_000)
    assert capsys.readouterr().out
