"""What does it take to seal a record, and what do a million records, a busy month and an idle one cost?

The sealer is the real one, and so are the records, as they come from their stream. Streams and bucket are in this
process, and count what they are asked. Beside it, the same pages are decoded, as every client does, and each record
hashed once.
"""

import gc
import hashlib
import json
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.cost_model import LOG_BYTES, MB_OF_A_PROCESSOR, PRICES, markdown
from bench.reports import Report, load, spread
from bench.stream_events import modify_event
from weaudit.aws.client import VersionListing
from weaudit.capture import stream
from weaudit.capture.records import decide
from weaudit.capture.rules import Rules, Terms
from weaudit.errors import StoreRefusedError
from weaudit.items.values import Item
from weaudit.ledger.notes import VerifierKey
from weaudit.sealing.outcomes import Outcomes
from weaudit.sealing.reading import Reading
from weaudit.sealing.sealer import Sealer
from weaudit.sealing.store_bucket import LedgerBucket
from weaudit.sealing.store_streams import TableStreams
from weaudit.trail.verification.rows import sources

MEMORY_MB = 512
LATENCY_MS = 10
"""What each request is taken to wait on Lambda."""
MINUTES = 60 * 24 * 30
AT_ONCE = "a million records at once"
BUSY = "a month, ten records in each minute"
IDLE = "a month in which nothing comes"
_PAGE = 1_000
_ORIGIN = "weaudit/123456789012/us-east-1/weaudit-dev"
_SOURCES = sources("Audit", "audit_logs", "lambda-invocation-logs")
_TERMS = Terms(Rules(), bytes(32), bytes(8), bytes(32), "evidence", 4096)


class _Streams:
    """One stream with one shard for each table. That of Audit has as many records as are released."""

    def __init__(self, records: list[Item]) -> None:
        self._records = [json.dumps(_event(record)).encode() for record in records]
        self.released = 0
        self.asked: Counter[str] = Counter()

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.asked[operation] += 1
        if operation == "ListStreams":
            return {"Streams": [{"StreamArn": f"arn:aws:dynamodb:::table/{request['TableName']}/stream/2024"}]}
        if operation == "DescribeStream":
            return {"StreamDescription": {"Shards": [{"ShardId": "shardId-0"}]}}
        if operation == "GetShardIterator":
            after = request.get("SequenceNumber", "0")
            return {"ShardIterator": f"{request['StreamArn']} {int(after)}"}
        arn, _, after = request["ShardIterator"].rpartition(" ")
        at = int(after)
        end = min(self.released, at + _PAGE) if "/Audit/" in arn else at
        records = json.loads(self.page(at, end))
        for number, record in enumerate(records, at + 1):  # those that were here before come again as new ones
            record["dynamodb"]["SequenceNumber"] = str(number)
        return {"Records": records, "NextShardIterator": f"{arn} {end}"}

    def page(self, at: int, end: int) -> bytes:
        """Return the JSON of some records."""
        records = self._records
        return b"[%s]" % b",".join([records[number % len(records)] for number in range(at, end)])


def _event(record: Item) -> dict[str, Any]:
    body = {"Keys": {"id": record["id"]}, "ApproximateCreationDateTime": 1704067200.0, "NewImage": record,
            "SizeBytes": 900, "StreamViewType": "NEW_AND_OLD_IMAGES"}  # fmt: skip
    return {"eventID": "0" * 32, "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1", "dynamodb": body}  # fmt: skip


class _Bucket:
    """A bucket in a folder, so that what it holds is not in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.asked: Counter[str] = Counter()
        self.bytes = 0

    def put_object(self, _bucket: str, path: str, body: bytes, _kind: str) -> None:
        self._put(path, body)

    def put_new(self, _bucket: str, path: str, body: bytes, _kind: str, **_lock: str) -> bool:
        if not path.startswith(("commits/", "checkpoint")):
            self.bytes += len(body)
        self._put(path, body)
        return True

    def _put(self, path: str, body: bytes) -> None:
        self.asked["put"] += 1
        file = self._folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)

    def read_object(self, _bucket: str, path: str, **_version: str) -> Any:
        self.asked["get"] += 1
        try:
            return SimpleNamespace(body=(self._folder / path).read_bytes(), headers={"etag": "1"})
        except FileNotFoundError:
            raise StoreRefusedError("GetObject", aws_code="NoSuchKey", status=404) from None

    def list_versions(self, _bucket: str, **_where: Any) -> VersionListing:
        self.asked["list"] += 1  # nobody else has signed anything
        return VersionListing([], [], None)


class _World:
    """A sealer with its stores, and what it asked of them."""

    def __init__(self, folder: Path, records: list[Item]) -> None:
        self.streams, self.bucket = _Streams(records), _Bucket(folder)
        self.now, self.signatures = 1704067200.0, 0
        self._private = Ed25519PrivateKey.from_private_bytes(bytes(32))
        key = VerifierKey(_ORIGIN, self._private.public_key().public_bytes_raw())
        s3: Any = self.bucket
        client: Any = self.streams
        reading = Reading(TableStreams(client), _SOURCES, Outcomes(_TERMS.origin, lambda *_: None))
        self._sealer = Sealer(
            LedgerBucket(s3, "ledger"), reading, key, self._sign, _TERMS.origin, _fail, lambda: self.now
        )

    def _sign(self, message: bytes) -> bytes:
        self.signatures += 1
        return self._private.sign(message)

    def run(self, more: int) -> None:
        """Release so many more records, and seal them a minute after the last run."""
        self.streams.released += more
        self.now += 60
        sealed = self._sealer.run(lambda: True).sealed
        assert sealed == more, (sealed, more)

    def requests(self) -> dict[str, int]:
        """Return what was asked since the beginning."""
        return {"puts": self.bucket.asked["put"] + self.bucket.asked["list"], "gets": self.bucket.asked["get"],
                "signatures": self.signatures, "streamReads": self.streams.asked["GetRecords"],
                "others": self.streams.asked.total() - self.streams.asked["GetRecords"],
                "bytes": self.bucket.bytes}  # fmt: skip


def _fail(findings: Any) -> None:
    raise AssertionError(findings)


def run(quick: bool = False) -> Report:
    """Measure time and memory, and count what costs."""
    many, few, rounds, minutes = (1_000, 500, 1, 10) if quick else (100_000, 10_000, 5, 600)
    before = load()
    records = [one for each in modify_event(few, 1)["Records"] for one in decide(stream.parse(each), _TERMS).records]
    timed: dict[str, list[float]] = {"ledger_sealer": [], "decoded, and hashed once": []}
    stream_of = _Streams(records)
    pages = [stream_of.page(at, at + _PAGE) for at in range(0, few, _PAGE)]
    for _ in range(rounds):
        timed["ledger_sealer"].append(_measured(records, lambda world: world.run(few)))
        timed["decoded, and hashed once"].append(_seconds(lambda: _decoded(pages)))
    results: dict[str, dict[str, float]] = {}
    for name, found in timed.items():
        median, low, high = spread(1e6 * each / few for each in found)
        results[name] = {"usPerRecord": median, "lowerQuartileUs": low, "upperQuartileUs": high,
                         "perSecond": 1e6 / median}  # fmt: skip
    for name, count in (("ledger_sealer", many), ("a tenth of the records", many // 10)):
        results.setdefault(name, {})["peakMb"] = _peak_mb(records[:_PAGE], count)
    spent = {0: 0.0, 10: 0.0}
    for more in spent:
        # An hour, so that one of the runs of an idle one has something to say.
        spent[more] = 1000 * _measured(records, partial(_hour, more=more)) / 60
    at_once = results["ledger_sealer"]["usPerRecord"] / 1000 * many
    for name, runs, whole, cpu_ms in (
        (AT_ONCE, [many], 1_000_000 / many, at_once),
        (BUSY, [10] * minutes, MINUTES / minutes, spent[10] * minutes),
        (IDLE, [0] * minutes, MINUTES / minutes, spent[0] * minutes),
    ):
        row = _counted(records, runs, whole, cpu_ms)
        results[name] = {**row, "dollars": sum(dollars(name, row).values())}
    settings = {"records": few, "recordsForMemory": many, "rounds": rounds, "minutes": minutes, "memoryMb": MEMORY_MB,
                "latencyMs": LATENCY_MS}  # fmt: skip
    return Report("sealing_cost", "CPU, memory and money of sealing records", settings, results, [], before)


def _hour(world: _World, more: int) -> None:
    for _ in range(60):
        world.run(more)


def _counted(records: list[Item], runs: list[int], scale: float, cpu_ms: float) -> dict[str, float]:
    """Return the requests of these runs, a minute each, by so many times, and what Lambda would bill."""
    with tempfile.TemporaryDirectory() as folder:
        world = _World(Path(folder), records)
        world.run(0)  # where the log begins
        before = world.requests()
        for more in runs:
            world.run(more)
        found = {name: (count - before[name]) * scale for name, count in world.requests().items()}
    waits = sum(found[name] for name in ("puts", "gets", "signatures", "streamReads", "others"))
    # A call of ten thousand records takes as long as several calls would.
    calls = scale * len(runs)
    return {**found, "calls": calls, "billedMs": waits * LATENCY_MS + scale * cpu_ms * MB_OF_A_PROCESSOR / MEMORY_MB}


def dollars(name: str, row: Mapping[str, float], prices: Mapping[str, float] = PRICES) -> dict[str, float]:
    """Return what the parts of a row of the results cost."""
    calls = row["calls"] * prices["a million calls of functions"] / 1e6
    seconds = row["billedMs"] / 1000 * MEMORY_MB / 1024 * prices["a million GB-seconds, x86_64"] / 1e6
    return {
        "S3": (row["puts"] * prices["a million puts to S3"] + row["gets"] * prices["a million looks at S3"]) / 1e6,
        "signatures": row["signatures"] * prices["10,000 signatures of KMS"] / 1e4,
        "the key": 0.0 if name == AT_ONCE else prices["a key in KMS, a month"],
        "streams": row["streamReads"] * prices["a million reads of streams"] / 1e6,
        "function and logs": calls + seconds + row["calls"] * LOG_BYTES / 1e9 * prices["a GB of logs"],
    }


def table(results: Mapping[str, Mapping[str, float]], prices: Mapping[str, float] = PRICES) -> str:
    """Return the table of docs/cost.md, in Markdown."""
    parts = list(dollars(AT_ONCE, results[AT_ONCE], prices))
    rows = [["", "puts and lists", "reads of S3", "signatures", *(f"{part}, $" for part in parts), "$", "GB that stay"]]
    for name in (AT_ONCE, BUSY, IDLE):
        row = results[name]
        paid = dollars(name, row, prices)
        counts = (f"{row[each]:,.0f}" for each in ("puts", "gets", "signatures"))
        rows.append([name, *counts, *(f"{paid[part]:.3f}" for part in parts), f"{sum(paid.values()):.2f}",
                     f"{row['bytes'] / 1e9:.2f}"])  # fmt: skip
    return markdown(rows)


def _measured(records: list[Item], call: Callable[[_World], object]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        world = _World(Path(folder), records)
        world.run(0)
        return _seconds(lambda: call(world))


def _seconds(call: Callable[[], object]) -> float:
    gc.collect()
    began = time.process_time()
    call()
    return time.process_time() - began


def _peak_mb(records: list[Item], count: int) -> float:
    """Return the most memory that sealing so many records at once takes, as Python counts it."""
    with tempfile.TemporaryDirectory() as folder:
        world = _World(Path(folder), records)
        world.run(0)
        gc.collect()
        tracemalloc.start()
        world.run(count)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return peak / 1e6


def _decoded(pages: list[bytes]) -> None:
    for page in pages:
        for record in json.loads(page):
            hashlib.sha256(json.dumps(record["dynamodb"]["NewImage"]).encode()).digest()


def main() -> None:
    """Print the table of docs/cost.md from the kept results."""
    kept = json.loads((Path(__file__).with_name("results") / "sealing_cost.json").read_text(encoding="utf-8"))
    sys.stdout.write(f"<!-- ledger -->\n{table(kept['results'])}<!-- /ledger -->\n")


if __name__ == "__main__":
    main()
