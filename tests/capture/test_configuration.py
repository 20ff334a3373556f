"""Which rules govern a change: those that were in force when it was made, however late it is delivered."""

from typing import Any

import pytest

from tests.strategies import change
from tests.trails import decision
from weaudit.capture.configuration import (
    ALWAYS,
    WatchConfiguration,
    faults_of,
    in_force,
    in_force_from,
    versions_of,
    watch_item,
)
from weaudit.capture.rules import Rules
from weaudit.errors import StoreUnavailableError
from weaudit.items.times import iso_time

START_S = 1_700_000_000.0


def at(seconds: float) -> str:
    """Return the time so many seconds after the start."""
    return iso_time(round(1000 * (START_S + seconds)))


class Store:
    """GetItem over the items given, with a clock of its own; ``down`` makes it fail."""

    def __init__(self, **actors: str) -> None:
        self.items = {f"WATCH/{table}": watch_item(table, [Rules(ALWAYS, actor)]) for table, actor in actors.items()}
        self.reads: list[str] = []
        self.down = False
        self.now = START_S

    def call(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert (operation, body["TableName"], body["ConsistentRead"]) == ("GetItem", "Configuration", True)
        key = body["Key"]["key"]["S"]
        self.reads.append(key)
        if self.down:
            raise StoreUnavailableError("throttled")
        return {"Item": self.items[key]} if key in self.items else {}

    def watches(self, ttl_s: float = 60) -> WatchConfiguration:
        return WatchConfiguration(
            self,  # type: ignore[arg-type]  # the part of the client that is used
            "Configuration",
            default="updatedBy",
            ttl_s=ttl_s,
            clock=lambda: self.now,
        )

    def actor(self, watches: WatchConfiguration, table: str = "orders", seconds: float | None = None) -> str:
        """Return the actor attribute for a change that was made now, or at this time."""
        made_at = iso_time(round(1000 * self.now)) if seconds is None else at(seconds)
        return watches.rules(table, made_at, {"key": {"S": "k"}}).actor


def test_a_table_has_its_own_attribute_or_the_default() -> None:
    store = Store(orders="by", silent="")
    watches = store.watches()
    assert [store.actor(watches, table) for table in ("orders", "silent", "plain")] == ["by", "", "updatedBy"]


def test_without_a_configuration_table_every_table_has_the_default() -> None:
    store = Store(Configuration="by")
    nothing = WatchConfiguration(store, "", default="x")  # type: ignore[arg-type]  # as above
    assert nothing.rules("orders", at(0), {}).actor == "x"
    assert store.reads == []


def test_each_change_is_governed_by_the_version_of_its_own_time() -> None:
    store = Store()
    versions = [Rules(at(20), "second", "updatedAt"), Rules(ALWAYS, "first"), Rules(at(40), "third")]
    store.items["WATCH/orders"] = watch_item("orders", versions)
    watches = store.watches()
    store.now += 100
    found = [watches.rules("orders", at(seconds), {}) for seconds in (-1000, 19.999, 20, 39.999, 40, 90)]
    assert [rules.actor for rules in found] == ["first", "first", "second", "second", "third", "third"]
    assert found[2].fresh == "updatedAt"
    assert len(store.reads) == 1


def test_a_new_version_is_in_force_only_when_every_function_has_read_it() -> None:
    store = Store(orders="by")
    early, late = store.watches(), store.watches()
    store.actor(early)
    since = in_force_from(round(1000 * (store.now + 1)), 60)
    assert since == at(181)
    store.items["WATCH/orders"] = watch_item("orders", [Rules(ALWAYS, "by"), Rules(since, "who")])
    # One function read the rules before they changed, and another after: they agree about every change.
    for seconds in (59, 61, 119, 180.999, 181, 200):
        store.now = START_S + seconds
        made = [store.actor(watches, seconds=seconds) for watches in (early, late, store.watches())]
        assert made == ["by" if seconds < 181 else "who"] * 3


def test_a_change_that_is_delivered_again_after_its_rules_changed_has_the_same_records() -> None:
    store = Store(orders="by")
    one = change(None, {"key": {"S": "k"}, "by": {"S": "ana"}, "who": {"S": "bo"}})
    made = store.watches().rules("orders", at(0), {})
    store.items["WATCH/orders"] = watch_item("orders", [Rules(ALWAYS, "by"), Rules(at(10), "who")])
    store.now += 86_400
    again = store.watches().rules("orders", at(0), {})
    assert decision(one, actor=again.actor) == decision(one, actor=made.actor)


def test_what_was_read_serves_until_its_time_is_over() -> None:
    store = Store(orders="by")
    watches = store.watches(ttl_s=60)
    for seconds in (0, 30, 59.9):
        store.now = START_S + seconds
        store.actor(watches)
    assert len(store.reads) == 1
    store.now = START_S + 60.1
    store.actor(watches)
    assert len(store.reads) == 2


def test_through_an_outage_what_was_read_serves_as_long_as_no_later_version_can_govern_the_change() -> None:
    store = Store(orders="by")
    watches = store.watches()
    store.actor(watches)
    store.down = True
    store.now += 61
    assert [store.actor(watches) for _ in range(100)] == ["by"] * 100
    assert len(store.reads) == 2
    store.now = START_S + 5000
    assert store.actor(watches, seconds=119) == "by"
    with pytest.raises(StoreUnavailableError):
        store.actor(watches, seconds=121)
    store.down = False
    store.items["WATCH/orders"] = watch_item("orders", [Rules(ALWAYS, "by"), Rules(at(200), "who")])
    assert store.actor(watches, seconds=121) == "by"
    assert store.actor(watches, seconds=201) == "who"


def test_a_first_read_that_fails_is_raised_each_time() -> None:
    store = Store(orders="by")
    store.down = True
    watches = store.watches()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            store.actor(watches)
    store.down = False
    assert store.actor(watches) == "by"


@pytest.mark.parametrize(
    "version",
    [
        {"S": "by"},
        {"M": {"actor": {"S": "by"}}},
        {"M": {"from": {"S": "soon"}, "actor": {"S": "by"}}},
        {"M": {"from": {"N": "1"}, "actor": {"S": "by"}}},
    ],
)
def test_a_version_that_cannot_be_read_is_left_out_and_the_one_before_stays(version: Any) -> None:
    item = watch_item("orders", [Rules(ALWAYS, "first")])
    assert not faults_of(item)
    item["versions"]["L"].append(version)
    assert versions_of(item) == (Rules(ALWAYS, "first"),)
    assert faults_of(item)


@pytest.mark.parametrize("item", [{}, {"versions": {"S": "x"}}, {"actor": {"S": "by"}}])
def test_an_item_without_versions_states_nothing(item: Any) -> None:
    assert versions_of(item) == versions_of(None) == ()
    assert faults_of(item)


@pytest.mark.parametrize(
    "text", ["2023-11-14T22:13:20Z", "2023-11-15T00:13:20.000+02:00", "2023-11-14T22:13:20.000000Z"]
)
def test_a_version_that_someone_wrote_by_hand_is_in_force_from_its_time_however_that_is_spelled(text: str) -> None:
    item = watch_item("orders", [Rules(ALWAYS, "first"), Rules(text, "second")])
    versions = versions_of(item)
    assert [in_force(versions, at(seconds), Rules()).actor for seconds in (-0.001, 0, 0.001)] == [
        "first",
        "second",
        "second",
    ]
