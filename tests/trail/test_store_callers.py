"""Reading log entries from a table that is throttled: what it leaves out is asked for again, and not for ever."""

from typing import Any

import pytest

from weaudit.errors import StoreUnavailableError
from weaudit.trail.store_callers import AuditLogs


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Take the place of sleep, and keep how long each was to be."""
    asked: list[float] = []
    monkeypatch.setattr("weaudit.aws.unprocessed.time.sleep", asked.append)
    return asked


class Throttled:
    """BatchGetItem of DynamoDB over one table, which answers so many keys a call and hands the rest back."""

    def __init__(self, keys_a_call: int) -> None:
        self.keys_a_call = keys_a_call
        self.calls: list[int] = []

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        keys = body["RequestItems"]["audit_logs"]["Keys"]
        assert 1 <= len(keys) <= 100, "DynamoDB takes 1 to 100 keys"
        self.calls.append(len(keys))
        answered, left = keys[: self.keys_a_call], keys[self.keys_a_call :]
        found = [key for key in answered if key["log_id"]["S"] != "missing"]
        unprocessed = {"audit_logs": {"Keys": left}} if left else {}
        return {"Responses": {"audit_logs": found}, "UnprocessedKeys": unprocessed}


def ids(count: int) -> list[str]:
    return [f"l-{number}" for number in range(count)]


def test_what_was_left_out_is_asked_for_again_after_a_wait(waits: list[float]) -> None:
    table = Throttled(60)
    found = AuditLogs(table.call, "audit_logs").get([*ids(150), "l-0", "missing"])
    assert sorted(found) == sorted(ids(150))
    assert table.calls == [100, 91, 31]
    assert len(waits) == 2


def test_a_table_that_leaves_something_out_each_time_is_asked_ten_times(waits: list[float]) -> None:
    for keys_a_call in (0, 1):
        waits.clear()
        table = Throttled(keys_a_call)
        with pytest.raises(StoreUnavailableError, match="audit_logs left items unprocessed 10 times: it is throttled"):
            AuditLogs(table.call, "audit_logs").get(ids(25))
        assert len(table.calls) == 10
        assert len(waits) == 9
        assert max(waits) <= 1.0
