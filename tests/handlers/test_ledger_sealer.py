"""ledger_sealer says what it did, whatever stopped it; what it seals is in tests/sealing."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from tests.sealing.worlds import SOURCES, World
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.handlers import ledger_sealer
from weaudit.runtime.event import Invocation
from weaudit.sealing.sealer import Sealer, Summary, SupersededError

INVOCATION = Invocation("weaudit-ledger-sealer", "r-1", lambda: 300_000)


def handled(world: World, event: Any = None, sealer: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    ledger: Any = SimpleNamespace(
        sealer=lambda: (sealer or world.sealer(), world.outcomes()), sources=SOURCES, dynamodb=None
    )
    return ledger_sealer.handle(event, INVOCATION, ledger=ledger)


def test_it_says_what_was_sealed_and_how_large_the_log_is() -> None:
    world = World()
    world.log_row("a")
    answer, fields = handled(world)
    assert answer == {"sealed": 1, "size": 2, "behind": False, "findings": 0}
    assert fields == {"sealed": 1, "size": 2, "behind": False}


def test_one_that_another_sealer_overtook_does_not_say_that_everything_is_sealed() -> None:
    """`weaudit down` and others call it until nothing is left: the other one may have begun before the last change."""

    class Overtaken(Sealer):
        def run(self, may_go_on: Callable[[], bool]) -> Summary:
            raise SupersededError

    answer, fields = handled(World(), sealer=Overtaken.__new__(Overtaken))
    assert answer["behind"] is True
    assert fields["behind"] is True


def test_a_log_that_cannot_be_is_an_error_that_comes_again() -> None:
    world = World()
    world.log_row("a")
    world.run()
    [tile] = [key for key in world.bucket.objects() if key.startswith("tile/0/")]
    world.bucket.store(tile, bytes(64))
    world.log_row("b")
    with pytest.raises(StoreRefusedError, match="the ledger is not what it was"):
        handled(world)


@pytest.mark.parametrize(
    "adopt",
    [
        {"table": "Orders", "ids": [["a"]], "size": 0},
        {"table": "Audit", "ids": "a", "size": 0},
        {"table": "Audit", "ids": [["a"]]},
        {"table": "Audit", "ids": [["a"]] * 1001, "size": 0},
    ],
)
def test_adopting_needs_rows_of_the_trail_and_the_size_that_was_read(adopt: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        handled(World(), {"adopt": adopt})
