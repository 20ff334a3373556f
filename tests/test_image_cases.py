"""Every file in tests/cases/image_processor is a test: events, what the stores hold, what is said and what is kept.

A stand-in makes the pixels, so that a case shows decisions only; tests/images and tests/e2e work on real ones.
"""

import json
from pathlib import Path
from typing import Any

from tests.case_files import CaseFile, every_case_of
from tests.image_fakes import EVIDENCE, RENDITIONS, Bench


def outcome(events: list[Any], stores: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Return what the function says of each event, and the rows and objects that are there afterwards."""
    bench = Bench()
    for key, (content, content_type) in stores.get("objects", {}).items():
        bench.upload(key, bytes.fromhex(content), content_type)
    bench.buckets.refusals = stores.get("refusals", {})
    bench.buckets.versions = stores.get("versions", {})
    bench.buckets.objects.update({(RENDITIONS, key): b"made" for key in stores.get("renditions", ())})
    bench.tables.rows = {row["imageKey"]["S"]: row for row in stores.get("rows", ())}
    bench.tables.configuration = stores.get("configuration", {})
    said = bench.deliver(*events)
    rows = [bench.tables.rows[key] for key in sorted(bench.tables.rows)]
    kept = [{"renditions": sorted(bench.buckets.kept(RENDITIONS))}]
    quarantined = [json.loads(body) for _key, body in sorted(bench.buckets.kept(EVIDENCE).items())]
    return said, [*rows, *kept, *quarantined]


@every_case_of("image_processor")
def test_the_events_give_the_decision_and_the_records_that_the_case_shows(path: Path) -> None:
    case = CaseFile(path)
    decision, records = outcome(case.read("event in"), case.read("stores"))
    case.came_to(decision, records)
    assert decision == case.read("decision")
    assert records == case.read("records out")
