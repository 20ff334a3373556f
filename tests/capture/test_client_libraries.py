"""What six client libraries write (tests/cases/client_libraries) as audit records, and how it reads.

Their bookkeeping makes records of its own: here is how many, for one order.
"""

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from rich.console import Console

from tests.case_files import CASES
from tests.fakes import FixedRules, PolicingDynamoDB, PolicingS3, producer_stores
from weaudit.cli.printing.rendering import Rendering
from weaudit.handlers import audit_producer
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.history import changes

OF_THE_ORDER = {"id", "orderId", "customer", "status", "total", "shipTo", "ship_to"}


@dataclass(frozen=True)
class Library:
    """A library's bookkeeping attributes; the records of its order without rules, and those about bookkeeping."""

    bookkeeping: tuple[str, ...]
    records: int
    about_bookkeeping: int


LIBRARIES = {
    "boto3": Library(("ttl", "updatedAt", "version"), 13, 9),
    "dynamodb-toolbox": Library(("_ct", "_et", "_md"), 7, 3),
    "dynamoose": Library(("createdAt", "updatedAt"), 7, 3),
    "electrodb": Library(("__edb_e__", "__edb_v__", "createdAt", "gsi1pk", "gsi1sk", "updatedAt"), 8, 4),
    "lib-dynamodb": Library(("ttl", "updatedAt", "version"), 13, 9),
    "pynamodb": Library(("expires", "version"), 7, 3),
}
ELECTRODB = """\
When (UTC)           Who             What                  Old → new
2026-11-29 12:29:47  unknown         created               {orderId: "o-1001", customer: "ada", status: "placed", total:
                                                           49.9, shipTo: {street: "Hauptstrasse 1", city: "Bern"},
                                                           createdAt: 1795955387081, updatedAt: 1795955387081, pk:
                                                           "$shop#orderid_o-1001", sk: "$order_1", gsi1pk:
                                                           "$shop#customer_ad… (328 characters)
2026-11-29 12:29:48  unknown         gsi1sk                "$order_1#status_placed#orderid_o-1001" →
                                                           "$order_1#status_paid#orderid_o-1001"
                                     status                "placed" → "paid"
                                     updatedAt             1795955387081 → 1795955388218
2026-11-29 12:29:49  unknown         updatedAt             1795955388218 → 1795955389332
2026-11-29 12:29:50  unknown         shipTo.city           "Bern" → "Basel"
                                     updatedAt             1795955389332 → 1795955390443
2026-11-29 12:29:51  unknown         deleted               {orderId: "o-1001", customer: "ada", status: "paid", total:
                                                           49.9, shipTo: {street: "Hauptstrasse 1", city: "Basel"},
                                                           createdAt: 1795955387081, updatedAt: 1795955390443, pk:
                                                           "$shop#orderid_o-1001", sk: "$order_1", gsi1pk:
                                                           "$shop#customer_ada… (325 characters)"""
every_library = pytest.mark.parametrize("name", LIBRARIES)


def captured(name: str) -> list[Any]:
    lines = (CASES / "client_libraries" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def recorded(name: str, **rules: Any) -> list[Item]:
    """Return the records that audit_producer makes of what a library wrote, in the order of the history."""
    dynamodb = PolicingDynamoDB()
    stores = producer_stores(dynamodb, PolicingS3()) | {"watches": FixedRules(**rules)}
    audit_producer.handle({"Records": captured(name)}, **stores)
    return sorted(dynamodb.items.values(), key=lambda record: (record["changeOrder"]["S"], attribute(record)))


def attribute(record: Item) -> str:
    return str(record.get("updatedAttribute", {"S": ""})["S"])


def screen(history: list[AuditedChange]) -> str:
    """Return what `weaudit history --utc` prints."""
    file = io.StringIO()
    Rendering(Console(file=file, width=120, highlight=False), utc=True, with_items=False).print(history)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines())


@every_library
def test_the_bookkeeping_is_all_that_is_neither_a_key_nor_of_the_order(name: str) -> None:
    images = [record["dynamodb"] for record in captured(name)]
    attributes = {name for image in images for side in ("OldImage", "NewImage") for name in image.get(side, {})}
    assert attributes - OF_THE_ORDER - images[0]["Keys"].keys() == {*LIBRARIES[name].bookkeeping}


@every_library
def test_bookkeeping_makes_records_of_its_own(name: str) -> None:
    library, records = LIBRARIES[name], recorded(name)
    assert len(records) == library.records
    assert len([1 for record in records if attribute(record) in library.bookkeeping]) == library.about_bookkeeping


@every_library
def test_a_save_that_changes_nothing_else_is_a_change_of_bookkeeping_alone(name: str) -> None:
    _, paid, saved, moved, _ = changes(recorded(name))
    bookkeeping = {*LIBRARIES[name].bookkeeping}
    assert {part.name for part in saved.attributes} <= bookkeeping
    assert {part.name for part in paid.attributes} - bookkeeping == {"status"}
    assert len({part.name for part in moved.attributes} - bookkeeping) == 1


def test_the_history_shows_every_touch_of_the_bookkeeping() -> None:
    assert screen([*changes(recorded("electrodb"))]) == ELECTRODB
