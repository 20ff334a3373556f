"""What do a million changes cost, by the bytes of the real records and the milliseconds of the real function?

Bytes are exact: audit records of real changes, as the function decides them, measured as DynamoDB counts them. Times
come from `batch_cost`, on the machine that runs this. Prices are parameters: look them up for your region and day.
`python -m bench.cost_model` prints the tables of docs/cost.md from the kept results, without measuring again.
"""

import base64
import json
import math
import random
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
from weaudit.capture.rules import Rules, Terms
from weaudit.evidence import packed
from weaudit.items.sizes import item_bytes
from weaudit.items.values import Item, Value

REGION, PRICES_OF = "us-east-1", "2026-11"
# Dollars, on demand, without free tiers and discounts.
PRICES = {
    "a million write units": 0.625,
    "a million read units": 0.125,
    "a GB-month of a table": 0.25,
    "a GB-month of recovery": 0.20,
    "a million puts to S3": 5.00,
    "a million looks at S3": 0.40,
    "a GB-month of S3": 0.023,
    "a million calls of functions": 0.20,
    "a million GB-seconds, x86_64": 16.6667,
    "a GB of logs": 0.50,
    "a million reads of streams": 0.20,
    "a key in KMS, a month": 1.00,
    "10,000 signatures of KMS": 0.15,
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
TERMS = Terms(Rules(), bytes(32), bytes(8), bytes(32), "weaudit-evidence-production-111122223333", 4096)
# What an index holds of a record: its keys, those of the table, and what is projected (infra/template.yaml).
HISTORY = ("id", "historyKey", "changeOrder", "modificationTime", "changeId")
CHANGES = ("id", "changesKey", "changesOrder")


def changes() -> dict[str, Change]:
    """Return the changes whose cost is asked for: of an item of ten attributes, and of one with a large one as well."""
    [one] = stream.records(modify_event(1, 1))
    [three] = stream.records(modify_event(1, 3))
    generator = random.Random(1)  # noqa: S311 the same each time, no secret
    kb4 = [{"S": "x" * 4000}, {"S": "y" * 4000}]
    kb5 = [{"S": text(generator, 5000)} for _ in range(2)]
    named = {
        "one attribute of ten changed": one,
        "three of ten changed": three,
        "an item of ten created": _with(one, None, {}),
        "an attribute of 4 KB created": _with(one, {}, {"document": kb4[0]}),
        "an attribute of 4 KB changed": _with(one, {"document": kb4[0]}, {"document": kb4[1]}),
        "an attribute of 5 KB created": _with(one, {}, {"document": kb5[0]}),
        "an attribute of 5 KB changed": _with(one, {"document": kb5[0]}, {"document": kb5[1]}),
        "one leaf of 100 KB of JSON changed": _with(one, *_leaf(generator, as_json=True)),
        "one leaf of 100 KB, random": _with(one, *_leaf(generator, as_json=False)),
    }
    return {name: stream.parse(record) for name, record in named.items()}


def text(generator: random.Random, size: int) -> str:
    """Return a text that packs about as well as prose."""
    words = ["".join(generator.choices("etaoinshrdlu", k=generator.randint(2, 9))) for _ in range(400)]
    return " ".join(generator.choices(words, k=size))[:size]


def _with(record: Any, old: Item | None, new: Item) -> Any:
    """Return a change of the record's item, whose other attributes stay as they are; None: it was created."""
    found = json.loads(json.dumps(record))
    same = item(0, 1, 1)
    found["dynamodb"]["NewImage"] = {**same, **new}
    if old is None:
        found["eventName"] = "INSERT"
        del found["dynamodb"]["OldImage"]
    else:
        found["dynamodb"]["OldImage"] = {**same, **old}
    return found


def _leaf(generator: random.Random, *, as_json: bool) -> tuple[Item, Item]:
    def leaf(number: int) -> Value:
        if as_json:
            return {"M": {"name": {"S": f"setting {number}"}, "value": {"N": str(generator.randrange(100_000))},
                          "enabled": {"BOOL": number % 3 == 0}, "owner": {"S": f"team-{number % 17}"}}}  # fmt: skip
        return {"B": base64.b64encode(generator.randbytes(150)).decode()}

    document = {f"leaf{number:04}": leaf(number) for number in range(900 if as_json else 450)}
    changed = {**document, "leaf0007": leaf(1_000)}
    return {"document": {"M": document}}, {"document": {"M": changed}}


def units(records: list[Item]) -> int:
    """Return the write units of records put for the first time: one a begun KB in the table, and one in each index.

    What an index holds of a record has less than a KB. Source: docs.aws.amazon.com,
    amazondynamodb/latest/developerguide, on-demand-capacity-mode.html and GSI.html#GSI.ThroughputConsiderations.
    """
    assert all(item_bytes(entry) <= 1024 for record in records for entry in entries(record))
    return sum(2 + math.ceil(item_bytes(record) / 1024) for record in records)


def entries(record: Item) -> list[Item]:
    """Return what the two indexes hold of a record."""
    return [{name: record[name] for name in names if name in record} for names in (HISTORY, CHANGES)]


def stored_bytes(records: list[Item]) -> int:
    """Return the bytes that records take in the table and its indexes."""
    return sum(item_bytes(part) + ITEM_OVERHEAD_BYTES for record in records for part in (record, *entries(record)))


def figures(change: Change) -> dict[str, float]:
    """Return what a change costs in units, requests and bytes. The state before is in the bucket already."""
    decided = auditing.decide(change, TERMS)
    objects = [len(packed(large.text)) for large in decided.large_values if large.is_new]
    return {
        "records": float(len(decided.records)),
        "bytes": float(sum(map(item_bytes, decided.records))),
        "units": float(units(decided.records)),
        "puts": float(len(objects)),
        "heads": float(len(decided.large_values) - len(objects)),
        "stored": float(stored_bytes(decided.records)),
        "objects": float(sum(objects)),
    }


def run(quick: bool = False) -> Report:
    """Measure events of 100 changes and of one; count the bytes of the records."""
    before = load()
    results: dict[str, dict[str, float]] = {}
    for records in (100, 1):
        ours = batch_cost.run(quick, records=records).results["ours"]
        wall, cpu = ours["wallMs@5ms"], ours["cpuMs@5ms"]
        results[f"event of {records}"] = {"wallMs": wall, "cpuMs": cpu, "billedMs": billed_ms(wall, cpu)}
    results |= {name: figures(change) for name, change in changes().items()}
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


def dollars(row: Mapping[str, float], prices: Mapping[str, float]) -> float:
    """Return what a million such changes cost to write: DynamoDB and S3, without the function."""
    return (
        row["units"] * prices["a million write units"]
        + row["puts"] * prices["a million puts to S3"]
        + row["heads"] * prices["a million looks at S3"]
    )


def tables(results: Mapping[str, Mapping[str, float]], prices: Mapping[str, float] = PRICES) -> dict[str, str]:
    """Return the tables of docs/cost.md, in Markdown, by their names."""
    names = [name for name in results if not name.startswith("event of")]
    gb, recovery, s3 = (prices[f"a GB-month of {what}"] for what in ("a table", "recovery", "S3"))
    writes = [["a million times", "records", "bytes of records", "write units", "puts to S3", "bytes put", "looks", "$",
               "$ a month to keep"]]  # fmt: skip
    for name in names:
        row = results[name]
        # A million times so many bytes is so many MB; recovery keeps the table alone.
        keep = (row["stored"] * gb + row["bytes"] * recovery + row["objects"] * s3) / 1000
        writes.append([
            name, f"{row['records']:.0f}", f"{row['bytes']:,.0f}", f"{row['units']:.0f}", f"{row['puts']:.0f}",
            f"{row['objects']:,.0f}", f"{row['heads']:.0f}", f"{dollars(row, prices):.3f}", f"{keep:.2f}",
        ])  # fmt: skip
    work = [["changes a call", "ms billed a call", "calls, time and logs, $"]]
    for batch in (100, 1):
        whole = function_dollars(results, batch, prices)
        work.append([str(batch), f"{results[f'event of {batch}']['billedMs']:.1f}", f"{whole:.2f}"])
    typical = dollars(results["one attribute of ten changed"], prices)
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
    return {"writes": markdown(writes), "work": markdown(work), "beside": markdown(beside), "prices": markdown(price)}


def markdown(rows: list[list[str]]) -> str:
    """Return rows, the head first, as a table in Markdown."""
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
