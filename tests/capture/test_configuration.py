"""Which attribute names a table's writers: read once a while, and never in the way of the trail."""

from typing import Any

import pytest

from weaudit.capture.configuration import WatchConfiguration, actor_of, watch_item
from weaudit.errors import StoreUnavailableError


class Store:
    """GetItem over the items given, with a clock of its own; ``down`` makes it fail."""

    def __init__(self, **actors: str) -> None:
        self.items = {f"WATCH/{table}": watch_item(table, actor) for table, actor in actors.items()}
        self.reads: list[str] = []
        self.down = False
        self.now = 1000.0

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


def test_a_table_has_its_own_attribute_or_the_default() -> None:
    store = Store(orders="by", silent="")
    watches = store.watches()
    assert [watches.actor_attribute(table) for table in ("orders", "silent", "plain")] == ["by", "", "updatedBy"]


def test_configuration_itself_is_never_read_for_itself() -> None:
    store = Store(Configuration="by")
    assert store.watches().actor_attribute("Configuration") == "updatedBy"
    assert store.reads == []
    nothing = WatchConfiguration(store, "", default="x")  # type: ignore[arg-type]  # as above
    assert nothing.actor_attribute("orders") == "x"
    assert store.reads == []


def test_what_was_read_serves_until_its_time_is_over() -> None:
    store = Store(orders="by")
    watches = store.watches(ttl_s=60)
    assert watches.actor_attribute("orders") == "by"
    store.items["WATCH/orders"] = watch_item("orders", "who")
    store.now += 59.9
    assert watches.actor_attribute("orders") == "by"
    store.now += 0.2
    assert watches.actor_attribute("orders") == "who"
    del store.items["WATCH/orders"]
    store.now += 61
    assert watches.actor_attribute("orders") == "updatedBy"
    assert len(store.reads) == 3


def test_a_failed_read_keeps_what_was_known_and_is_not_repeated_for_every_record() -> None:
    store = Store(orders="by")
    watches = store.watches()
    watches.actor_attribute("orders")
    store.down = True
    store.now += 61
    assert [watches.actor_attribute("orders") for _ in range(100)] == ["by"] * 100
    assert len(store.reads) == 2
    store.down = False
    store.items["WATCH/orders"] = watch_item("orders", "who")
    store.now += 61
    assert watches.actor_attribute("orders") == "who"


def test_a_first_read_that_fails_is_raised_each_time() -> None:
    store = Store(orders="by")
    store.down = True
    watches = store.watches()
    for _ in range(2):
        with pytest.raises(StoreUnavailableError):
            watches.actor_attribute("orders")
    store.down = False
    assert watches.actor_attribute("orders") == "by"


@pytest.mark.parametrize("item", [None, {}, {"actor": {"N": "1"}}, {"actor": {"NULL": True}}])
def test_an_item_without_a_text_states_nothing(item: Any) -> None:
    assert actor_of(item) is None
