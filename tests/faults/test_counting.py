"""What counts faults finds each kind of loss itself, and one whole round of them runs."""

import errno
import http.client
import os
import shlex
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

import tests.faults.__main__ as faults
from tests.aws.scripted_server import dynamodb, serving
from tests.e2e.commands import client, eventually
from tests.e2e.fault_proxies import FaultProxy
from tests.e2e.pictures import drawn
from tests.e2e.seeded_microburst import Draws
from tests.faults import reports, sealing, soak, store_faults
from tests.faults.work import Expected, Round, compared, differences
from tests.faults.world import World
from weaudit.cli import main
from weaudit.local import restarting


def test_what_is_missing_and_what_is_there_twice_is_counted() -> None:
    expected: Expected = {"Audit": Counter({("a", 1): 1, ("a", 2): 1}), "log": Counter({"x": 2})}
    found: Expected = {"Audit": Counter({("a", 1): 2}), "log": Counter({"x": 2}), "Images": Counter({"stray": 1})}
    assert compared(expected, found) == reports.Count(checked=4, lost=1, doubled=2)
    assert [told.partition(":")[0] for told in differences(expected, found)] == [
        "lost in Audit", "doubled in Audit", "doubled in Images",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("injected", "count", "whole", "problems", "good"),
    [
        (1, reports.Count(1), True, (), True),
        (0, reports.Count(1), True, (), False),
        (1, reports.Count(0), True, (), False),
        (1, reports.Count(1, lost=1), True, (), False),
        (1, reports.Count(1, doubled=1), True, (), False),
        (1, reports.Count(1), False, (), False),
        (1, reports.Count(1), True, ("a traceback",), False),
    ],
)
def test_a_line_is_good_where_the_fault_happened_and_nothing_is_wrong(
    injected: int, count: reports.Count, whole: bool, problems: tuple[str, ...], good: bool
) -> None:
    line = reports.Line("reset", injected, count, whole, 1.0, problems)
    assert line.good == good
    assert ("1 bad" in reports.table([line])) != good
    assert f'"good": {str(good).lower()}' in reports.document([line], 5)


@pytest.mark.parametrize("kinds", [[], ["clock off (the client alone)", "each write done, unanswered"]])
@pytest.mark.parametrize("count", [24, 6])
def test_the_command_that_repeats_a_run_asks_for_the_same(kinds: list[str], count: int) -> None:
    words = shlex.split(shlex.split(faults.command(1234, count, kinds))[-1].removeprefix("ARGS="))
    options = faults.parser().parse_args(words)
    assert (options.seed, options.count, options.kinds) == (1234, count, kinds)


def drawn_by(seed: str, operations: list[str], rules: list[dict[str, Any]]) -> list[bool]:
    """Return which of these requests, one after another, a rule fails whose probability is a half."""
    draws = Draws(seed)
    draws.begin(rules)
    return [draws.draw("dynamodb", operation) < 0.5 for operation in operations]


def test_a_seed_says_which_request_of_an_operation_fails_whatever_comes_in_between() -> None:
    rules = [{"service": "dynamodb", "probability": 0.5, "reset": True}]
    one = drawn_by("7", ["PutItem"] * 24, rules)
    assert set(one) == {True, False}
    assert drawn_by("7", ["PutItem", "Query"] * 24, rules)[::2] == one
    assert drawn_by("8", ["PutItem"] * 24, rules) != one
    assert drawn_by("7", ["PutItem"] * 24, [*rules, *rules]) != one
    found = []
    with serving(dynamodb({})) as server, FaultProxy(server.url, 7) as proxy:
        proxy.ask("rules", rules)
        for _ in one:
            connection = http.client.HTTPConnection(urlsplit(proxy.endpoint).netloc, timeout=120)
            connection.request("POST", "/", b"{}", {"X-Amz-Target": "DynamoDB_20120810.PutItem"})
            try:
                found.append(connection.getresponse().status != 200)
            except ConnectionError:
                found.append(True)
            connection.close()
    assert found == one


def test_memory_that_grows_is_told_from_memory_that_does_not() -> None:
    # By minutes and MB; caches fill in the first quarter.
    flat = [(number / 10, 20.0 + min(number, 5) * 4) for number in range(30)]
    leak = [(number / 10, 20.0 + number) for number in range(30)]
    step = [(number / 10, 20.0 + 10 * (number > 17)) for number in range(30)]
    assert soak.growth([step]) == pytest.approx(0.0)
    assert soak.growth([flat]) == pytest.approx(0.0)
    assert soak.growth([leak]) == pytest.approx(10.0)
    assert soak.growth([leak[:2]]) is None
    assert soak.growth([]) is None


def test_a_state_that_was_not_written_is_named(tmp_path: Path) -> None:
    assert restarting.unsaved(tmp_path, 0) == ["dynamodb", "cloudformation"]
    for name in ("dynamodb", "cloudformation"):
        (tmp_path / f"{name}.json").write_text("{}")
    written = (tmp_path / "dynamodb.json").stat().st_mtime
    assert restarting.unsaved(tmp_path, written) == []
    assert restarting.unsaved(tmp_path, written + 2) == ["dynamodb", "cloudformation"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS])
def test_a_command_that_finds_no_room_to_write_says_so(number: int) -> None:
    @main.app.command(name="fill", hidden=True)
    def fill() -> None:
        raise OSError(number, os.strerror(number), "state/engine.json")

    try:
        result = CliRunner().invoke(main.app, ["fill"])
    finally:
        main.app.registered_commands.pop()
    assert result.exit_code == 1
    assert f"cannot write to state/engine.json: {os.strerror(number)}" in " ".join(result.stderr.split())


@pytest.mark.engine
def test_every_function_works_behind_stores_that_do_a_write_and_do_not_answer(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        rounds: list[Round] = []
        line = store_faults.run(world, "each write done, unanswered", drawn(["png"]), rounds, 6)
        assert line.good, line
        # The commit, and what comes after it: some of what `make faults` does to the sealer.
        line = sealing.stopped(world, rounds, [("done, unanswered", 1), ("refused", 0)])
        assert line.good, line
        line = sealing.killed(world, rounds, [("done, unanswered", 4)])
        assert line.good, line
        # And a loss would have been seen.
        kept = client("dynamodb").scan(TableName="Audit")["Items"]
        record = next(one for one in kept if one["itemKey"]["S"].endswith("item-1"))
        client("dynamodb").delete_item(TableName="Audit", Key={"id": record["id"]})
        eventually(lambda: rounds[0].count().lost == 1)
