"""A table's rules beside its trail, on the real engine: what was recorded before a rule hid it."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import trails
from tests.conftest import RunningEngine
from tests.watch.test_applying import create
from weaudit.capture.configuration import ALWAYS, watch_item, watch_key
from weaudit.capture.rules import Rules
from weaudit.errors import InvalidInputError
from weaudit.installation import stacks
from weaudit.installation.outputs import Installation
from weaudit.installation.stages import Stage
from weaudit.items.times import iso_time
from weaudit.watch.reviewing import Older, Review
from weaudit.watch.trying import Affected
from weaudit.watch.wishes import Wish

pytestmark = pytest.mark.engine
TABLE = "reviewed"
DAY_MS = 24 * 3600 * 1000
BEGAN_MS = 1_735_689_600_000  # 2025-01-01
HOME: dict[str, Any] = {"M": {"street": {"S": "x"}, "city": {"S": "Bern"}}}
ITEM: dict[str, Any] = {"card": {"S": "4111"}, "home": HOME, "at": {"N": "0"}, "status": {"S": "placed"}}


def day(number: int) -> str:
    return iso_time(BEGAN_MS + number * DAY_MS)


def rules(since: str, **places: Any) -> Rules:
    return trails.rules_of(since=since, actor="by", **places)


@pytest.fixture
def review(engine: RunningEngine) -> Iterator[Callable[..., Review]]:
    """Return what writes rules and reviews them; table, rules and trail go after the test."""
    client = engine.client("dynamodb")
    create(client, TABLE, (("key", "S"),))
    found = stacks.describe(engine.target, Stage().stack)
    assert found is not None
    installation = Installation(engine.target, found.outputs)

    def of(*versions: Rules, table: str = TABLE) -> Review:
        client.put_item(TableName="Configuration", Item=watch_item(table, versions))
        return Review.of(installation, table)

    yield of
    client.delete_table(TableName=TABLE)
    client.delete_item(TableName="Configuration", Key=watch_key(TABLE))
    pages = client.get_paginator("scan").paginate(TableName="Audit", ProjectionExpression="id, tableName")
    for record in [record for page in pages for record in page["Items"] if record["tableName"]["S"] == TABLE]:
        client.delete_item(TableName="Audit", Key={"id": record["id"]})


def write(engine: RunningEngine, begin: int, images: list[dict[str, Any] | None], **places: Any) -> None:
    """Write a change a day, recorded under rules."""
    made = trails.changed("é", images, at_ms=BEGAN_MS + begin * DAY_MS, every_ms=DAY_MS, first=begin, table=TABLE)
    trails.write(engine.client("dynamodb"), made, **places)


def test_what_is_older_than_a_rule_is_found_by_the_time_at_which_it_was_hidden_first(
    engine: RunningEngine, review: Callable[..., Review]
) -> None:
    touch = [{**ITEM, "at": {"N": str(number)}} for number in range(12)]
    other = [{**one, "card": {"S": "5500"}} for one in touch]
    write(engine, 0, [None, touch[0], touch[1], other[2]])  # days 0 to 2
    write(engine, 3, [other[2], {**touch[3], "home": {"S": "x"}}], redact=["card"])  # day 3
    versions = (
        Rules(ALWAYS, "by"), rules(day(3), redact=["card"]), rules(day(5), redact=["card"], exclude=["home.street"]),
        rules(day(6), hash=["card"], exclude=["home.street"], ignore=["at"]),
    )  # fmt: skip
    assert review(*versions).older(100) == [
        # Day 0 created the item with it, and day 2 changed it; day 3 did not show it any more.
        Older("card", "hash", day(3), 3, 2, day(2)),
        # What is no map is hidden whole, so it is looked for as well.
        Older("home.street", "exclude", day(5), 4, 2, day(3)),
    ]
    assert review(*versions).older(2) == [
        Older("card", "hash", day(3), 2, 1, day(2)),
        Older("home.street", "exclude", day(5), 2, 1, day(3)),
    ]
    # A gap in the rule: what was recorded in it is older than the rule.
    gap = (*versions[:2], rules(day(4)), rules(day(6), redact=["card"]))
    assert review(*gap).older(100) == [Older("card", "redact", day(6), 4, 2, day(2))]
    # Of rules that are in force always, nothing is older; and ignoring hides nothing.
    assert review(rules(ALWAYS, redact=["card"])).older(100) == []
    assert review(Rules(ALWAYS), rules(day(3), ignore=["at"])).older(100) == []
    assert review(Rules(ALWAYS), rules(day(0), exclude=["card"])).older(100) == [
        Older("card", "exclude", day(0), 0, 0, "")
    ]


def test_an_only_rule_names_each_attribute_that_older_records_have(
    engine: RunningEngine, review: Callable[..., Review]
) -> None:
    write(engine, 0, [None, ITEM, {**ITEM, "at": {"N": "1"}}])

    def older(*only: list[str]) -> set[tuple[str, str, str, int, str]]:
        later = [rules(day(4 + 2 * number), only=[*names, "by"]) for number, names in enumerate(only)]
        found = review(Rules(ALWAYS), *later).older(100)
        return {(one.place, one.rule, one.since, one.changes, one.latest) for one in found}

    hidden = {("card", "only", day(4), 1, day(0)), ("home", "only", day(4), 1, day(0))}
    # A rule that leaves out less than the one before it was preceded by it; the key needs no naming.
    assert older(["status"], ["status", "at"]) == hidden
    assert older(["status"], ["status"]) == {*hidden, ("at", "only", day(4), 2, day(1))}
    assert older(["status", "at"], ["status"]) == {
        ("at", "only", day(6), 2, day(1)), ("card", "only", day(6), 1, day(0)), ("home", "only", day(6), 1, day(0)),
    }  # fmt: skip


def test_what_is_to_be_hidden_soon_is_looked_for_already(engine: RunningEngine, review: Callable[..., Review]) -> None:
    write(engine, 0, [None, ITEM])
    # Not even a version of a far time makes it look through all the months until then.
    found = review(Rules(ALWAYS), rules("9999-01-01T00:00:00.000Z", redact=["card"]))
    assert found.older(100) == [Older("card", "redact", "9999-01-01T00:00:00.000Z", 1, 1, day(0))]
    assert found.ruling.in_force == Rules(ALWAYS)


def test_rules_are_tried_on_the_latest_changes(engine: RunningEngine, review: Callable[..., Review]) -> None:
    touch = [{**ITEM, "at": {"N": str(number)}} for number in range(4)]
    write(engine, 0, [None, *touch, {**touch[3], "card": {"S": "5500"}}])
    found = review(Rules(ALWAYS, "by"))
    wished = found.wished(Wish.of(ignore=["at"], exclude=["card"]))
    made = found.tried(wished, 100)
    assert (made.changes, made.silent, made.records, made.records_then) == (5, 4, 5, 1)
    assert made.places == (Affected("at", "ignore", 4), Affected("card", "exclude", 2))
    assert (made.first, made.last) == (day(0), day(4))
    assert found.tried(wished, 3).changes == 3
    # The latest rules, of which only keeps the key: with nothing wished for.
    latest = review(Rules(ALWAYS, "by"), rules("9999-01-01T00:00:00.000Z", only=["by"]))
    places = latest.tried(latest.wished(Wish()), 1).places
    assert places == (Affected("card", "only", 1),)
    assert "key" not in {one.place for one in latest.tried(latest.wished(Wish()), 100).places}
    with pytest.raises(InvalidInputError, match="part of the key"):
        found.wished(Wish.of(exclude=["key"]))


def test_the_items_that_hold_rules_are_recorded_whole_whatever_is_tried(
    engine: RunningEngine, review: Callable[..., Review], eventually: Callable[..., Any]
) -> None:
    found = review(Rules(ALWAYS, "by"))
    configuration = Review.of(found.installation, "Configuration")

    def latest() -> Any:
        return next(iter(configuration.trail.table("Configuration", newest_first=True)), None)

    eventually(lambda: (change := latest()) is not None and change.item_key == f"WATCH/{TABLE}")
    made = configuration.tried(trails.rules_of(exclude=["versions"]), 1)
    assert (made.silent, made.places) == (0, ())


def test_rules_outlive_their_table_and_no_table_has_none(review: Callable[..., Review]) -> None:
    gone = functools.partial(review, table="reviewed_gone")
    known = rules(ALWAYS, exclude=["card"])
    try:
        found = gone(known)
        assert (found.key, found.ruling.versions) == ((), (known,))
    finally:
        found.installation.target.client("dynamodb").delete_item(
            TableName="Configuration", Key=watch_key("reviewed_gone")
        )
    for name in ("reviewed_gone", ""):
        with pytest.raises(InvalidInputError, match=r"no table(.|\n)*weaudit watched"):
            Review.of(found.installation, name)
