"""Every file in tests/cases/image_processor is a test: events, what the stores hold, what is said and what is kept.

A stand-in makes the pixels, so that a case shows decisions only; tests/imaging and tests/e2e work on real ones.
With WEAUDIT_WRITE_CASES=1 set it writes the two outcomes anew from what the code does; read the difference before
committing it.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.image_fakes import EVIDENCE, RENDITIONS, Bench

CASES = Path(__file__).parent / "cases" / "image_processor"
WRITE = "WEAUDIT_WRITE_CASES" in os.environ


def outcome(events: list[Any], stores: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return what the function says of each event, and the rows and objects that are there afterwards."""
    bench = Bench()
    for key, (content, content_type) in stores.get("objects", {}).items():
        bench.upload(key, bytes.fromhex(content), content_type)
    bench.tables.configuration = stores.get("configuration", {})
    said = bench.deliver(*events)
    rows = [bench.tables.rows[key] for key in sorted(bench.tables.rows)]
    kept = [{"renditions": sorted(bench.buckets.kept(RENDITIONS))}]
    quarantined = [json.loads(body) for _key, body in sorted(bench.buckets.kept(EVIDENCE).items())]
    return said, [*rows, *kept, *quarantined]


@pytest.mark.parametrize("path", sorted(CASES.glob("*.txt")), ids=lambda path: path.stem)
def test_the_events_give_the_decision_and_the_records_that_the_case_shows(path: Path) -> None:
    prose, *parts = path.read_text().split("\n--- ")
    texts = dict(part.split("\n", 1) for part in parts)
    decision, records = outcome(json.loads(texts["event in"]), json.loads(texts["stores"]))
    if WRITE:
        for name, found in (("decision", decision), ("records out", records)):
            texts[name] = json.dumps(found, indent=1, ensure_ascii=False)
        path.write_text("\n\n--- ".join([prose.strip(), *(f"{k}\n{v.strip()}" for k, v in texts.items())]) + "\n")
    assert decision == json.loads(texts["decision"])
    assert records == json.loads(texts["records out"])
