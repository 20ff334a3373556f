"""Three tables with their streams, the ledger's bucket and its key, in memory, with calls that fail as AWS's do."""

import itertools
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

from tests.fakes import SECRETS
from tests.ledger.keys import signer
from tests.trails import changed, decision
from weaudit.aws.client import VersionListing
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.items.values import Item
from weaudit.ledger import checkpoints, notes
from weaudit.ledger.checkpoints import CHECKPOINT
from weaudit.ledger.entries import Entry, parse
from weaudit.ledger.tiles import TileReader
from weaudit.sealing.outcomes import Outcomes
from weaudit.sealing.reading import Reading
from weaudit.sealing.sealer import Sealer, Summary
from weaudit.sealing.store_bucket import LedgerBucket
from weaudit.sealing.store_streams import TableStreams
from weaudit.trail.verification.rows import sources

NAME = "weaudit/111122223333/eu-west-1/dev"
SIGNER = signer(NAME)
START_S = 1_711_922_395.0
DAY_S = 86_400.0
SOURCES = sources("Audit", "audit_logs", "lambda-invocation-logs-dev")
TTL = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


class Killed(BaseException):
    """The process was stopped, at this place."""


class Faults:
    """Fails the n-th request that changes something: before it is carried out, or after it was, unanswered."""

    def __init__(self) -> None:
        self.count = 0
        self.fail_at = -1
        self.carried_out = False
        self.error: BaseException = Killed()

    def around(self, change: Callable[[], Any]) -> Any:
        at, self.count = self.count, self.count + 1
        if at != self.fail_at:
            return change()
        if self.carried_out:
            change()
        raise self.error


def unanswered() -> StoreUnavailableError:
    error = StoreUnavailableError("PutObject: no valid response")
    error.in_doubt = True
    return error


class Bucket:
    """A versioned bucket with Object Lock, in the form of ``aws.client.S3``."""

    def __init__(self, clock: Callable[[], float], faults: Faults) -> None:
        self._clock, self._faults = clock, faults
        self._numbers = itertools.count(1)
        # Versions by key, the oldest first: id, body (None: a delete marker), lock.
        self.versions: dict[str, list[tuple[str, bytes | None, str]]] = {}
        self.requests: dict[str, int] = {}

    def _count(self, name: str) -> None:
        self.requests[name] = self.requests.get(name, 0) + 1

    def body(self, key: str) -> bytes | None:
        return self.versions[key][-1][1] if key in self.versions else None

    def objects(self) -> list[str]:
        return sorted(key for key in self.versions if self.body(key) is not None)

    def store(self, key: str, body: bytes | None, lock: str = "") -> None:
        self.versions.setdefault(key, []).append((f"v{next(self._numbers)}", body, lock))

    def put_object(self, _bucket: str, key: str, body: bytes, _kind: str) -> None:
        self._count("put")
        self._faults.around(lambda: self.store(key, body))

    def put_new(
        self, _bucket: str, key: str, body: bytes, _kind: str, *, lock_mode: str = "", locked_until: str = ""
    ) -> bool:
        self._count("put")
        if self.body(key) is not None:
            return False
        self._faults.around(lambda: self.store(key, body, f"{lock_mode} {locked_until}".strip()))
        return True

    def replace(self, _bucket: str, key: str, body: bytes, _kind: str, *, etag: str) -> bool:
        self._count("put")
        if key not in self.versions or self.versions[key][-1][0] != etag:
            return False
        self._faults.around(lambda: self.store(key, body))
        return True

    def read_object(self, _bucket: str, key: str, *, version: str = "") -> Any:
        self._count("get")
        for found, body, _ in reversed(self.versions.get(key, [])):
            if version in ("", found):
                if body is None:
                    break
                return SimpleNamespace(body=body, headers={"etag": f'"{found}"'})
        raise StoreRefusedError("GetObject: NoSuchKey", aws_code="NoSuchKey", status=404)

    def list_versions(
        self, _bucket: str, *, prefix: str = "", key_marker: str = "", version_marker: str = "", limit: int = 1000
    ) -> VersionListing:
        self._count("list")
        keys = sorted(key for key in self.versions if key.startswith(prefix) and key > key_marker)
        assert not version_marker, "pages end between keys here"
        page = keys[:2]  # small pages, so that there are several
        found = [
            {"Key": key, "VersionId": version} for key in page for version, body, _ in self.versions[key][::-1] if body
        ]
        return VersionListing(found, [], (page[-1], "") if len(keys) > len(page) else None)


class Stream:
    """One stream of a table: shards by name, each with its parent, its records, and whether it is closed."""

    def __init__(self, arn: str) -> None:
        self.arn = arn
        self.shards: dict[str, dict[str, Any]] = {}
        self.add_shard("shardId-000")

    def add_shard(self, name: str, parent: str = "") -> None:
        self.shards[name] = {"parent": parent, "records": [], "trimmed": 0, "closed": False}


class Streams:
    """The streams of all tables, in the form of ``aws.client.Streams``."""

    def __init__(self) -> None:
        self.of_table: dict[str, list[Stream]] = {}
        self.sequence = 10**20
        self.page = 1000
        self.requests: dict[str, int] = {}

    def turn_on(self, table: str, label: str = "2024-01-01T00:00:00.000") -> None:
        arn = f"arn:aws:dynamodb:eu-west-1:111122223333:table/{table}/stream/{label}"
        self.of_table.setdefault(table, []).append(Stream(arn))

    def emit(self, table: str, record: dict[str, Any], shard: str = "") -> None:
        shards = self.of_table[table][-1].shards
        self.sequence += 1
        record["dynamodb"]["SequenceNumber"] = str(self.sequence)
        name = shard or [one for one in shards if not shards[one]["closed"]][-1]
        shards[name]["records"].append(json.loads(json.dumps(record)))

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.requests[operation] = self.requests.get(operation, 0) + 1
        if operation == "ListStreams":
            return {"Streams": [{"StreamArn": one.arn} for one in self.of_table.get(request["TableName"], [])]}
        if operation == "GetRecords":
            return self._records(*json.loads(request["ShardIterator"]))
        stream = next(
            (one for found in self.of_table.values() for one in found if one.arn == request["StreamArn"]), None
        )
        if stream is None:
            raise StoreRefusedError(operation, aws_code="ResourceNotFoundException", status=400)
        if operation == "DescribeStream":
            return {"StreamDescription": {"Shards": [_described(name, one) for name, one in stream.shards.items()]}}
        assert operation == "GetShardIterator"
        shard = stream.shards[request["ShardId"]]
        place = shard["trimmed"]
        if request["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER":
            numbers = [one["dynamodb"]["SequenceNumber"] for one in shard["records"]]
            at = numbers.index(request["SequenceNumber"]) + 1 if request["SequenceNumber"] in numbers else 0
            if at <= shard["trimmed"]:
                raise StoreRefusedError(operation, aws_code="TrimmedDataAccessException", status=400)
            place = at
        return {"ShardIterator": json.dumps([stream.arn, request["ShardId"], place])}

    def _records(self, arn: str, name: str, place: int) -> dict[str, Any]:
        stream = next((one for found in self.of_table.values() for one in found if one.arn == arn), None)
        if stream is None or name not in stream.shards:
            raise StoreRefusedError("GetRecords", aws_code="ResourceNotFoundException", status=400)
        shard = stream.shards[name]
        if place < shard["trimmed"]:
            raise StoreRefusedError("GetRecords", aws_code="TrimmedDataAccessException", status=400)
        found = shard["records"][place : place + self.page]
        place += len(found)
        if shard["closed"] and place == len(shard["records"]):
            return {"Records": found}
        return {"Records": found, "NextShardIterator": json.dumps([arn, name, place])}


def _described(name: str, shard: dict[str, Any]) -> dict[str, Any]:
    ends = {"EndingSequenceNumber": "9" * 21} if shard["closed"] else {}
    parent = {"ParentShardId": shard["parent"]} if shard["parent"] else {}
    return {"ShardId": name, "SequenceNumberRange": {"StartingSequenceNumber": "1", **ends}, **parent}


class World:
    """All of it together, with a clock that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = START_S
        self.faults = Faults()
        self.bucket = Bucket(lambda: self.now, self.faults)
        self.streams = Streams()
        self.rows: dict[str, dict[str, Item]] = {source.name: {} for source in SOURCES}
        self.signed: list[bytes] = []
        self.told: list[Entry] = []
        self.objects: dict[str, bytes] = {}
        self.cosigned: Callable[[bytes, TileReader], bytes] | None = None
        for source in SOURCES:
            self.streams.turn_on(source.name)
        self._items = itertools.count()

    # ---- what writers do

    def write(self, table: str, new: Item | None, old: Item | None = None, *, by_ttl: bool = False) -> None:
        """Write a row, and let its stream say so; with ``new`` None remove it."""
        source = next(one for one in SOURCES if one.name == table)
        row = new or old or {}
        row_id = source.id_of(row)
        old = self.rows[table].get(row_id) if old is None else old
        if new is None:
            self.rows[table].pop(row_id, None)
        else:
            self.rows[table][row_id] = new
        name = "INSERT" if old is None else "MODIFY" if new is not None else "REMOVE"
        body: dict[str, Any] = {
            "Keys": {key: row[key] for key in source.keys},
            "ApproximateCreationDateTime": self.now,
        }
        body |= {key: image for key, image in (("OldImage", old), ("NewImage", new)) if image is not None}
        self.streams.emit(table, {"eventName": name, "dynamodb": body, **({"userIdentity": TTL} if by_ttl else {})})

    def record(self, **item: Any) -> list[Item]:
        """Let audit_producer record an item that was created, and return its records."""
        number = next(self._items) + 1
        images = [None, {"n": {"N": "1"}, **item}]
        one = decision(next(changed(f"k{number}", images, at_ms=int(self.now * 1000), first=number)))
        for record in one.records:
            self.write("Audit", record)
        return one.records

    def log_row(self, name: str = "l1") -> Item:
        row: Item = {"log_id": {"S": name}, "timestamp": {"S": "t"}, "status": {"S": "success"}}
        self.write("audit_logs", row)
        return row

    # ---- the sealer

    def sealer(self, page: int = 1000) -> Sealer:
        """Return a new process."""
        self.streams.page = page
        store: Any = self.bucket
        streams: Any = self.streams
        bucket = LedgerBucket(store, "ledger", lock_days=365, lock_mode="GOVERNANCE", clock=lambda: self.now)
        reading = Reading(TableStreams(streams), SOURCES, self.outcomes())
        return Sealer(
            bucket, reading, SIGNER.key, self._sign, SECRETS.origin, self.told.extend, lambda: self.now, self.cosigned
        )

    def outcomes(self) -> Outcomes:
        return Outcomes(SECRETS.origin, lambda _bucket, key: self.objects.get(key))

    def _sign(self, message: bytes) -> bytes:
        self.signed.append(message)
        return self.faults.around(lambda: SIGNER.sign(message))  # type: ignore[no-any-return]

    def run(self, sealer: Sealer | None = None, **settings: Any) -> Summary:
        return (sealer or self.sealer(**settings)).run(lambda: True)

    # ---- what a reader sees

    def checkpoint(self) -> checkpoints.Checkpoint:
        note = notes.read(self.bucket.body(CHECKPOINT) or b"")
        notes.verified(note, [SIGNER.key])
        return checkpoints.read(note.text)

    def entries(self) -> list[Entry]:
        """Return the entries of the log, each proven by its checkpoint."""
        found = self.checkpoint()
        if found.size == 0:
            return []
        reader = TileReader(found.size, found.root, self.bucket.body)
        return [parse(text) for at in range((found.size - 1) // 256 + 1) for text in reader.bundle(at)]

    def said(self) -> list[tuple[str, str]]:
        """Return kind and id of each entry that is no seal."""
        return [(one.kind, one.id or "") for one in self.entries() if one.kind != "seal"]

    def assert_whole(self) -> None:
        """Whatever was ever signed is a beginning of the log, and each archived checkpoint is one of it."""
        entries = [one.text for one in self.entries()]
        roots: dict[int, bytes] = {}
        for message in self.signed:
            said = checkpoints.read(message.decode())
            assert roots.setdefault(said.size, said.root) == said.root, "two checkpoints of one size differ"
        for size, root in roots.items():
            if size <= len(entries):
                assert _root(entries[:size]) == root
        starts = 0
        for at, one in enumerate(self.entries()):
            if one.kind == "seal":
                assert one.fields["n"] == at - starts
                starts = at + 1 if "more" not in one.fields else starts


def _root(entries: list[bytes]) -> bytes:
    from weaudit.ledger.merkle import Edge, leaf_hashes

    return Edge().extended(leaf_hashes(entries)).root()


def every_place(run: Callable[[World], object], prepare: Callable[[], World]) -> Iterator[tuple[int, World]]:
    """Yield a number for each change that a run makes, and a world in which it has not run yet."""
    world = prepare()
    world.faults.count = 0
    run(world)
    for place in range(world.faults.count):
        world = prepare()
        world.faults.count = 0
        yield place, world
