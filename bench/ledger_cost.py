"""What does `weaudit verify --ledger` take: for the root of a large log, and for a record against its entry?

Nothing is read over a network: objects and rows are in memory, as they come from S3 and DynamoDB. Beside the tree,
hashlib hashes the same bytes, and nothing else is done. Beside a record, the row is decoded, and it and its entry are
hashed once each.
"""

import hashlib
import json
import time
import tracemalloc
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.reports import Report, load, spread
from bench.stream_events import modify_event
from weaudit.capture import stream
from weaudit.capture.records import decide
from weaudit.capture.rules import Rules, Terms
from weaudit.items.values import Item
from weaudit.ledger import checkpoints, notes, policies
from weaudit.ledger.entries import Entry, entry
from weaudit.ledger.merkle import Edge, leaf_hashes
from weaudit.ledger.notes import VerifierKey
from weaudit.ledger.tiles import WIDTH, Tail, bundle, parse_bundle
from weaudit.trail.verification.matching import Matching
from weaudit.trail.verification.rows import sources, stored_hash
from weaudit.trail.verification.walking import entries_of, verify_log

_ORIGIN = "weaudit/123456789012/us-east-1/weaudit-dev"
_TIME = "2024-01-01T00:00:00.000Z"
_AUDIT, _, _ = sources("Audit", "audit_logs", "lambda-invocation-logs")
_TERMS = Terms(Rules(), bytes(32), bytes(8), bytes(32), "evidence", 4096)


def run(quick: bool = False) -> Report:
    """Measure both, each by turns with its reference."""
    leaves, records, rounds = (10_240, 300, 1) if quick else (1_000_000, 20_000, 5)
    before = load()
    timed: dict[str, list[float]] = {"root of the log": [], "hashlib alone, of the same bytes": []}
    content = bundle(_entry(number).text for number in range(WIDTH))
    texts = parse_bundle(content, WIDTH)
    for _ in range(rounds):
        timed["root of the log"].append(_seconds(lambda: _root(leaves, content)))
        timed["hashlib alone, of the same bytes"].append(_seconds(lambda: _hashed(leaves, texts)))
    results = {}
    for name, found in timed.items():
        median, low, high = spread(found)
        results[name] = {"seconds": median, "lowerQuartileS": low, "upperQuartileS": high}
    results["root of the log"]["peakMb"] = _peak_mb(lambda: _root(leaves, content))
    results["root of a tenth of it"] = {"peakMb": _peak_mb(lambda: _root(leaves // 10, content))}
    results |= _records(records, rounds)
    settings = {"leaves": leaves, "bytesAnEntry": len(texts[0]), "records": records, "rounds": rounds}
    return Report("ledger_cost", "CPU and memory of verifying a ledger", settings, results, [], before)


def _seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _peak_mb(call: Callable[[], object]) -> float:
    """Return the most memory that a call holds at once, as Python counts it."""
    tracemalloc.start()
    call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 1e6


def _entry(number: int) -> Entry:
    return entry("record", _TIME, id=f"{number:08x}-5d1c-4c57-8a53-3f0d8f6b7a10", hash=f"{number:064x}")


def _root(leaves: int, content: bytes) -> bytes:
    """Return the root of a log whose bundles all have the same content, which it parses anew each time."""
    edge = Edge()
    for _ in range(leaves // WIDTH):
        edge = edge.extended(leaf_hashes(parse_bundle(content, WIDTH)))
    return edge.root()


def _hashed(leaves: int, texts: list[bytes]) -> None:
    """Hash as many leaves, and as many nodes as they have above them."""
    sha256, node = hashlib.sha256, b"\x01" + bytes(64)
    prefixed = [b"\x00" + text for text in texts]
    for _ in range(leaves // WIDTH):
        for text in prefixed:
            sha256(text).digest()
            sha256(node).digest()


def _records(count: int, rounds: int) -> dict[str, dict[str, float]]:
    rows = list(_rows(count))
    log = _Log([_sealed(row) for row in rows])
    encoded = [json.dumps(row).encode() for row in rows]
    timed: dict[str, list[float]] = {"weaudit verify --ledger": [], "decoded, and two SHA-256": []}
    for _ in range(rounds):
        # The client decodes rows as well, so that is counted for both.
        timed["weaudit verify --ledger"].append(_seconds(lambda: _verified(log, encoded)))
        timed["decoded, and two SHA-256"].append(_seconds(lambda: _decoded(log, encoded)))
    results = {}
    for name, found in timed.items():
        median, low, high = spread(1e6 * each / count for each in found)
        results[name] = {"usPerRecord": median, "lowerQuartileUs": low, "upperQuartileUs": high}
    # What is kept of each row, against a verification of a tenth of the rows.
    few = _Log([_sealed(row) for row in rows[: count // 10]])
    grown = _peak_mb(log.verified) - _peak_mb(few.verified)
    results["weaudit verify --ledger"]["bytesPerRow"] = 1e6 * grown / (count - count // 10)
    return results


def _rows(count: int) -> Iterator[Item]:
    for record in modify_event(count, 1)["Records"]:
        yield from decide(stream.parse(record), _TERMS).records


def _sealed(row: Item) -> Entry:
    digest = stored_hash(row)
    assert digest is not None
    return entry("record", row["modificationTime"]["S"], id=row["id"]["S"], hash=digest.hex())


class _Log:
    """A log in memory, signed by a key of its own."""

    def __init__(self, entries: list[Entry]) -> None:
        self.texts = [one.text for one in entries]
        self.texts.append(entry("seal", _TIME, n=len(entries), marks={}).text)
        tail = Tail()
        self.objects = dict(tail.append(self.texts) + tail.partial(0))
        private = Ed25519PrivateKey.from_private_bytes(bytes(32))
        key = VerifierKey(_ORIGIN, private.public_key().public_bytes_raw())
        text = checkpoints.text_of(_ORIGIN, tail.size, tail.edge().root())
        self.objects["checkpoint"] = notes.written(text, [notes.signed_by(key, private.sign, text)])
        self._policy = policies.of_log(key)

    def verified(self) -> Matching:
        verdict = verify_log(self._policy, self.objects.get, lambda _prefix: [])
        assert verdict.whole, verdict.findings
        assert not verdict.findings, verdict.findings
        return Matching(verdict.verified.rows, _TIME, _TIME, _TERMS.origin)


def _verified(log: _Log, encoded: list[bytes]) -> None:
    matching = log.verified()
    for text in encoded:
        matching.take(_AUDIT, json.loads(text))
    matching.finish(_AUDIT)
    found = matching.findings(entries_of(log.objects.get, len(log.texts)))
    assert not found, found
    assert matching.compared["Audit"] == len(encoded)


def _decoded(log: _Log, encoded: list[bytes]) -> None:
    for row, text in zip(encoded, log.texts, strict=False):
        json.loads(row)
        hashlib.sha256(row).digest()
        hashlib.sha256(text).digest()
