"""What do a million changes cost, by the bytes of the real records and the milliseconds of the real function?

Bytes are exact: audit records of real changes, as the function decides them, measured as DynamoDB counts them. Times
come from `batch_cost`, on the machine that runs this. Prices are parameters: look them up for your region and day.
`python -m bench.cost_model` prints the tables of docs/cost.md from the kept results, without measuring again.
"""

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import batch_cost
from bench.reports import Report, load
from bench.stream_events import item, modify_event
from weaudit.capture import records as auditing
from weaudit.capture import stream
from weaudit.capture.changes import Change
from weaudit.items.sizes import item_bytes
from weaudit.items.values import Item

REGION, PRICES_OF = "us-east-1", "2026-11"
# Dollars, on demand, without free tiers and discounts.
PRICES = {
    "a million write units": 0.625,
    "a million read units": 0.125,
    "a GB-month of a table": 0.25,
    "a GB-month of recovery": 0.20,
    "a million calls of functions": 0.20,
    "a million GB-seconds, x86_64": 16.6667,
    "a GB of logs": 0.50,
    "a million CloudTrail data events": 1.00,
    "a million AWS Config items": 3000.00,
}
MEMORY_MB = 256
# Lambda gives a function of this size one whole processor, a smaller one its share of it.
MB_OF_A_PROCESSOR = 1769
# Our line, with its metrics, and Lambda's two: about so much a call. The ids of logged updates come on top.
LOG_BYTES = 1500
# What DynamoDB adds to each item of a table, and of an index, where it bills storage.
ITEM_OVERHEAD_BYTES = 100
INDEXES = {"no index": 0, "history": 1, "history and changes": 2}


def changes() -> dict[str, Change]:
    """Return the changes whose cost is asked for: an item of ten attributes, and a large one."""
    [one] = stream.records(modify_event(1, 1))
    [three] = stream.records(modify_event(1, 3))
    created = json.loads(json.dumps(one))
    created["eventName"] = "INSERT"
    del created["dynamodb"]["OldImage"]
    large = json.loads(json.dumps(created))
    large["dynamodb"]["NewImage"] = {**item(0, 1, 1), "document": {"S": "x" * 4000}}
    named = {
        "one attribute of ten": one,
        "three of ten": three,
        "an item created": created,
        "one of 5 KB": large,
    }
    return {name: stream.parse(record) for name, record in named.items()}


def units(records: list[Item], indexes: int) -> int:
    """Return the write units of records put for the first time: a unit a begun KB, in the table and in each index.

    Both indexes hold whole records. Source: docs.aws.amazon.com, amazondynamodb/latest/developerguide,
    on-demand-capacity-mode.html and GSI.html#GSI.ThroughputConsiderations.
    """
    return sum((1 + indexes) * math.ceil(item_bytes(record) / 1024) for record in records)


def stored_bytes(records: list[Item], indexes: int) -> int:
    """Return the bytes that records take in the table and its indexes."""
    return sum((1 + indexes) * (item_bytes(record) + ITEM_OVERHEAD_BYTES) for record in records)


def run(quick: bool = False) -> Report:
    """Measure events of 100 changes and of one; count the bytes of the records."""
    before = load()
    results: dict[str, dict[str, float]] = {}
    for records in (100, 1):
        ours = batch_cost.run(quick, records=records).results["ours"]
        wall, cpu = ours["wallMs@5ms"], ours["cpuMs@5ms"]
        results[f"event of {records}"] = {"wallMs": wall, "cpuMs": cpu, "billedMs": billed_ms(wall, cpu)}
    for name, change in changes().items():
        records_of = auditing.decide(change)
        row = {"records": float(len(records_of)), "bytes": float(sum(map(item_bytes, records_of)))}
        row |= {f"units, {index}": float(units(records_of, count)) for index, count in INDEXES.items()}
        row |= {f"stored, {index}": float(stored_bytes(records_of, count)) for index, count in INDEXES.items()}
        results[name] = row
    settings = {"memoryMb": MEMORY_MB, "storeLatencyMs": 5, "logBytesACall": LOG_BYTES}
    return Report("cost_model", "what a million changes cost", settings, results, [], before)


def billed_ms(wall_ms: float, cpu_ms: float) -> float:
    """Return what Lambda would bill: waiting takes as long there, computing longer by the share of a processor."""
    return round(max(wall_ms - cpu_ms, 0) + cpu_ms * MB_OF_A_PROCESSOR / MEMORY_MB, 2)


def function_dollars(results: Mapping[str, Mapping[str, float]], batch: int, prices: Mapping[str, float]) -> float:
    """Return what calls of the function, its time and its logs cost for a million changes, ``batch`` of them a call."""
    calls = 1 / batch
    seconds = calls * results[f"event of {batch}"]["billedMs"] / 1000 * MEMORY_MB / 1024
    logs = calls * LOG_BYTES / 1000  # GB a million
    return (
        calls * prices["a million calls of functions"]
        + seconds * prices["a million GB-seconds, x86_64"]
        + logs * prices["a GB of logs"]
    )


def tables(results: Mapping[str, Mapping[str, float]], prices: Mapping[str, float] = PRICES) -> dict[str, str]:
    """Return the tables of docs/cost.md, in Markdown, by their names."""
    names = [name for name in results if not name.startswith("event of")]
    write, gb = prices["a million write units"], prices["a GB-month of a table"]
    recovery = prices["a GB-month of recovery"]
    writes = [["a million times", "records", "bytes", *(f"units: {index}" for index in INDEXES),
               *(f"$: {index}" for index in INDEXES), "$ a month to keep"]]  # fmt: skip
    for name in names:
        row = results[name]
        # A million times so many bytes is so many MB; recovery keeps the table alone.
        keep = row["stored, history and changes"] / 1000 * gb + row["stored, no index"] / 1000 * recovery
        writes.append([
            name, f"{row['records']:.0f}", f"{row['bytes']:,.0f}",
            *(f"{row[f'units, {index}']:.0f}" for index in INDEXES),
            *(f"{row[f'units, {index}'] * write:.3f}" for index in INDEXES), f"{keep:.2f}",
        ])  # fmt: skip
    work = [["changes a call", "ms billed a call", "calls, time and logs, $"]]
    for batch in (100, 1):
        dollars = function_dollars(results, batch, prices)
        work.append([str(batch), f"{results[f'event of {batch}']['billedMs']:.1f}", f"{dollars:.2f}"])
    typical = results["one attribute of ten"]["units, history and changes"] * write
    beside = [
        ["", "$ a million changes", "what one has"],
        ["WeAudit, 100 changes a call", f"{typical + function_dollars(results, 100, prices):.2f}",
         "each attribute before and after, searchable, provably whole"],
        ["WeAudit, each change alone", f"{typical + function_dollars(results, 1, prices):.2f}", "the same"],
        ["CloudTrail data events", f"{prices['a million CloudTrail data events']:.2f}",
         "who called, and on which key; no values, before or after (and their storage in S3)"],
        ["AWS Config, an item a change", f"{prices['a million AWS Config items']:,.2f}",
         "states of resources; items of tables only where somebody reports each as a resource of his own"],
    ]  # fmt: skip
    price = [["price of", f"$, {REGION}, {PRICES_OF}"], *([name, f"{value:,.4g}"] for name, value in prices.items())]
    return {"writes": _table(writes), "work": _table(work), "beside": _table(beside), "prices": _table(price)}


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ["---"] * len(head), *body))


def main() -> None:
    """Print the tables."""
    kept = json.loads((Path(__file__).with_name("results") / "cost_model.json").read_text(encoding="utf-8"))
    results: dict[str, Any] = kept["results"]
    for name, text in tables(results).items():
        sys.stdout.write(f"<!-- {name} -->\n{text}<!-- /{name} -->\n\n")


if __name__ == "__main__":
    main()
