"""How much CPU does `weaudit verify` take for a change, where items are small?

Beside it a function of boto3 reads the same records and items, page by page, and checks nothing. Both read from the
same embedded engine, in turn, each in a process of its own: what the engine takes is not counted.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.reports import Ratio, Report, load, spread
from weaudit.installation.targets import Target
from weaudit.local import engine, process

_PATIENCE_S = 180.0
_TABLE = "Configuration"


def run(quick: bool = False) -> Report:
    """Start an engine of its own, change items in it, and read their trail by both in turn."""
    items, changes, rounds = (5, 2, 1) if quick else (250, 10, 7)
    before = load()
    took: dict[str, list[float]] = {name: [] for name in READERS}
    with tempfile.TemporaryDirectory() as folder:
        started = engine.up(port=process.free_port(), state_dir=Path(folder))
        try:
            records = _changed(Target.of(started), items, changes)
            environment = {**os.environ, **started.environment(), "WEAUDIT_STATE_DIR": folder}
            for _ in range(rounds):
                for name in READERS:
                    command = [sys.executable, "-m", "bench.verify_cost", name]
                    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                    found = json.loads(done.stdout)
                    assert found["changes"] == items * changes, found
                    took[name].append(found["cpuMs"] / found["changes"])
        finally:
            engine.down(state_dir=Path(folder), force=True)
    results = {}
    for name, found in took.items():
        median, low, high = spread(1000 * each for each in found)
        results[name] = {"usPerChange": median, "lowerQuartileUs": low, "upperQuartileUs": high}
    share = results["weaudit verify"]["usPerChange"] / results["boto3 scan"]["usPerChange"]
    ratios = [Ratio("verify of small items: of the CPU of a boto3 scan", share, 1, at_least=False)]
    settings = {"items": items, "changesAnItem": changes, "records": records, "rounds": rounds}
    return Report("verify_cost", "CPU of verifying small items, a change", settings, results, ratios, before)


def _changed(target: Target, items: int, changes: int) -> int:
    """Change each item so often; return how many records that made, when all of them are there."""
    client = target.client("dynamodb")

    def change(number: int) -> None:
        for step in range(changes):
            item = {"value": {"N": str(step)}, "half": {"N": str(step // 2)}, "name": {"S": f"Setting {number}"}}
            client.put_item(TableName=_TABLE, Item={"key": {"S": f"BENCH_{number:06d}"}, **item})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(items)))
    records = items * (1 + (changes - 1) + (changes - 1) // 2)
    deadline = time.monotonic() + _PATIENCE_S
    pages = client.get_paginator("scan")
    while sum(page["Count"] for page in pages.paginate(TableName="Audit", Select="COUNT")) < records:
        assert time.monotonic() < deadline, "the records did not come"
        time.sleep(0.5)
    return records


def _verify() -> int:
    from weaudit.installation.checking import checkers
    from weaudit.installation.outputs import Installation

    [checker] = checkers(Installation.find(), [_TABLE], None)
    verdicts = [verdict for _, verdict in checker.verdicts(checker.item_keys(lambda _: None))]
    assert not any(verdict.findings for verdict in verdicts)
    return sum(verdict.changes for verdict in verdicts)


def _scan() -> int:
    import boto3

    client = boto3.client("dynamodb")
    tables: dict[str, list[Any]] = {
        name: [item for page in client.get_paginator("scan").paginate(TableName=name) for item in page["Items"]]
        for name in (_TABLE, "Audit")
    }
    return len({record["changeOrder"]["S"] + record["historyKey"]["S"] for record in tables["Audit"]})


READERS: dict[str, Callable[[], int]] = {"weaudit verify": _verify, "boto3 scan": _scan}


if __name__ == "__main__":
    READERS[sys.argv[1]]()  # the first time loads modules and opens connections
    began = time.process_time()
    changes_read = READERS[sys.argv[1]]()
    print(json.dumps({"changes": changes_read, "cpuMs": 1000 * (time.process_time() - began)}))
