"""How Lambda calls a stream function: one log line a batch, and failures that are raised."""

import json
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import ANY

import pytest

from weaudit.errors import StoreUnavailableError
from weaudit.runtime import stream


def handler(**parts: Any) -> Any:
    module = ModuleType("handler")
    module.__dict__.update({"connect": lambda environment: {"store": environment["HOME"]}, **parts})
    return module


def test_a_batch_is_one_log_line_with_its_counts_and_ids(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "audit_producer")
    entry = stream.entry_point(handler(handle=lambda event, **_stores: {"changes": len(event["Records"])}))
    assert entry({"Records": [1, 2]}, SimpleNamespace(aws_request_id="r-1")) == {"changes": 2}
    assert json.loads(capsys.readouterr().out) == {
        "level": "INFO",
        "message": "batch done",
        "function": "audit_producer",
        "traceId": "Root=1-5759e988-bd862e3fe1be46a994272793",
        "requestId": "r-1",
        "changes": 2,
        "batches": 1,
        "_aws": ANY,
    }


def test_a_failure_is_logged_with_its_code_and_raised_so_that_the_batch_comes_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(event: Any, store: str) -> dict[str, Any]:
        raise StoreUnavailableError("Audit is throttled")

    with pytest.raises(StoreUnavailableError):
        stream.entry_point(handler(handle=fail))({"Records": []}, None)
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["code"], line["why"]) == ("ERROR", "StoreUnavailable", "Audit is throttled")


def test_lines_below_the_level_are_not_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "error")
    stream.entry_point(handler(handle=lambda _event, **_stores: {}))({"Records": []}, None)
    assert capsys.readouterr().out == ""
