"""What docs/cost.md says follows from the kept measurements, the real records, and the prices."""

import json
import math
import re
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

from bench import cost_model, sealing_cost

ROOT = Path(__file__).parents[2]
RESULTS = json.loads((ROOT / "bench" / "results" / "cost_model.json").read_text(encoding="utf-8"))["results"]
PAGE = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")


def test_the_page_has_the_tables() -> None:
    for name, text in cost_model.tables(RESULTS).items():
        [shown] = re.findall(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", PAGE, re.DOTALL)
        assert shown == text, "run `python -m bench.cost_model`, and put its tables in"


def test_the_page_has_the_table_of_the_ledger() -> None:
    kept = json.loads((ROOT / "bench" / "results" / "sealing_cost.json").read_text(encoding="utf-8"))["results"]
    [shown] = re.findall(r"<!-- ledger -->\n(.*?)<!-- /ledger -->", PAGE, re.DOTALL)
    assert shown == sealing_cost.table(kept), "run `python -m bench.sealing_cost`, and put its table in"


def test_the_kept_figures_are_those_of_todays_records() -> None:
    for name, change in cost_model.changes().items():
        kept = {figure: RESULTS[name][figure] for figure in ("records", "bytes", "units", "puts", "heads", "stored")}
        today = cost_model.figures(change)
        assert kept == {figure: today[figure] for figure in kept}, f"{name}: run `make bench`"
        # How well a value packs depends on the version of zlib.
        assert math.isclose(RESULTS[name]["objects"], today["objects"], rel_tol=0.1), f"{name}: run `make bench`"


def test_a_unit_is_a_begun_kilobyte_of_the_table_and_an_entry_in_each_index() -> None:
    # Attribute name and value: 1 + n bytes.
    sizes = {1: 1023, 2: 1024, 5: 5 * 1024 - 1}
    for expected, length in sizes.items():
        record = {"a": {"S": "x" * length}}
        assert cost_model.units([record]) == expected + 2
        assert cost_model.units([record, record]) == 2 * (expected + 2)


def test_the_indexes_project_what_the_model_reckons_with() -> None:
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"))
    for index in template["Resources"]["AuditTable"]["Properties"]["GlobalSecondaryIndexes"]:
        keys = [part["AttributeName"] for part in index["KeySchema"]]
        found = {"id", *keys, *index["Projection"].get("NonKeyAttributes", ())}
        assert found == set({"history": cost_model.HISTORY, "changes": cost_model.CHANGES}[index["IndexName"]])


def test_dollars_add_up() -> None:
    prices = dict.fromkeys(cost_model.PRICES, 0.0)
    one = {"event of 1": {"billedMs": 1000.0}}
    for name, dollars in (
        ("a million calls of functions", 1.0),
        ("a million GB-seconds, x86_64", cost_model.MEMORY_MB / 1024),
        ("a GB of logs", cost_model.LOG_BYTES / 1000),
    ):
        assert cost_model.function_dollars(one, 1, {**prices, name: 1.0}) == dollars
