"""Nothing is lost or doubled behind a store that throttles, resets and swallows replies."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import client, verified
from tests.e2e.fault_proxies import FaultProxy, point_function_at, rules
from tests.e2e.writers import Writers, audited
from weaudit.local import engine

pytestmark = pytest.mark.engine
CHANGES = 2_000


@pytest.fixture
def proxy(state_dir: Path) -> Iterator[FaultProxy]:
    """A stack of this test's own whose function reaches its stores through the proxy."""
    faults = FaultProxy(engine.find(state_dir=state_dir).endpoint)
    try:
        faults.ask("rules", rules("BatchWriteItem"))
        point_function_at("audit_producer", "learn", faults.endpoint)
        yield faults
    finally:
        faults.stop()


def test_every_change_is_recorded_exactly_once_behind_a_store_that_fails(proxy: FaultProxy) -> None:
    writers = Writers(client("dynamodb"), {"Configuration": "key"}, items=200)
    writers.write(CHANGES)
    deadline = time.monotonic() + 180
    while (found := audited(writers.client)) != writers.written and time.monotonic() < deadline:
        time.sleep(0.5)
    assert found == writers.written
    fired = proxy.ask("fired")
    # Each kind of fault did happen: what held, held under all of them.
    assert {str(one["rule_id"]) for one in fired} == {"1", "2", "3"}
    assert len(fired) > 10
    assert verified()["whole"]
