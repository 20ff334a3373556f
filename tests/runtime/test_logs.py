"""What every line of an invocation says, and what of one invocation no line of the next does."""

import json

import pytest

from weaudit.runtime import logs


def test_lines_name_their_invocation_and_what_was_learnt_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.begin(requestId="r-1")
    logs.write("INFO", "first")
    logs.add(changeId="c-1")
    logs.write("INFO", "second", requestId="r-1", status=200)
    logs.begin(requestId="r-2")
    logs.write("INFO", "third", requestId="its own")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    common = {"level": "INFO", "requestId": "r-1"}
    assert lines == [
        {**common, "message": "first"},
        {**common, "message": "second", "changeId": "c-1", "status": 200},
        {"level": "INFO", "message": "third", "requestId": "its own"},
    ]
    logs.begin()
