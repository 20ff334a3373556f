"""How many changes a second go from a table to the trail, through the embedded engine?

Four writers put items as fast as they can; the clock stops when the last record is in Audit. Writers, engine and
function share the machine, so this is a lower bound on what one laptop does, and says nothing of AWS.
"""

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench.reports import Ratio, Report, load
from weaudit.installation.targets import Target
from weaudit.items.keys import history_key
from weaudit.local import engine, process

_WRITERS = 4
_PATIENCE_S = 180.0


def run(quick: bool = False, *, changes: int = 2000) -> Report:
    """Start an engine of its own with the stack on it, put ``changes`` items, and stop it again."""
    changes = 40 if quick else changes
    before = load()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        began = time.perf_counter()
        started = engine.up(port=process.free_port(), state_dir=state)
        up_s = time.perf_counter() - began
        try:
            target = Target.of(started)
            put(target, range(1))  # the function's worker is up after this one
            wait(target, [0])
            results = _measured(target, changes)
        finally:
            engine.down(state_dir=state, force=True)
    results["up to a deployed stack"] = {"seconds": round(up_s, 2)}
    settings = {"changes": changes, "writers": _WRITERS}
    ratios: list[Ratio] = []
    return Report("engine_rate", "changes through the embedded engine", settings, results, ratios, before)


def _measured(target: Target, changes: int) -> dict[str, dict[str, float]]:
    shares = [range(1 + writer, 1 + changes, _WRITERS) for writer in range(_WRITERS)]
    threads = [threading.Thread(target=put, args=(target, share)) for share in shares]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    put_s = time.perf_counter() - began
    wait(target, [share[-1] for share in shares])
    all_s = time.perf_counter() - began
    found = sum(page["Count"] for page in _pages(target))
    assert found == changes + 1, f"{changes + 1} changes made {found} records"
    return {
        "put by 4 writers": {"seconds": round(put_s, 2), "perSecond": round(changes / put_s, 1)},
        "until the last record": {"seconds": round(all_s, 2), "perSecond": round(changes / all_s, 1)},
    }


def key(number: int) -> str:
    """Return the key of an item of these benchmarks."""
    return f"BENCH_{number:06d}"


def put(target: Target, numbers: range) -> None:
    """Write these items."""
    client = target.client("dynamodb")
    for number in numbers:
        client.put_item(TableName="Configuration", Item={"key": {"S": key(number)}, "value": {"N": str(number)}})


def wait(target: Target, numbers: list[int]) -> None:
    """Wait until the records of all these items are there: a writer's last item is the last of it that is audited."""
    client = target.client("dynamodb")
    deadline = time.monotonic() + _PATIENCE_S
    for number in numbers:
        query: dict[str, Any] = {
            "TableName": "Audit",
            "IndexName": "history",
            "KeyConditionExpression": "historyKey = :k",
            "ExpressionAttributeValues": {":k": {"S": history_key("Configuration", key(number))}},
            "Select": "COUNT",
        }
        while not client.query(**query)["Count"]:
            assert time.monotonic() < deadline, "the records did not come"
            time.sleep(0.02)


def _pages(target: Target) -> Any:
    paginator = target.client("dynamodb").get_paginator("scan")
    return paginator.paginate(TableName="Audit", Select="COUNT")
