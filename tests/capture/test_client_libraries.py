"""What six client libraries write (tests/cases/client_libraries) as audit records, and how it reads.

Their bookkeeping makes records of its own: here is how many, for one order, and how many where rules ignore it.
docs/watching.md has these numbers, and what `weaudit history` prints of them.
"""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.case_files import CASES
from tests.fakes import FixedRules, PolicingDynamoDB, PolicingS3, producer_stores
from tests.trails import rules_of
from weaudit.cli.printing.rendering import Rendering
from weaudit.handlers import audit_producer
from weaudit.items.values import Item
from weaudit.trail.changes import AuditedChange
from weaudit.trail.history import changes
from weaudit.values import replaced

PAGE = (Path(__file__).parents[2] / "docs" / "watching.md").read_text(encoding="utf-8")
OF_THE_ORDER = {"id", "orderId", "customer", "status", "total", "shipTo", "ship_to"}


@dataclass(frozen=True)
class Library:
    """A library's bookkeeping attributes, and the records of its order.

    ``records`` are all without rules, and ``with_rules`` all where the bookkeeping is ignored; some are about it.
    """

    bookkeeping: tuple[str, ...]
    records: int
    about_bookkeeping: int
    with_rules: int


LIBRARIES = {
    "boto3": Library(("ttl", "updatedAt", "version"), 13, 9, 10),
    "dynamodb-toolbox": Library(("_ct", "_et", "_md"), 7, 3, 6),
    "dynamoose": Library(("createdAt", "updatedAt"), 7, 3, 6),
    "electrodb": Library(("__edb_e__", "__edb_v__", "createdAt", "gsi1pk", "gsi1sk", "updatedAt"), 8, 4, 7),
    "lib-dynamodb": Library(("ttl", "updatedAt", "version"), 13, 9, 10),
    "pynamodb": Library(("expires", "version"), 7, 3, 6),
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


def ignoring(name: str) -> list[Item]:
    """Return the records that audit_producer makes where a rule ignores the library's bookkeeping."""
    rules = rules_of(ignore=LIBRARIES[name].bookkeeping)
    return recorded(name, ignored=rules.ignored, digest=rules.digest)


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


@every_library
def test_where_rules_ignore_the_bookkeeping_no_change_is_of_that_alone(name: str) -> None:
    library, records = LIBRARIES[name], ignoring(name)
    assert len(records) == library.with_rules
    # The order as such is what it was: placed, paid, moved, deleted.
    about_the_order = [record for record in records if attribute(record) not in library.bookkeeping]
    assert len(about_the_order) == library.records - library.about_bookkeeping == 4
    placed, paid, moved, deleted = changes(records)
    for change in (paid, moved):
        assert {part.name for part in change.attributes} - {*library.bookkeeping}
    # What is ignored is recorded beside other changes, and in whole items: nothing of the item is lost.
    [created], [removed] = placed.attributes, deleted.attributes
    first, *_, last = captured(name)
    assert (created.new, removed.old) == ({"M": first["dynamodb"]["NewImage"]}, {"M": last["dynamodb"]["OldImage"]})


@every_library
def test_a_save_that_changes_nothing_else_makes_no_record_under_rules(name: str) -> None:
    saved = captured(name)[2]["dynamodb"]["SequenceNumber"].lstrip("0")
    assert saved in {change.sequence for change in changes(recorded(name))}
    assert saved not in {change.sequence for change in changes(ignoring(name))}


def test_each_state_follows_from_the_one_before_under_rules() -> None:
    """The save that made no record leaves no gap: what it changed is in no hash."""
    for name in LIBRARIES:
        found = [*changes(ignoring(name))]
        assert [one.after_hash for one in found[:-1]] == [one.before_hash for one in found[1:]]


# ---- the page


def shown(mark: str) -> list[str]:
    """Return the lines that the page shows under a mark, each up to where it is cut."""
    [block] = re.findall(rf"^<!-- {mark} -->\n```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [line.partition("…")[0].rstrip() for line in block.splitlines()]


def printed(history: list[AuditedChange], like: list[str]) -> list[str]:
    """Return what is printed of a history, without the lines by which whole items continue, and cut as ``like``."""
    lines = [line for line in screen(history).splitlines() if line[:57].strip() or "$order_1#" in line[:75]]
    return [line[: len(one)].rstrip() for line, one in zip(lines, like, strict=True)]


def test_the_screens_of_the_page_are_what_is_printed() -> None:
    everything, ruled = [*changes(recorded("electrodb"))], [*changes(ignoring("electrodb"))]
    assert printed(everything, shown("electrodb")) == shown("electrodb")
    assert printed(ruled, shown("electrodb, with rules")) == shown("electrodb, with rules")
    bookkeeping = LIBRARIES["electrodb"].bookkeeping
    bare = [
        replaced(change, attributes=tuple(part for part in change.attributes if part.name not in bookkeeping))
        for change in ruled
    ]
    mark = "electrodb, with rules and without bookkeeping"
    assert printed(bare, shown(mark)) == shown(mark)


def test_the_page_has_these_numbers() -> None:
    rows = re.findall(r"^\| (\S+) [\d.]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    numbers = {name.lower(): tuple(map(int, row)) for name, *row in rows}
    assert numbers == {
        name: (one.records, one.about_bookkeeping, one.with_rules, one.records - one.about_bookkeeping)
        for name, one in LIBRARIES.items()
    }
    together = tuple(map(sum, zip(*numbers.values(), strict=True)))
    assert "| together | {} | {} | {} | {} |".format(*together) in PAGE


@every_library
def test_the_options_that_the_page_names_are_the_bookkeeping(name: str) -> None:
    rows = re.findall(r"^\| (.+?) \| (?:`|whatever .*?`)(--ignore .+?)`", PAGE, re.MULTILINE)
    named = {head.lower(): {*re.findall(r"--ignore (\S+)", options)} for head, options in rows}
    [options] = [options for head, options in named.items() if name in head]
    assert options == {*LIBRARIES[name].bookkeeping}
