"""Every parser of what comes from outside: how it is called, a sound input, and the errors that it may answer with."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api_events import first, second
from tests.fakes import SECRETS
from tests.image_fakes import created, deleted, one_rendition
from tests.images import tiffs
from tests.ledger.keys import signer, witness
from tests.notifications import object_record
from tests.strategies import stream_record
from tests.trails import changed, decide
from weaudit.api import paging, queries, requests
from weaudit.aws.client import listing, version_listing
from weaudit.capture import stream
from weaudit.cli.ledger import receipts as shown
from weaudit.errors import (
    ImageRejectedError,
    MalformedEventError,
    PipelineRefusedError,
    RequestError,
    WeauditError,
)
from weaudit.images import events, pipeline
from weaudit.images.pixels import frames, sniffing, tiff, unpacking
from weaudit.images.pixels.samples import Samples
from weaudit.items import plain
from weaudit.items.texts import dumps
from weaudit.items.typed_keys import typed_key
from weaudit.ledger import checkpoints, entries, finding, notes, policies, proofs, tiles
from weaudit.ledger import witness as witnesses
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import leaf_hash
from weaudit.objects import notifications
from weaudit.sealing import commits
from weaudit.trail import pages, receipts
from weaudit.trail.history import changes
from weaudit.trail.verification import resuming
from weaudit.trail.verification.walking import Verified
from weaudit.updates.conditions import condition_of
from weaudit.updates.requests import Settings, read_request


@dataclass(frozen=True)
class Parser:
    """``call`` takes one input; ``sound`` ones are taken without an error. ``texts`` says that inputs are texts."""

    call: Callable[[Any], Any]
    sound: tuple[Any, ...]
    errors: tuple[type[WeauditError | LedgerError], ...]
    texts: bool = False


def _asked(event: Any) -> Any:
    """Read a request of the API as the functions do, its cursor and its parameters as well."""
    request = requests.parse(event)
    found = queries.asked(request.route, request.path, request.query, "read_trail")
    queries.table(found)
    queries.limit(found)
    queries.newest_first(found)
    queries.without(found)
    queries.sequence(found)
    for name in ("since", "until", "at", "from", "to"):
        queries.moment(found, name)
    if request.route.endswith("/history"):
        return pages.history_plan(found)
    if request.route.endswith("/changes"):
        return pages.changes_plan(found, 1_704_067_200_000)
    return paging.place_of(found, 1)


def _cursor(text: str) -> Any:
    event = first("GET /v1/tables/{table}/history", {"table": "Configuration"})
    return _asked({**event, "multiValueQueryStringParameters": {"key": ["k"], "cursor": [text]}})


def _updated(document: Any) -> Any:
    request = read_request(document, Settings("Configuration"))
    return typed_key(request.id, {"pk": "S", "sk": "N"}), condition_of("a = 1")


def _stream(event: Any) -> Any:
    return [stream.parse(record) for record in stream.records(event)]


def _notified(event: Any) -> Any:
    return notifications.is_test(event) or [notifications.parse(one) for one in notifications.records(event)]


def _imaged(event: Any) -> Any:
    return [events.parse(record) for record in events.records(event)]


def _tiff(text: str) -> Any:
    found = tiff.read(text.encode("latin-1", "replace"))
    return found and (found.refusal, found.stated, found.whole, found.no_data, Samples(found).has_alpha)


def _frames(text: str) -> Any:
    return [frames.count(text.encode("latin-1", "replace"), kind) for kind in ("png", "avif", "heic")]


def _packed(text: str) -> Any:
    content = text.encode("latin-1", "replace")
    return unpacking.instead(content, text, packed=False), unpacking.beginning(content), unpacking.unpacked(content, 99)


def _checkpoint(text: str) -> Any:
    return checkpoints.opened(text.encode("utf-8", "surrogatepass"), policies.read(_POLICY.encode()))


_LOG, _WITNESS = signer("log.example"), witness("witness.example")
_POLICY = f"# ours\nlog {_LOG.key}\nwitness w {_WITNESS.key} https://w.example\ngroup g 1 w\nquorum g\n"
_TREE = checkpoints.text_of("log.example", 70_000, bytes(32))
_CHECKPOINT = notes.written(_TREE, [_LOG.signature(_TREE), _WITNESS.signature(_TREE, 1)]).decode()
_ONE = checkpoints.text_of("log.example", 1, bytes(32))
_SAME = notes.written(_ONE, [_LOG.signature(_ONE)]).decode()


def _witnessed(text: str) -> Any:
    request = witnesses.read(text.encode("utf-8", "surrogatepass"))
    return witnesses.approved(request, [_LOG.key], witnesses.Seen(1, bytes(32)))


def _proof(text: str) -> Any:
    found = proofs.parse(text.encode("latin-1", "replace"))
    return proofs.opened(found, 1, leaf_hash(ENTRY.encode()))


def _commit(text: str) -> Any:
    """Read a commit that whoever knows the secret has made, whatever is in it."""
    body = text.encode("latin-1", "replace")
    return commits.opened(body + commits._mac(SECRETS.origin, body), 0, SECRETS.origin)


def _lookup(text: str) -> Any:
    content = text.encode("latin-1", "replace")
    return finding._rows("r", 0, lambda _path, first, count: (content[first : first + count], len(content)))


def _receipt(record: Any) -> Any:
    """Read a receipt of a record that was sealed as it is, whatever it holds, and what would be shown of it."""
    digest = receipts.hash_of(record)
    one = entries.entry("foreign", "2024-01-01T00:00:00.000Z", hash=digest, id="r")
    text = checkpoints.text_of("log.example", 1, leaf_hash(one.text))
    note = notes.written(text, [_LOG.signature(text)])
    found = receipts.opened(proofs.build(0, [], note, one, record), policies.of_log(_LOG.key))
    assert found.record is not None
    # What `weaudit check` prints, and what it prints with --json.
    return shown._rows(found.record), dumps(shown._document(found))


def _verified(text: str) -> Any:
    """Read what is kept of a verification, undamaged."""
    content = text.encode("latin-1", "replace")
    return resuming.read(content + hashlib.sha256(content).digest())


def _receipt_records() -> tuple[Any, ...]:
    """Return the records of an item that was created, changed and deleted, as receipts have them."""
    images = [None, {"n": {"N": "1"}}, {"n": {"L": [{"S": "a" * 2_000}, {"NULL": True}]}}, None]
    records = [record for one in changed("k", images, at_ms=1_704_067_200_000) for record in decide(one)]
    found = [receipts.record_of(next(changes([record]))) for record in records]
    return tuple({**record, "id": {"S": "r"}} for record in found)


ENTRY = (
    f'{{"format":"weaudit-entry-1","hash":"{"c7" * 32}","id":"r","kind":"record","time":"2024-01-01T00:00:00.000Z"}}'
)
_EXTRA = base64.b64encode(entries.canonical({"entry": ENTRY})).decode()
_COMMIT = commits.packed(commits.Commit(0, bytes(32), [ENTRY.encode()]), SECRETS.origin)[:-32].decode("latin-1")
_LOOKUP = finding.content([entries.parse(ENTRY.encode())]).decode("latin-1")
_VERIFIED = b"".join(resuming.written(Verified("log.example")))[:-32].decode("latin-1")
_SQS = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(created("a.png", b"x", "0A"))}]}
_POST = {**second("POST /v1/updates"), "body": '{"id": "k", "attributes": {"n": 1.50}}'}
_DOCUMENT = {
    "id": {"pk": "a", "sk": 7},
    "attributes": {"n": 1, "deep": {"B": "AAE="}, "list": [None, True, "x"]},
    "condition_expression": "#n < :v AND size(tags) > 2",
    "condition_names": {"#n": "n"},
    "condition_values": {":v": 9},
    "enable_logging": True,
    "request_id": "r-1",
    "user_agent": "me",
}
_TRAIL = second("GET /v1/tables/{table}/history", {"table": "Configuration"}, key="k", limit="5", since="2024-01-01")
_PIPELINE = {
    "key": {"S": "IMAGE_PIPELINE"},
    **one_rendition(),
    "algorithms": {"L": [{"M": {"name": {"S": "a"}, "size": {"N": "8"}}}]},
    "keep_metadata": {"BOOL": True},
}

PARSERS: dict[str, Parser] = {
    "stream": Parser(
        _stream,
        ({"Records": [stream_record({"key": {"S": "k"}, "n": {"N": "1"}}, {"key": {"S": "k"}, "m": {"L": []}})]},),
        (MalformedEventError,),
    ),
    "s3": Parser(_notified, ({"Records": [object_record("a b+c.txt")]},), (MalformedEventError,)),
    "eventbridge": Parser(
        _imaged, (created("a.png", b"x", "0A"), deleted("a.png", "0B"), _SQS), (MalformedEventError,)
    ),
    "http": Parser(requests.document_of, (_POST, _TRAIL), (RequestError,)),
    "queries": Parser(_asked, (_TRAIL,), (RequestError,)),
    "updates": Parser(_updated, (_DOCUMENT,), (RequestError,)),
    "pipelines": Parser(pipeline.parse, (_PIPELINE,), (PipelineRefusedError,)),
    "conditions": Parser(
        condition_of,
        ("a.b[2] <> 1.50 AND (NOT attribute_exists(`x-y`) OR size(t) BETWEEN -1 AND 2E2)", r"s = 'it\'s \u00e9'"),
        (RequestError,),
        texts=True,
    ),
    "listings": Parser(
        lambda text: (listing(text), version_listing(text)),
        (
            "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%2Bb&amp;</Key><Size>1</Size></Contents>"
            "<CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListVersionsResult><EncodingType>url</EncodingType><Version><Key>a%2Bb</Key><Size>1</Size></Version>"
            "<DeleteMarker><Key>a</Key></DeleteMarker><IsTruncated>true</IsTruncated></ListVersionsResult>",
        ),
        (),
        texts=True,
    ),
    "json": Parser(plain.parse, ('{"a": [1.50, "x", null, {"b": true}]}',), (RequestError,), texts=True),
    "cursors": Parser(_cursor, (), (RequestError,), texts=True),
    "keys": Parser(notifications.decoded_key, ("a+b%2Bc%C3%A9.txt",), (MalformedEventError,), texts=True),
    "signatures": Parser(lambda text: sniffing.sniff(text.encode("latin-1", "replace")), ("RIFF....WEBP",), (), True),
    "checkpoints": Parser(_checkpoint, (_CHECKPOINT,), (LedgerError,), texts=True),
    "witnessing": Parser(_witnessed, (f"old 1\n\n{_SAME}",), (LedgerError,), texts=True),
    "policies": Parser(
        lambda text: policies.read(text.encode("utf-8", "surrogatepass")), (_POLICY,), (LedgerError,), texts=True
    ),
    "vkeys": Parser(notes.VerifierKey.read, (str(_LOG.key), str(_WITNESS.key)), (LedgerError,), texts=True),
    "tiffs": Parser(_tiff, (tiffs.made(32, 3, 2, colours=3, alpha=2).decode("latin-1")[:400],), (), texts=True),
    "frames": Parser(_frames, ("\0\0\0\x1cmoov\0\0\0\x14trak\0\0\0\x0cmdia....",), (), texts=True),
    "packed": Parser(_packed, (gzip.compress(b"a", mtime=0).decode("latin-1"),), (ImageRejectedError,), texts=True),
    "entries": Parser(
        lambda text: entries.parse(text.encode("latin-1", "replace")), (ENTRY,), (LedgerError,), texts=True
    ),
    "bundles": Parser(
        lambda text: tiles.parse_bundle(text.encode("latin-1", "replace"), 2),
        ("\0\1a\0\0",),
        (LedgerError,),
        texts=True,
    ),
    "tile paths": Parser(tiles.parse_path, ("tile/0/x001/234.p/5", "tile/entries/000"), (LedgerError,), texts=True),
    "commits": Parser(_commit, (_COMMIT,), (LedgerError,), texts=True),
    "lookups": Parser(_lookup, (_LOOKUP,), (LedgerError,), texts=True),
    "receipts": Parser(_receipt, _receipt_records(), (LedgerError,)),
    "verifications": Parser(_verified, (_VERIFIED,), (LedgerError,), texts=True),
    "proofs": Parser(
        _proof, (f"c2sp.org/tlog-proof@v1\nextra {_EXTRA}\nindex 0\n\nexample.com\n",), (LedgerError,), texts=True
    ),
}
