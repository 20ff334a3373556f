"""Inputs that grow, in the shapes that have stopped parsers elsewhere, for whatever reads or works on outside input."""

import gzip
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from tests.fakes import producer_stores
from tests.fuzz.parsers import ENTRY, PARSERS
from tests.image_fakes import created, one_rendition
from tests.notifications import numbered, object_record
from tests.strategies import change, stream_record
from tests.trails import decide, decision
from weaudit import evidence
from weaudit.api import paging, queries
from weaudit.cli.printing.rendering import value_text
from weaudit.handlers import audit_producer, s3_processor
from weaudit.images import rows as image_rows
from weaudit.installation import item_keys, tracing
from weaudit.installation.repairs import failed_events
from weaudit.items import differences, plain, sizes, values
from weaudit.items import texts as json_texts
from weaudit.ledger import entries as leaf_texts
from weaudit.objects.store import InvocationLog
from weaudit.runtime.event import Invocation
from weaudit.sealing import commits
from weaudit.trail import documents, history, pages, rebuilding, state_documents, states
from weaudit.trail.verification import verifying
from weaudit.updates import conditions, log, requests
from weaudit.updates import plan as updating

Shapes = dict[str, Callable[[int], Any]]


@dataclass(frozen=True)
class Growing:
    """Something done to outside input, what may be said of the input, and inputs of any size. ``most`` bounds sizes."""

    call: Callable[[Any], Any]
    errors: tuple[type[BaseException], ...]
    shapes: Shapes
    most: int = 200


def _named(count: int, value: Any = 1) -> dict[str, Any]:
    return {f"n{number}": value for number in range(count)}


def _nested(depth: int, inner: Any, wrap: Callable[[Any], Any] = lambda part: [part]) -> Any:
    for _ in range(depth):
        inner = wrap(inner)
    return inner


def _object(names: list[str]) -> str:
    return "{" + ",".join(f'"{name}":1' for name in names) + "}"


def _distinct(count: int) -> list[str]:
    return [f"n{number}" for number in range(count)]


JSON: Shapes = {
    "many names": lambda n: _object(_distinct(n)),
    "many names, the last two equal": lambda n: _object([*_distinct(n), "z", "z"]),
    "many names, each twice": lambda n: _object(_distinct(n) * 2),
    "one name many times": lambda n: _object(["z"] * n),
    "many objects of two names": lambda n: f"[{','.join([_object(['a', 'b'])] * n)}]",
    "a long list": lambda n: f"[{','.join(['1'] * n)}]",
    "deep": lambda n: "[" * n + "]" * n,
    "deep objects": lambda n: '{"a":' * n + "1" + "}" * n,
    "deep, and wide at its end": lambda n: "[" * 400 + ",".join(["1"] * n) + "]" * 400,
    "never closed": lambda n: '{"a":[' * n,
    "a long number": lambda n: "1" * n,
    "a long fraction": lambda n: "0." + "1" * n,
    "a long exponent": lambda n: "1E" + "9" * n,
    "a long text": lambda n: json.dumps("ф" * n, ensure_ascii=False),
    "many escapes": lambda n: json.dumps("ф" * n),
    "many blanks": lambda n: " " * n + "1" + " " * n,
}


def _wrapped(shapes: Shapes, wrap: Callable[[Any], Any], names: str = "{}") -> Shapes:
    """Return the same shapes inside something else."""

    def inside(shape: Callable[[int], Any]) -> Callable[[int], Any]:
        return lambda n: wrap(shape(n))

    return {names.format(name): inside(shape) for name, shape in shapes.items()}


# As JSON is read: numbers by their digits.
VALUES: Shapes = {
    "many names": _named,
    "long names": lambda n: {f"{number}{'x' * 200}": 1 for number in range(n // 4)},
    "one long name over many values": lambda n: {"x" * (10 * n): [None] * n},
    "long names over many values": lambda n: _nested(20, [None] * n, lambda part: {"x" * 80: part}),
    "a list": lambda n: [1] * n,
    "lists of lists": lambda n: [[[1]]] * n,
    "small maps": lambda n: [{"a": 1}] * n,
    "deep, and wide at its end": lambda n: _nested(25, ["x"] * n),
    "deeper than DynamoDB": lambda n: _nested(min(n, 400), 1),
    "a set of texts": lambda n: {"SS": _distinct(n)},
    "a set of texts, the last two equal": lambda n: {"SS": [*_distinct(n), "z", "z"]},
    "a set of numbers": lambda n: {"NS": [str(number) for number in range(n)]},
    "a set of equal numbers": lambda n: {"NS": ["1." + "0" * (number % 20) for number in range(n)]},
    "many small sets": lambda n: [{"NS": [1, 2]}, {"SS": ["a", "b"]}] * n,
    "a set of binaries": lambda n: {"BS": ["AAECAwQ="] * n},
    "long binary": lambda n: {"B": "AAEC" * n},
    "a long text": lambda n: "ф" * n,
    "a long number": lambda n: plain.Number("9" * n),
    "numbers of many digits": lambda n: [plain.Number("9" * 38), plain.Number("1E-120")] * n,
    "what is wrong at its end": lambda n: [*([1] * n), {"NS": []}],
}


def _typed(found: Any) -> Any:
    """Return what JSON holds as DynamoDB JSON, or the text "no" where DynamoDB has no such value."""
    try:
        return plain.typed(found, "v")
    except Exception:  # noqa: BLE001
        return {"S": "no"}


# The same as DynamoDB has them, beside what only DynamoDB writes.
TYPED: Shapes = {
    **_wrapped(VALUES, _typed),
    "a set, unsorted": lambda n: {"SS": [str(number * 7919 % n) for number in range(n)]},
    "empty texts": lambda n: {"L": [{"S": ""}] * n},
}


def _changed(value: Any) -> tuple[Any, Any]:
    """Return an item before and after a change: beside the value another one changed."""
    before, after = ({"L": [{"S": text}, value]} for text in "ab")
    return {"key": {"S": "k"}, "v": before}, {"key": {"S": "k"}, "v": after}


def _appeared(value: Any) -> tuple[Any, Any]:
    """Return an item before and after its attribute became this value."""
    return {"key": {"S": "k"}, "v": {"S": "a"}}, {"key": {"S": "k"}, "v": value}


def _all_attributes(n: int, old: Any, new: Any) -> tuple[Any, Any]:
    before, after = ({"key": {"S": "k"}, **dict.fromkeys(_distinct(n), value)} for value in (old, new))
    return before, after


IMAGES: Shapes = {
    **_wrapped(TYPED, _changed, "beside {}"),
    **_wrapped(TYPED, _appeared),
    "every attribute": lambda n: _all_attributes(n, {"N": "1"}, {"N": "2"}),
    "every attribute a map": lambda n: _all_attributes(n, {"M": {"a": {"N": "1"}}}, {"M": {"a": {"N": "2"}}}),
    "one of many attributes": lambda n: (
        {"key": {"S": "k"}, **_named(n, {"S": "x"})},
        {"key": {"S": "k"}, **_named(n, {"S": "x"}), "n1": {"S": "y"}},
    ),
    "a set that gains and loses": lambda n: tuple(
        {"key": {"S": "k"}, "s": {"SS": [f"{letter}{number}" for number in range(n)]}} for letter in "ab"
    ),
    "a list that moves by one": lambda n: tuple(
        {"key": {"S": "k"}, "l": {"L": [{"N": str(number)} for number in range(start, start + n)]}} for start in (0, 1)
    ),
}


def _document(**parts: Any) -> dict[str, Any]:
    return {"id": "k", "attributes": {"a": 1}, **parts}


CONDITIONS: Shapes = {
    "a chain of AND": lambda n: " AND ".join(["a=1"] * n),
    "a chain of OR": lambda n: " OR ".join([f"a{number}=1" for number in range(n)]),
    "AND and OR by turns": lambda n: " OR ".join(["a=1 AND b=2"] * (n // 2)),
    "parentheses": lambda n: "(" * n + "a=1" + ")" * n,
    "parentheses around an operand": lambda n: "(" * n + "a" + ")" * n + "=1",
    "parentheses never closed": lambda n: "(" * n + "a=1",
    "nested to the right": lambda n: "a=1 OR (b=2 AND (" * (n // 2) + "c=3" + "))" * (n // 2),
    "nested to the left": lambda n: "((" * (n // 2) + "c=3" + ") OR b=2) AND a=1" * (n // 2),
    "NOT": lambda n: "NOT " * n + "a=1",
    "choices": lambda n: f"a IN ({','.join(['1'] * n)})",
    "a long path": lambda n: ".".join(["a"] * n) + "=1",
    "a path of places": lambda n: "a" + "[0]" * n + "=1",
    "many names": lambda n: " AND ".join([f"n{number}=1" for number in range(n // 2)]),
    "a long name": lambda n: "a" * n + "=1",
    "a long text": lambda n: f"a='{'x' * n}'",
    "escapes": lambda n: f"a='{chr(92) * 2 * n}'",
    "a long number": lambda n: "a=" + "1" * n,
    "blanks": lambda n: "a" + " " * n + "=" + " " * n + "1",
    "functions": lambda n: " AND ".join(["contains(a,size(b))"] * (n // 4)),
    "sizes within sizes": lambda n: "size(" * n,
    "not closed": lambda n: "a='" + "x" * n,
}


def _event(body: str, **parts: Any) -> dict[str, Any]:
    return {"version": "2.0", "routeKey": "POST /v1/updates", "requestContext": {"http": {}}, "body": body, **parts}


def _asked(query: str, **parts: Any) -> dict[str, Any]:
    route = "GET /v1/tables/{table}/changes"
    path = {"pathParameters": {"table": "Configuration"}}
    return {
        "version": "2.0",
        "routeKey": route,
        "rawQueryString": query,
        "requestContext": {"http": {}},
        **path,
        **parts,
    }


def _cursor(given: list[str]) -> str:
    asked = queries.asked("GET /v1/tables/{table}/changes", {"table": "Configuration"}, {}, "read_trail")
    return paging.cursor(asked, ["2024-01-02T00:00:00.000Z", "2024-01-01T00:00:00.000Z#" + "0" * 40, *given])


def _tiff(tag: int, kind: int, count: int, behind: bytes) -> str:
    entry = struct.pack("<HHII", tag, kind, count, 26)  # its values are behind the directory
    return (b"II*\0\x08\0\0\0\x01\0" + entry + b"\0\0\0\0" + behind).decode("latin-1")


def _listing(parts: str) -> str:
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType>{parts}<IsTruncated>true</IsTruncated></ListBucketResult>"
    )


_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"


def _note(text: str, signatures: str) -> str:
    return f"{text}\n{signatures}"


_PROOF = "c2sp.org/tlog-proof@v1\nextra {}\nindex 0\n{}\nexample.com\n"


def _commit(count: int, bundle: str) -> str:
    head = {"before": 0, "count": count, "format": commits.FORMAT, "root": "0" * 64}
    return json.dumps(head, separators=(",", ":")) + "\n" + bundle


def _lookup(rows: str) -> str:
    (sound,) = PARSERS["lookups"].sound
    return str(sound).partition("\n")[0] + "\n" + rows


def _receipt_of(value: Any) -> dict[str, Any]:
    """Return the record of a change to this value; of a whole item, if it is a map."""
    created, changed, _ = PARSERS["receipts"].sound
    return {**(created if "M" in value else changed), "newValue": value}


def _verified(**parts: Any) -> str:
    (sound,) = PARSERS["verifications"].sound
    return json.dumps({**json.loads(sound), **parts}) + "\n"


def _rendition(n: int, **parts: Any) -> dict[str, Any]:
    return {"L": [{"M": {"name": {"S": f"r{number}"}, **parts}} for number in range(n)]}


PARSED: dict[str, Shapes] = {
    "json": JSON,
    "http": {
        **_wrapped(JSON, _event),
        "many headers": lambda n: _event("{}", headers=_named(n, "x")),
        "no JSON": lambda n: _event("x" * n),
        "base64": lambda n: _event("AAEC" * n, isBase64Encoded=True),
    },
    "updates": {
        **_wrapped(VALUES, lambda value: _document(attributes={"a": value})),
        **_wrapped(CONDITIONS, lambda text: _document(condition_expression=text), "condition: {}"),
        "many attributes": lambda n: _document(attributes=_named(n)),
        "many fields": lambda n: _document(**_named(n)),
        "many parts of a key": lambda n: _document(id=_named(n, "x")),
        "a key that is JSON": lambda n: _document(id=JSON["many names, the last two equal"](n)),
        "a long key": lambda n: _document(id="x" * n),
        "values of a condition": lambda n: _document(
            condition_expression="a=:n0", condition_values={f":n{number}": number for number in range(n)}
        ),
        "names of a condition": lambda n: _document(
            condition_expression="#n0=1", condition_names={f"#n{number}": "x" for number in range(n)}
        ),
    },
    "conditions": CONDITIONS,
    "queries": {
        "many parameters": lambda n: _asked("&".join(f"p{number}=1" for number in range(n))),
        "one parameter many times": lambda n: _asked("&".join(["limit=1"] * n)),
        "a long value": lambda n: _asked("since=" + "2" * n),
        "escapes": lambda n: _asked("since=" + "%41" * n),
        "a long number": lambda n: _asked("limit=" + "9" * n),
        "a cursor of many parts": lambda n: _asked("cursor=" + _cursor(_distinct(n))),
        "a long table": lambda n: _asked("", pathParameters={"table": "x" * n}),
        "many parameters of the path": lambda n: _asked("", pathParameters={"table": "Abc", **_named(n, "x")}),
    },
    "cursors": {
        "a long text": lambda n: "A" * n,
        "many parts": lambda n: _cursor(_distinct(n)),
        "deep": lambda n: "W1tb" * n,
        "a long number": lambda n: "OTk5" * n,
    },
    "stream": {
        "many records": lambda n: {"Records": [stream_record(*_all_attributes(1, {"N": "1"}, {"N": "2"}))] * n},
        "many attributes": lambda n: {"Records": [stream_record(*_all_attributes(n, {"N": "1"}, {"N": "2"}))]},
        "a long number": lambda n: {"Records": [stream_record(None, {"key": {"S": "k"}}, SequenceNumber="1" * n)]},
        "zeros": lambda n: {"Records": [stream_record(None, {"key": {"S": "k"}}, SequenceNumber="0" * n)]},
        "a long name of a stream": lambda n: {
            "Records": [{**stream_record(None, {"key": {"S": "k"}}), "eventSourceARN": "arn:" + ":table/" * n}]
        },
    },
    "s3": {
        "many records": lambda n: {"Records": numbered(n)},
        "a long key": lambda n: {"Records": [object_record(key="a+b " * n)]},
        "a long sequencer": lambda n: {"Records": [object_record(sequencer="0" * n)]},
        "a long time": lambda n: {"Records": [{**numbered(1)[0], "eventTime": "2024-01-01T00:00:00." + "0" * n + "Z"}]},
    },
    "eventbridge": {
        "many messages": lambda n: {
            "Records": [{"eventSource": "aws:sqs", "body": json.dumps(created("a.png", b"x", "0A"))}] * n
        },
        "deep": lambda n: {"Records": [{"eventSource": "aws:sqs", "body": "[" * n}]},
        "one name many times": lambda n: {"Records": [{"eventSource": "aws:sqs", "body": _object(["z"] * n)}]},
        "a long time": lambda n: {**created("a.png", b"x", "0A"), "time": "2024-01-01T00:00:00." + "0" * n + "Z"},
        "a long key": lambda n: created("a" * n, b"x", "0A"),
    },
    "entries": {
        **JSON,
        "a long id": lambda n: ENTRY.replace('"r"', f'"{"r" * n}"'),
        "many fields": lambda n: ENTRY[:-1] + "".join(f',"z{number}":1' for number in range(n)) + "}",
        "many shards": lambda n: leaf_texts.entry(
            "seal", "2024-01-01T00:00:00.000Z", n=1, marks={"s": dict.fromkeys(_distinct(n), "1")}
        ).text.decode(),
        "many kinds of marks": lambda n: leaf_texts.entry(
            "seal", "2024-01-01T00:00:00.000Z", n=1, marks={name: {} for name in _distinct(n)}
        ).text.decode(),
    },
    "bundles": {
        "a long entry": lambda n: f"{chr(n >> 8)}{chr(n & 255)}{'x' * n}\0\0",
        "more than its entries": lambda n: "\0\1a" * n,
        "nothing of a long entry": lambda n: "\xff\xff" + "x" * n,
        "empty entries": lambda n: "\0" * n,
    },
    "tile paths": {
        "many groups": lambda n: "tile/0/" + "x001/" * n + "000",
        "a long number": lambda n: "tile/0/" + "0" * n,
        "a long width": lambda n: "tile/0/000.p/" + "1" * n,
        "slashes": lambda n: "tile/entries" + "/" * n,
    },
    "commits": {
        "many entries": lambda n: _commit(n, "\0\1a" * n),
        "a long entry": lambda n: _commit(1, f"{chr(n >> 8)}{chr(n & 255)}{'x' * n}"),
        "fewer entries than it says": lambda n: _commit(10**9, "\0\1a" * n),
        "a long line": lambda n: "[" * n,
        "a long root": lambda n: _commit(1, "\0\1a").replace("00", "00" * n),
    },
    "lookups": {
        "many rows": lambda n: _lookup("".join(f"{number:08}\0\0" for number in range(n))),
        "rows of one id": lambda n: _lookup("ECI\xe4\"\xf0R\x97\0\0" * n),
        "a long line": lambda n: "[" * n,
        "not in order": lambda n: _lookup("\xff" * 10 * n + "\0" * 10 * n),
    },
    "receipts": {
        **_wrapped(TYPED, _receipt_of, "a value: {}"),
        "many attributes": lambda n: _receipt_of({"M": _named(n, {"N": "1"})}),
        "many commitments": lambda n: _receipt_of({"M": _named(n, {"#": "0" * 64})}),
        "many fields": lambda n: {**_receipt_of({"N": "1"}), **_named(n, {"N": "1"})},
        "a long item key": lambda n: {**_receipt_of({"N": "1"}), "itemKey": {"S": "k" * n}},
    },
    "verifications": {
        "many tables": lambda n: _verified(tables=_distinct(n)),
        "many findings": lambda n: _verified(findings=[[5, "altered", "text"]] * n),
        "many marks": lambda n: _verified(seals={"marks": {"s": dict.fromkeys(_distinct(n), "1")}}),
        "many rows": lambda n: _verified(rows=n) + "\0" * 58 * n,
        "deep": lambda n: "[" * n + "\n",
    },
    "proofs": {
        "many hashes": lambda n: _PROOF.format("x", f"{'A' * 43}=\n" * n),
        "many short lines": lambda n: _PROOF.format("x", "\n".join("a" * n)),
        "a long line": lambda n: _PROOF.format("x", "A" * n),
        "a long index": lambda n: _PROOF.format("x", "").replace("index 0", f"index {'9' * n}"),
        "extra that is deep": lambda n: _PROOF.format("W1tb" * n, ""),
        "extra that is long": lambda n: _PROOF.format("AAAA" * n, ""),
        "a long checkpoint": lambda n: _PROOF.format("AAAA", "") + "x\n" * n,
    },
    "pipelines": {
        "many renditions": lambda n: {"renditions": _rendition(n)},
        "renditions of one name": lambda n: {"renditions": {"L": [{"M": {"name": {"S": "a"}}}] * n}},
        "many filters": lambda n: {"renditions": _rendition(1, filters={"L": [{"M": {"name": {"S": "sharpen"}}}] * n})},
        "many algorithms": lambda n: {"algorithms": _rendition(n)},
        "parameters of an algorithm": lambda n: {"algorithms": _rendition(1, **_named(n, {"N": "1"}))},
        "many fields": lambda n: {**one_rendition(), **_named(n, {"N": "1"})},
        **_wrapped(TYPED, lambda value: {"algorithms": _rendition(1, p=value)}, "a parameter: {}"),
    },
    "keys": {
        "letters": lambda n: "a" * n,
        "escapes": lambda n: "%41" * n,
        "blanks": lambda n: "+" * n,
        "half an escape": lambda n: "%" * n,
        "no UTF-8": lambda n: "%ff" * n,
    },
    "signatures": {
        "declarations": lambda n: "<?x?>" * n,
        "comments": lambda n: "<!-- x -->" * n,
        "half comments": lambda n: "<!" * n,
        "blanks": lambda n: " " * n,
        "brands": lambda n: "\0\0\xff\xffftyp" + "mif1" * n,
    },
    "checkpoints": {
        "many signatures": lambda n: _note("o\n1\n", "— a AAAAAAA=\n" * n),
        "a long signature": lambda n: _note("o\n1\n", f"— a {'AAAA' * n}AAAAAAA=\n"),
        "a long text": lambda n: _note("line\n" * n, "— a AAAAAAA=\n"),
        "empty lines": lambda n: "\n" * n,
        "a long name": lambda n: _note("o\n1\n", f"— {'a' * n} AAAAAAA=\n"),
    },
    "witnessing": {
        "many hashes": lambda n: "old 1\n" + ("A" * 43 + "=\n") * n + "\n" + _note("o\n1\n", "— a AAAAAAA=\n"),
        "a long size": lambda n: f"old {'9' * n}\n\n" + _note("o\n1\n", "— a AAAAAAA=\n"),
        "many signatures": lambda n: "old 1\n\n" + _note("o\n1\n", "— a AAAAAAA=\n" * n),
        "a long text": lambda n: "old 1\n\n" + _note("line\n" * n, "— a AAAAAAA=\n"),
    },
    "policies": {
        "many lines": lambda n: "quorum none\n" * n,
        "many comments": lambda n: "#\n" * n,
        "many words": lambda n: "group g any" + " a" * n + "\n",
        "blanks": lambda n: " \t" * n + "\n",
        "many logs": lambda n: f"log {_KEY}\n" * n,
        "a long number": lambda n: f"group g {'9' * n} a\n",
    },
    "vkeys": {
        "a long name": lambda n: "a" * n + _KEY,
        "many parts": lambda n: "a+" * n,
        "a long key": lambda n: "a+00000000+" + "AAAA" * n,
        "spaces": lambda n: " " * n + "+00000000+AAAA",
    },
    "tiffs": {
        "many values": lambda n: _tiff(258, 3, n, b"\x08\0" * n),  # BitsPerSample
        "a long text": lambda n: _tiff(42113, 2, n, b"9" * n),  # GDAL_NODATA
        "much behind it": lambda n: _tiff(259, 3, 1, b"\x01" * n),
        "blanks": lambda n: "II*\0" + "\0" * n,
    },
    "frames": {
        "chunks of a picture": lambda n: "\x89PNG\r\n\x1a\n" + "\0\0\0\0tEXt\0\0\0\0" * n,
        "boxes side by side": lambda n: "\0\0\0\x08moov" * n,
        "boxes in boxes": lambda n: "".join(f"\0\0\0\0{kind}" for kind in ("moov", "trak", "mdia", "minf")) + "\0" * n,
        "tracks": lambda n: "\0\0\0\0moov" + "\0\0\0\x10trak\0\0\0\x08mdia" * n,
    },
    "packed": {
        "a long member": lambda n: gzip.compress(b"a" * n, 0, mtime=0).decode("latin-1"),
        "letters": lambda n: "A" * n,
        "lines of base64": lambda n: "iVBO\n" * n,
        "codings": lambda n: "br," * n,
        "blanks": lambda n: " " * n,
    },
    "listings": {
        "many objects": lambda n: _listing("<Contents><Key>a</Key><Size>1</Size></Contents>" * n),
        "many groups": lambda n: _listing("<CommonPrefixes><Prefix>a</Prefix></CommonPrefixes>" * n),
        "many versions": lambda n: _listing("<Version><Key>a</Key><IsLatest>true</IsLatest></Version>" * n),
        "entities": lambda n: _listing(f"<Contents><Key>{'&amp;' * n}</Key></Contents>"),
        "never closed": lambda n: _listing("<Contents><Key>" * n),
    },
}  # fmt: skip


def _read_and_audit(images_of: tuple[Any, Any]) -> list[Any]:
    old, new = images_of
    return decide(change(old, new), actor="by")


def _moved(images_of: tuple[Any, Any]) -> Any:
    old, new = images_of
    return decision(change(old, new), inline_bytes=1024).large_values


def _told(images_of: tuple[Any, Any]) -> Any:
    records = _read_and_audit(images_of)
    found = [documents.document(one) for one in history.changes(records)]
    return json_texts.compact(found), json_texts.dumps(found), [documents.without_values(one) for one in found]


def _steps(n: int) -> list[Any]:
    """Return an item's changes, n of one attribute, gathered."""
    items = [{"key": {"S": "k"}, "v": {"N": str(number)}} for number in range(n)]
    steps = zip([None, *items], [*items, None], strict=True)
    told = [change(old, new, sequence=str(10**21 + number)) for number, (old, new) in enumerate(steps)]
    return list(history.changes(record for one in told for record in decide(one)))


def _page(count: int, *, same_place: bool) -> Any:
    texts = {"limit": str(min(count, 1000)), "since": "2024-01-01", "until": "2024-01-02"}
    asked = queries.asked(
        "GET /v1/tables/{table}/changes",
        {"table": "Configuration"},
        {name: [text] for name, text in texts.items()},
        "read_trail",
    )
    keys = [{"key": {"S": f"k{number}"}} for number in range(count)]
    told = [change(None, key, keys=key, sequence="0" if same_place else str(at)) for at, key in enumerate(keys)]
    found = history.changes(record for one in told for record in decide(one))
    plan = pages.changes_plan(asked, 0)
    return pages.changes_page(asked, plan, plan.left(found))


class _Refusing:
    """An Audit table that can hold none of the records."""

    def put(self, records: list[Any], large_values: Any) -> dict[str, Exception]:
        del large_values
        return {record["id"]["S"]: ValueError("never") for record in records}

    def put_absent(self, records: list[Any]) -> None:
        assert not records, "no secret is erased here"

    def keep_rules(self, rules: Any) -> None:
        assert not rules.digest, "no table has rules about places here"


class _Evidence:
    name = "evidence"

    def put(self, key: str, body: bytes) -> None:
        del key, body


def _refused(images_of: tuple[Any, Any]) -> Any:
    event = {"Records": [stream_record(*images_of)]}
    stores = producer_stores(cast("Any", None), cast("Any", None))
    return audit_producer.handle(event, **{**stores, "audit": _Refusing(), "evidence": _Evidence()})


def _log_line(text: str) -> Any:
    line = tracing._line({"message": text, "timestamp": 1}, "group", "audit_producer")
    return list(tracing.joined_ids(line.fields)), tracing.summary(line)


def _planned(document: Any) -> Any:
    settings = requests.Settings("Configuration")
    caller = requests.Caller("arn")
    document = {**document, "enable_logging": True, "request_id": "r"}
    log.failed_entry(document, settings, caller, "DatabaseError", 0, "log", rules=())
    request = requests.read_request(document, settings)
    return updating.dry_run(
        updating.plan(request, {"key": "S"}, settings, caller, 0, "log", secret=bytes(32), rules=())
    )


class _Log:
    """The invocation log, which takes no row but the last."""

    def put(self, rows: Any) -> dict[Any, Exception]:
        return {InvocationLog.key_of(row): ValueError("never") for row in [*rows][:-1]}


def _logged(event: Any) -> Any:
    stores: Any = {"log": _Log(), "evidence": _Evidence()}
    return s3_processor.handle(event, Invocation("f", "r", lambda: 0), **stores)


def _compared(pair: tuple[Any, Any]) -> Any:
    pair_of_states = [states.AsOf(exists=True, item=image) for image in pair]
    found = state_documents.between_document(states.between(*pair_of_states), "T", "k", "", "")
    return json_texts.compact(documents.cut(found))


DONE: dict[str, Growing] = {
    "audited": Growing(_read_and_audit, (ValueError,), IMAGES),
    "told": Growing(_told, (ValueError,), IMAGES),
    "compared": Growing(lambda pair: list(differences.differences({"M": pair[0]}, {"M": pair[1]})), (), IMAGES),
    "compared by the API": Growing(_compared, (), IMAGES),
    "planned": Growing(_planned, PARSERS["updates"].errors, PARSED["updates"]),
    "logged": Growing(_logged, (), PARSED["s3"]),
    "images told": Growing(
        lambda row: image_rows.document(row, lambda key: f"https://{key}", "then"),
        (),
        {
            "many renditions": lambda n: {"renditions": _rendition(n, key={"S": "k"})},
            "many fields": lambda n: _named(n, {"S": "x"}),
        },
    ),
    "put aside": Growing(_refused, (), {name: IMAGES[name] for name in ("every attribute", "a list")}),
    "quarantined": Growing(
        lambda pair: evidence.quarantined(stream_record(*pair), ValueError(), "audit_producer"), (), IMAGES
    ),
    "moved": Growing(lambda pair: [evidence.packed(large.text) for large in _moved(pair)], (ValueError,), IMAGES),
    "spelled": Growing(lambda value: (values.spelled(value), values.canonical(value)), (ValueError,), TYPED),
    "measured": Growing(sizes.value_bytes, (ValueError,), TYPED),
    "shown": Growing(lambda value: (plain.plain(value), value_text(value)), (ValueError,), TYPED),
    "typed": Growing(lambda found: plain.typed(found, "v"), PARSERS["json"].errors, VALUES),
    "rebuilt": Growing(
        lambda changes: rebuilding.rebuild(reversed(changes), iter(()), lambda _reference, _salt: None),
        (),
        {"many changes": lambda n: _steps(n)[:-1]},
    ),
    "verified": Growing(
        lambda changes: verifying.verify_item(
            changes, None, table="Configuration", table_arn="arn", item_key="k", audited_from_birth=True
        ),
        (),
        {"many changes": _steps},
    ),
    "paged": Growing(
        lambda asked: _page(asked[0], same_place=asked[1]),
        (),
        {"many changes": lambda n: (n, False), "many changes of one instant": lambda n: (n, True)},
        most=400,
    ),
    "item keys": Growing(lambda text: item_keys.item_keys(text, None, "T"), (), JSON),
    # Beyond what Python reads as well: it nests a thousand levels deep, or ten thousand.
    "log lines": Growing(_log_line, (), {**JSON, "deeper": lambda n: "[" * 500 * n}),
    "failed events": Growing(
        lambda text: failed_events.event_of(
            {"MessageId": "m", "ReceiptHandle": "r", "Body": text, "Attributes": {"SentTimestamp": "0"}}, "evidence"
        ),
        (),
        {**JSON, "deeper": lambda n: "[" * 500 * n},
    ),
    "conditions with values": Growing(
        lambda given: conditions.condition_of("a=:n0", given),
        PARSERS["conditions"].errors,
        {"many values": lambda n: {f":n{number}": number for number in range(n)}},
    ),
}

# A condition longer than this is refused unread.
_MOST = {"conditions": 240}
LARGE: dict[str, Growing] = {
    **{
        name: Growing(PARSERS[name].call, PARSERS[name].errors, shapes, _MOST.get(name, 400))
        for name, shapes in PARSED.items()
    },
    **DONE,
}
