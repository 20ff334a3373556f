"""What docs/cost.md says follows from the kept measurements, the real records, and the prices."""

import json
import re
from pathlib import Path

from bench import cost_model
from weaudit.capture import records as auditing

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "bench" / "results" / "cost_model.json").read_text(encoding="utf-8"))["results"]
PAGE = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables() -> None:
    for name, text in cost_model.tables(RESULTS).items():
        [shown] = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", PAGE, re.DOTALL)
        assert shown == text, "run `python -m bench.cost_model`, and put its tables in"


def test_the_kept_bytes_are_those_of_todays_records() -> None:
    for name, change in cost_model.changes().items():
        records = auditing.decide(change)
        for index, count in cost_model.INDEXES.items():
            assert RESULTS[name][f"units, {index}"] == cost_model.units(records, count), "run `make bench`"
            assert RESULTS[name][f"stored, {index}"] == cost_model.stored_bytes(records, count), "run `make bench`"


def test_a_unit_is_a_begun_kilobyte_in_the_table_and_in_each_index() -> None:
    # Attribute name and value: 1 + n bytes.
    sizes = {1: 1023, 2: 1024, 5: 5 * 1024 - 1}
    for expected, length in sizes.items():
        record = {"a": {"S": "x" * length}}
        assert cost_model.units([record], 0) == expected
        assert cost_model.units([record, record], 2) == 6 * expected


def test_dollars_add_up() -> None:
    prices = dict.fromkeys(cost_model.PRICES, 0.0)
    one = {"event of 1": {"billedMs": 1000.0}}
    for name, dollars in (
        ("a million calls of functions", 1.0),
        ("a million GB-seconds, x86_64", cost_model.MEMORY_MB / 1024),
        ("a GB of logs", cost_model.LOG_BYTES / 1000),
    ):
        assert cost_model.function_dollars(one, 1, {**prices, name: 1.0}) == dollars
