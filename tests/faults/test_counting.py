"""What counts faults finds each kind of loss itself, and one whole round of them runs."""

import errno
import os
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.e2e.commands import client, eventually
from tests.e2e.pictures import drawn
from tests.faults import reports, soak, store_faults
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
    assert f'"good": {str(good).lower()}' in reports.document([line])


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
        # And a loss would have been seen.
        kept = client("dynamodb").scan(TableName="Audit")["Items"]
        record = next(one for one in kept if one["itemKey"]["S"].endswith("item-1"))
        client("dynamodb").delete_item(TableName="Audit", Key={"id": record["id"]})
        eventually(lambda: rounds[0].count().lost == 1)
