"""The trail as it is read: held to moto and to the embedded engine."""

import functools
import itertools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.aws.moto_relay import moto_environment
from tests.strategies import change
from tests.trails import by_id, changed, make_audit_table, one_by_one, read_by_id, unwire, write
from weaudit.capture.changes import Change
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import read_trail
from weaudit.installation.readers import open_trail
from weaudit.installation.targets import Target, wire
from weaudit.items.times import iso_time
from weaudit.trail.changes import AuditedChange
from weaudit.trail.reader import AuditHistory

START_MS = 1_711_922_395_000  # 2024-03-31T21:59:55Z: five seconds before UTC's 22:00
MONTH_END_MS = 1_711_929_595_000  # 2024-03-31T23:59:55Z
NULL = {"NULL": True}
numbers = itertools.count(1)


def no_object(bucket: str, key: str) -> None:
    """No value of these trails was too large for its record."""
    raise AssertionError(f"nothing is in {bucket}/{key}")


class Trail:
    """An Audit table of its own, and what was asked of it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.name = f"Audit-{next(numbers)}"
        self.requests: list[dict[str, Any]] = []
        self.read = 0
        make_audit_table(client, self.name)
        self.history = AuditHistory(
            self.query, one_by_one(self.query), read_by_id(client, self.name), self.name, no_object
        )

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = wire(self.client.query(**unwire(request)))
        self.requests.append(request)
        self.read += len(answer["Items"])
        return answer

    def write(self, *changes: Change) -> None:
        write(self.client, changes, self.name)


@pytest.fixture(params=["moto", pytest.param("engine", marks=pytest.mark.engine)])
def trail(request: pytest.FixtureRequest) -> Iterator[Trail]:
    if request.param == "engine":
        yield Trail(request.getfixturevalue("engine").client("dynamodb"))
        return
    with mock_aws():
        yield Trail(boto3.client("dynamodb", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="s"))


def values(found: Iterator[AuditedChange]) -> list[str]:
    """Return what the attribute v became in each change."""
    told = []
    for one in found:
        (part,) = one.attributes
        value = part.new if part.name == "v" else ((part.new or {}).get("M") or {}).get("v")
        told.append(value["N"] if value else one.event_name)
    return told


def counting(key: str, count: int, **fields: Any) -> Iterator[Change]:
    return changed(key, [None, *({"v": {"N": str(number)}} for number in range(count))], **fields)


def test_an_items_changes_come_in_order_and_nobody_elses(trail: Trail) -> None:
    trail.write(
        *counting("k", 5, at_ms=START_MS),
        *counting("other", 2, at_ms=START_MS, first=50),
        *counting("k", 2, at_ms=START_MS, first=90, table="Orders"),
    )
    assert values(trail.history.item("Configuration", "k")) == ["0", "1", "2", "3", "4"]
    assert values(trail.history.item("Configuration", "k", newest_first=True)) == ["4", "3", "2", "1", "0"]
    assert values(trail.history.item("Orders", "k")) == ["0", "1"]
    assert values(trail.history.item("Nowhere", "k")) == []


def test_a_stream_turned_on_again_comes_after_the_one_before_though_its_numbers_begin_anew(trail: Trail) -> None:
    trail.write(
        *counting("k", 2, at_ms=START_MS, first=500, stream_label="2024-01-01T00:00:00.000"),
        *changed(
            "k", [{"v": {"N": "1"}}, {"v": {"N": "9"}}], at_ms=START_MS + 9000, stream_label="2024-03-01T00:00:00.000"
        ),
    )
    assert values(trail.history.item("Configuration", "k")) == ["0", "1", "9"]


def test_a_change_larger_than_a_page_comes_out_whole(trail: Trail) -> None:
    wide = {f"a{number:03}": {"N": str(number)} for number in range(250)}
    trail.write(*changed("k", [None, {}, wide, {}, None], at_ms=START_MS))
    for found in (list(trail.history.item("Configuration", "k")), list(trail.history.table("Configuration"))):
        assert [one.event_name for one in found] == ["INSERT", "MODIFY", "MODIFY", "REMOVE"]
        assert [part.name for part in found[1].attributes] == sorted(wide)
        assert {part.name: part.old for part in found[2].attributes} == wide
    assert len(trail.requests) > 2


def test_values_come_back_as_they_went_in(trail: Trail) -> None:
    image = {
        "n": {"N": "12345678901234567890123456789012345678"},
        "b": {"B": "AAEC/w=="},
        "sets": {"M": {"SS": {"SS": ["a"]}, "NS": {"NS": ["0.1"]}, "BS": {"BS": ["AA=="]}}},
        "rest": {"L": [NULL, {"BOOL": False}, {"S": ""}, {"M": {}}]},
    }
    trail.write(*changed("k", [None, image], at_ms=START_MS))
    (found,) = trail.history.item("Configuration", "k")
    assert found.attributes[0].new == {"M": {"key": {"S": "k"}, **image}}


def test_both_ends_of_a_range_belong_to_it(trail: Trail) -> None:
    trail.write(*counting("k", 10, at_ms=START_MS))
    since, until = iso_time(START_MS + 3000), iso_time(START_MS + 5000)
    reads: list[Callable[..., Iterator[AuditedChange]]] = [
        functools.partial(trail.history.item, "Configuration", "k"),
        functools.partial(trail.history.table, "Configuration"),
    ]
    for read in reads:
        assert values(read(since=since, until=until)) == ["3", "4", "5"]
        assert values(read(since=since, until=until, newest_first=True)) == ["5", "4", "3"]
        assert values(read(since=until)) == ["5", "6", "7", "8", "9"]
        assert values(read(until=since)) == ["0", "1", "2", "3"]
        assert values(read(until=since, newest_first=True)) == ["3", "2", "1", "0"]
        assert values(read(since=until, until=since)) == []


@pytest.mark.parametrize("newest_first", [False, True])
def test_reading_an_item_ends_soon_after_the_range(trail: Trail, newest_first: bool) -> None:
    hours = 3_600_000
    trail.write(*counting("k", 300, at_ms=START_MS, every_ms=hours))
    if newest_first:
        found = trail.history.item("Configuration", "k", since=iso_time(START_MS + 298 * hours), newest_first=True)
    else:
        found = trail.history.item("Configuration", "k", until=iso_time(START_MS + hours))
    assert len(list(found)) == 2
    assert len(trail.requests) == 1


def test_times_a_little_out_of_order_cost_no_change(trail: Trail) -> None:
    at = [START_MS, START_MS + 2000, START_MS + 1000]
    trail.write(
        *(
            one
            for number, at_ms in enumerate(at)
            for one in changed("k", [{"v": {"N": "-1"}}, {"v": {"N": str(number)}}], at_ms=at_ms, first=number)
        )
    )
    assert values(trail.history.item("Configuration", "k", until=iso_time(START_MS + 1000))) == ["0", "2"]
    assert values(trail.history.item("Configuration", "k", since=iso_time(START_MS + 1500), newest_first=True)) == ["1"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_tables_changes_are_merged_in_time_over_items_shards_and_months(trail: Trail, newest_first: bool) -> None:
    told = [
        one
        for number in range(40)
        for one in counting(f"item-{number}", 6, at_ms=MONTH_END_MS + number * 37, every_ms=1700, first=number * 10)
    ]
    trail.write(*told, *counting("item-0", 3, at_ms=MONTH_END_MS, first=9000, table="Config"))
    found = list(trail.history.table("Configuration", newest_first=newest_first))
    assert {one.at[:7] for one in found} == {"2024-03", "2024-04"}
    expected = sorted((iso_time(one.created_at_ms), one.sequence) for one in told)
    assert [(one.at, one.sequence) for one in found] == (expected[::-1] if newest_first else expected)
    assert {one.table for one in found} == {"Configuration"}


def test_who_wants_few_changes_does_not_read_them_all(trail: Trail) -> None:
    trail.write(
        *(one for number in range(16) for one in counting(f"i{number}", 130, at_ms=START_MS, first=number * 1000))
    )
    asked = trail.history.item("Configuration", "i1")
    assert len(list(itertools.islice(asked, 3))) == 3
    assert trail.read == 100
    asked = trail.history.table("Configuration", since=iso_time(START_MS))
    assert len(list(itertools.islice(asked, 3))) == 3
    # Of each of sixteen shards only the small first page is asked for.
    assert trail.read <= 100 + 16 * 100


@pytest.fixture
def environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    with moto_environment() as found:
        yield found


def target_of(environment: dict[str, str]) -> Target:
    return Target(
        environment["AWS_REGION"],
        environment["AWS_ENDPOINT_URL"],
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
    )


def commands_and_functions(environment: dict[str, str]) -> list[Any]:
    """The trail as commands read it, and as functions do."""
    return [open_trail(target_of(environment)), read_trail.connect(environment)["trail"]]


def test_commands_and_functions_read_the_same_with_many_pages_on_their_way(environment: dict[str, str]) -> None:
    client = boto3.client("dynamodb", environment["AWS_REGION"], endpoint_url=environment["AWS_ENDPOINT_URL"])
    make_audit_table(client)
    told = [
        one
        # Fifty of each in the first month; in the second three pages of an item's shard, two, two and none.
        for number, count in enumerate((620, 210, 160, 10))
        for one in counting(f"i{number}", count, at_ms=MONTH_END_MS, every_ms=100, first=number * 1000)
    ]
    write(client, told)
    # Every month until today would be asked for, which here would take a minute.
    within = (iso_time(START_MS), iso_time(MONTH_END_MS + 120_000))
    expected = sorted((iso_time(one.created_at_ms), one.sequence) for one in told)
    for history in commands_and_functions(environment):
        for newest_first in (False, True):
            found = history.table("Configuration", *within, newest_first=newest_first)
            assert [(one.at, one.sequence) for one in found] == (expected[::-1] if newest_first else expected)
        # Who stops early leaves nothing that would keep the next one from reading.
        assert next(history.table("Configuration", *within)).sequence == expected[0][1]


def test_reading_leaves_no_thread_behind(environment: dict[str, str]) -> None:
    client = boto3.client("dynamodb", environment["AWS_REGION"], endpoint_url=environment["AWS_ENDPOINT_URL"])
    make_audit_table(client)
    write(client, counting("k", 3, at_ms=START_MS))
    within = (iso_time(START_MS), iso_time(MONTH_END_MS))
    for history in commands_and_functions(environment):
        next(history.table("Configuration", *within))
        assert len(list(history.table("Configuration", *within))) == 3
    del history
    for thread in threading.enumerate():
        if thread.name.startswith("weaudit-history"):
            thread.join(timeout=30)
            assert not thread.is_alive()


def test_an_error_of_the_store_reaches_the_reader() -> None:
    def failing(request: dict[str, Any]) -> dict[str, Any]:
        raise StoreUnavailableError("throttled")

    history = AuditHistory(failing, one_by_one(failing), by_id([]), "Audit", no_object)
    reads: list[Callable[[], Iterator[AuditedChange]]] = [
        lambda: history.item("Configuration", "k"),
        lambda: history.table("Configuration"),
    ]
    for read in reads:
        with pytest.raises(StoreUnavailableError):
            next(read())


def test_a_missing_audit_table_is_said_and_what_to_do(environment: dict[str, str]) -> None:
    history = open_trail(target_of(environment), "Audit")
    for found in (history.item("Configuration", "k"), history.table("Configuration")):
        with pytest.raises(StoreRefusedError, match=r"there is no audit table Audit on http.*\n.*weaudit up"):
            next(found)


def test_an_item_key_of_any_length_is_found(trail: Trail) -> None:
    long = "ü" * 1000
    trail.write(*counting(long, 1, at_ms=START_MS), change(None, {"key": {"S": long + "x"}}, keys={"key": {"S": "x"}}))
    assert values(trail.history.item("Configuration", long)) == ["0"]
