"""ledger_sealer: what it answers, logs and counts, and the rows that it adopts."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sealing.worlds import SOURCES, World, unanswered
from weaudit.errors import InvalidInputError, StoreRefusedError, StoreUnavailableError
from weaudit.handlers import ledger_sealer
from weaudit.ledger.checkpoints import CHECKPOINT
from weaudit.runtime.event import Invocation
from weaudit.sealing.sealer import Sealer

INVOCATION = Invocation("weaudit-ledger-sealer", "r-1", lambda: 300_000)


class Ledger:
    """The sealer of a world, and its tables."""

    sources = SOURCES

    def __init__(self, world: World) -> None:
        self._world = world
        self._sealer = world.sealer()
        # The handler tells findings; the world only notes them.
        self._sealer._tell = ledger_sealer._tell
        self.dynamodb = SimpleNamespace(call=self._call)

    def sealer(self) -> tuple[Sealer, Any]:
        return self._sealer, self._world.outcomes()

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        [(table, asked)] = request["RequestItems"].items()
        assert asked["ConsistentRead"]
        ids = ["/".join(value["S"] for value in key.values()) for key in asked["Keys"]]
        rows = self._world.rows[table]
        return {"Responses": {table: [rows[one] for one in ids if one in rows]}}


def handle(ledger: Ledger, event: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    given: Any = ledger
    return ledger_sealer.handle({} if event is None else event, INVOCATION, ledger=given)


def lines(printed: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in printed.splitlines()]


def test_a_run_answers_and_logs_what_it_sealed(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.record()
    ledger = Ledger(world)
    answer, fields = handle(ledger)
    assert answer == {"sealed": 1, "size": 2, "behind": False, "findings": 0}
    assert fields == {"sealed": 1, "size": 2, "behind": False}
    assert handle(ledger)[0] == {"sealed": 0, "size": 2, "behind": False, "findings": 0}
    assert capsys.readouterr().out == ""


def test_findings_are_logged_one_by_one_and_counted_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "weaudit-ledger-sealer")
    world = World()
    [record] = world.record()
    ledger = Ledger(world)
    handle(ledger)
    world.write("Audit", {**record, "newValue": {"M": {"n": {"N": "2"}}}})
    world.write("Audit", {"id": {"S": "\x1b[2J" + "x" * 1000}})
    capsys.readouterr()
    answer, fields = handle(ledger)
    assert (answer["findings"], "findings" in fields) == (2, False)
    altered, foreign, counted = lines(capsys.readouterr().out)
    assert (altered["level"], altered["kind"], altered["id"]) == ("WARNING", "altered", record["id"]["S"])
    assert (foreign["kind"], len(foreign["id"])) == ("foreign", 100)
    assert counted["findings"] == 2
    assert counted["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "findings", "Unit": "Count"}]
    assert handle(ledger)[0]["findings"] == 0


def test_rows_are_adopted_once_though_the_call_is_repeated() -> None:
    world = World()
    ledger = Ledger(world)
    handle(ledger)
    [record] = world.record()
    world.streams.of_table["Audit"][-1].shards["shardId-000"]["records"].clear()
    world.rows["lambda-invocation-logs-dev"]["r/t"] = {"requestId": {"S": "r"}, "timestamp": {"S": "t"}}
    ids = [[record["id"]["S"]], ["gone"]]
    for found in (1, 0):
        adopted = {"adopt": {"table": "Audit", "ids": ids, "size": 1}}
        assert handle(ledger, adopted)[0]["sealed"] == found
    asked = {"adopt": {"table": "lambda-invocation-logs-dev", "ids": [["r", "t"]], "size": 1}}
    assert handle(ledger, asked)[0]["sealed"] == 1
    assert world.said() == [("adopted", record["id"]["S"]), ("adopted", "r/t")]
    world.assert_whole()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"table": "Images", "ids": [], "size": 0},
        {"table": "Audit", "ids": "x", "size": 0},
        {"table": "Audit", "ids": [["x"]] * 1001, "size": 0},
        {"table": "Audit", "ids": [["x"]], "size": "0"},
        {"table": "Audit", "ids": [["x", "y"]], "size": 0},
        {"table": "Audit", "ids": [[1]], "size": 0},
        {"table": "Audit", "ids": ["x"], "size": -1},
        "Audit",
    ],
)
def test_what_cannot_be_adopted_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidInputError, match="adopt needs"):
        handle(Ledger(World()), {"adopt": asked})


def test_a_store_that_fails_is_raised_and_a_ledger_that_cannot_be_is_told() -> None:
    world = World()
    world.log_row("a")
    world.faults.fail_at, world.faults.error = 0, unanswered()
    ledger = Ledger(world)
    with pytest.raises(StoreUnavailableError):
        handle(ledger)
    assert handle(ledger)[0]["sealed"] == 1
    [partial] = [key for key in world.bucket.objects() if key.startswith("tile/0/")]
    world.bucket.store(partial, b"\0" * len(world.bucket.body(partial) or b""))
    with pytest.raises(StoreRefusedError, match="the ledger is not what it was"):
        handle(Ledger(world))


def test_another_sealer_that_was_first_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    world.log_row("a")
    ledger = Ledger(world)
    put = world.bucket.put_new

    def late(*args: Any, **named: Any) -> bool:
        world.bucket.put_new = put  # type: ignore[method-assign]
        world.log_row("b")
        world.run()
        return put(*args, **named)

    world.bucket.put_new = late  # type: ignore[method-assign]
    answer, fields = handle(ledger)
    # The other one may have begun before the last change: who asks until nothing is left asks again.
    assert (answer["sealed"], answer["behind"], fields["behind"]) == (0, True, True)
    assert "another sealer was first" in capsys.readouterr().out
    assert [name for _, name in world.said()] == ["a", "b"]
    assert world.bucket.body(CHECKPOINT)
