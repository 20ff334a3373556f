"""Checks every field of every record, row, log entry and response of the demo against the pages of docs/formats.

The expected values are computed here independently, and not by the code that writes them.
"""

import base64
import hmac
import json
import re
import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from weaudit.demo import picture
from weaudit.demo.steps import Step
from weaudit.images.pixels import libvips
from weaudit.items.values import Item, Value
from weaudit.trail.changes import AuditedChange

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_SIZES = {"kid": 8, "salt": 16, "contentSalt": 16, "origin": 16}
# The fields that a record's hash covers besides the label of the stream and the hash of the content.
_COVERED = (
    "afterHash", "afterMasked", "beforeHash", "beforeMasked", "eventName", "format", "id", "kid", "masked",
    "modificationTime", "records", "rules", "sequenceNumber", "tableArn", "tableName", "updatedAttribute",
)  # fmt: skip
# The stream's times are whole seconds on AWS, rounded either way.
_ROUNDING_MS = 1500
_OTHERS_OF_A_ROW = {"requestId", "timestamp", "awsRequestId", "versionId", "sequencer"}


class Secrets(NamedTuple):
    """The secrets of the installation: 32 bytes each."""

    root: bytes
    origin: bytes


def faults(
    table: str,
    key: str,
    steps: Sequence[Step],
    records: Mapping[str, Item | None],
    from_ms: int,
    until_ms: int,
    secrets: Secrets | None = None,
) -> Iterator[str]:
    """Yield what is wrong with the records of the steps, given by id in the order of the trail.

    Every step changes one attribute or the whole item, so each made one record. ``from_ms`` and ``until_ms`` are when
    the steps began and ended, in milliseconds since 1970. Without the ``secrets``, salts and origins are held to their
    size only, and the salt of the item to be the same in every record.
    """
    if len(records) != len(steps):
        yield f"{len(records)} records instead of {len(steps)}"
    last = ""
    salts = {(_text(record, "kid", "B"), _text(record, "salt", "B")) for record in records.values() if record}
    if len(salts) > 1:
        yield f"the records of one item have {len(salts)} different pairs of kid and salt"
    for step, (name, record) in zip(steps, records.items(), strict=False):
        if record is None:
            yield f"{step.words}: record {name} is in the index and not in the table"
            continue
        sequence = _text(record, "sequenceNumber")
        for fault in (
            *_field_faults(_expected(table, key, step, record, secrets), record),
            *_time_faults(record, from_ms, until_ms),
        ):
            yield f"{step.words}: {fault}"
        if sequence <= last:
            yield f"{step.words}: sequenceNumber {sequence} does not follow {last}"
        last = sequence


def _expected(table: str, key: str, step: Step, record: Item, secrets: Secrets | None) -> Item:
    """Return the record that a step must have made.

    What only the stream knows is taken from the record itself, and so are the salts where the secrets are not known.
    """
    partition = sha256(f"{table}\0{key}".encode()).hexdigest()[:40]
    at, sequence, arn = (_text(record, name) for name in ("modificationTime", "sequenceNumber", "tableArn"))
    label = _text(record, "changeOrder").partition("#")[0]
    name = _changed(step)
    stream = f"{arn}/stream/{label}"
    shard = sha256(f"weaudit-shard-2\0{stream}\0{sequence}".encode()).hexdigest()[0]
    identity = _uuid4(sha256(f"weaudit-record-v1\0{stream}\0{sequence.lstrip('0')}\0{name or ''}".encode()).hexdigest())
    texts = {
        "id": identity,
        "itemKey": key,
        "modificationTime": at,
        "tableName": table,
        "tableArn": arn,
        "eventName": step.event_name,
        "sequenceNumber": sequence,
        "historyKey": partition,
        "changeOrder": f"{label}#{sequence}",
        "changesKey": f"{table}#{at[:7]}#{shard}",
        "changesOrder": f"{at}#{sequence}",
    }
    expected: Item = {name: {"S": text} for name, text in texts.items()}
    expected |= {"format": {"N": "2"}, "records": {"N": "1"}}
    if name is not None:
        expected["updatedAttribute"] = {"S": name}
    for side, item in (("old", step.before), ("new", step.after)):
        value = item and ({"M": item} if name is None else item.get(name))
        if value:
            expected[f"{side}Value"] = value
    kid, salt, content_salt = (_bytes(record, name) for name in ("kid", "salt", "contentSalt"))
    if secrets is not None:
        kid = sha256(_framed(b"weaudit-kid-2", secrets.root)).digest()[:8]
        derived = hmac.digest(secrets.root, _framed(b"weaudit-item-2", arn.encode(), key.encode()), "sha512")
        salt = derived[:16]
        content_salt = hmac.digest(derived[32:], _framed(b"weaudit-content-2", identity.encode()), "sha256")[:16]
    expected |= {"kid": _binary(kid), "salt": _binary(salt), "contentSalt": _binary(content_salt)}
    for side, item in (("before", step.before), ("after", step.after)):
        if item is not None:
            digest = sha256(_framed(b"weaudit-state-2", salt, _canonical(item))).digest()
            expected[f"{side}Hash"] = _binary(digest)
    expected["origin"] = record.get("origin", {"NULL": True})
    if secrets is not None:
        expected["origin"] = _binary(_origin(secrets.origin, expected, label, content_salt))
    return expected


def _changed(step: Step) -> str | None:
    """Return the attribute that a step changes, or None if it makes or deletes the item."""
    if step.before is None or step.after is None:
        return None
    before, after = step.before, step.after
    (name,) = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return name


def _origin(key: bytes, record: Item, label: str, salt: bytes) -> bytes:
    """Return the mark of a record that has neither a masked place nor a value of over 1,024 bytes."""
    said: Item = {name: record[name] for name in ("itemKey", "oldValue", "newValue") if name in record}
    content = sha256(_framed(b"weaudit-content-2", salt, _canonical(said))).digest()
    covered = {name: value for name, value in record.items() if name in _COVERED}
    covered |= {"streamLabel": {"S": label}, "content": _binary(content)}
    digest = sha256(_framed(b"weaudit-record-2", _canonical(covered))).digest()
    return hmac.digest(key, _framed(b"weaudit-origin-2", digest), "sha256")[:16]


def _framed(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def _canonical(item: Item) -> bytes:
    """Return the canonical text of an item whose numbers are canonical, and which has no sets."""
    return json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _binary(raw: bytes) -> Value:
    return {"B": base64.b64encode(raw).decode()}


def _bytes(record: Item, name: str) -> bytes:
    return base64.b64decode(record.get(name, {}).get("B", ""))


def _uuid4(digits: str) -> str:
    return str(uuid.UUID(digits[:32], version=4))


def _field_faults(expected: Item, record: Item) -> Iterator[str]:
    for name in sorted(expected.keys() | record.keys()):
        if expected.get(name) != record.get(name):
            yield f"{name} is {record.get(name, 'absent')} instead of {expected.get(name, 'absent')}"
    if not re.fullmatch(
        rf"arn:aws:dynamodb:[a-z0-9-]+:\d{{12}}:table/{_text(record, 'tableName')}", _text(record, "tableArn")
    ):
        yield f"tableArn {_text(record, 'tableArn')!r} is not the ARN of the table"
    for name, size in _SIZES.items():
        if len(_bytes(record, name)) != size:
            yield f"{name} does not have {size} bytes"
    if not re.fullmatch(r"\d{40}", _text(record, "sequenceNumber")):
        yield f"sequenceNumber {_text(record, 'sequenceNumber')!r} does not have 40 digits"
    if not _text(record, "changeOrder").partition("#")[0]:
        yield "changeOrder does not say which stream"


def _time_faults(record: Item, from_ms: int, until_ms: int) -> Iterator[str]:
    at = _text(record, "modificationTime")
    if not _TIME.fullmatch(at):
        yield f"modificationTime {at!r} is not like 2024-01-01T00:00:00.000Z"
    elif not from_ms - _ROUNDING_MS <= datetime.fromisoformat(at).timestamp() * 1000 <= until_ms + _ROUNDING_MS:
        yield f"modificationTime {at} is not when the change was made"


def _text(record: Item, name: str, kind: str = "S") -> str:
    return str(record.get(name, {}).get(kind, ""))


def answer_faults(status: int, answer: Any, updated_id: str, names: list[str]) -> list[str]:
    """Return what is wrong with the response to an update that must have succeeded (docs/updating.md)."""
    expected = {
        "success": True,
        "message": "Record updated successfully",
        "updated_id": updated_id,
        "updated_attributes": names,
    }
    if status != 200 or not isinstance(answer, dict):
        message = answer.get("message", "") if isinstance(answer, dict) else ""
        return [f"the update was answered with {status} {message}".rstrip()]
    found = {name: value for name, value in answer.items() if name != "timestamp"}
    faults = [] if found == expected else [f"the update was answered with {found} instead of {expected}"]
    if not _TIME.fullmatch(str(answer.get("timestamp"))):
        faults.append(f"the answer's timestamp is {answer.get('timestamp')!r}")
    return faults


def logged_faults(changes: Sequence[AuditedChange], entry: Item | None, expected: Item) -> list[str]:
    """Return what is wrong with the one change of an update, 10 to 9, and with its log entry.

    ``expected`` are fields of the entry; the change must carry the entry's id and its caller.
    """
    if len(changes) != 1 or entry is None:
        return [f"{len(changes)} changes with {'no' if entry is None else 'a'} log entry instead of one with one"]
    [change] = changes
    faults = []
    parts = [(part.name, part.old, part.new) for part in change.attributes]
    if change.event_name != "MODIFY" or parts != [("left", {"N": "10"}, {"N": "9"})]:
        faults.append(f"the update's change is {change.event_name} of {parts}")
    caller = expected["caller"]["S"]
    if change.actor is None or (change.actor.kind, change.actor.name) != ("logged", caller):
        faults.append(f"the update's change does not name its caller, {caller}")
    for name, value in {**expected, "log_id": {"S": change.change_id}, "status": {"S": "success"}}.items():
        if entry.get(name) != value:
            faults.append(f"the log entry's {name} is {entry.get(name, 'absent')} instead of {value}")
    if not _TIME.fullmatch(_text(entry, "timestamp")):
        faults.append(f"the log entry's timestamp is {entry.get('timestamp', 'absent')}")
    return faults


def image_faults(row: Item, upload: picture.Upload, pipeline_version: str, renditions: Sequence[bytes]) -> list[str]:
    """Return what is wrong with the row of the demo's picture (docs/formats/image-row.md).

    ``renditions`` are the bytes of those that it names, in its order. ``pipeline_version`` is "" if it is not known.
    """
    expected: Item = {
        "imageKey": {"S": upload.key},
        "bucket": {"S": upload.bucket},
        "eTag": {"S": upload.etag},
        "status": {"S": "processed"},
        "bytes": {"N": str(len(upload.body))},
        "sha256": {"S": sha256(upload.body).hexdigest()},
        "format": {"S": "jpeg"},
        "width": {"N": str(picture.WIDTH)},
        "height": {"N": str(picture.HEIGHT)},
        "pages": {"N": "1"},
        "bitDepth": {"N": "8"},
        "colourSpace": {"S": "srgb"},
        "hasAlpha": {"BOOL": False},
    }
    if pipeline_version:
        expected["pipelineVersion"] = {"S": pipeline_version}
    faults = [
        f"the picture's {name} is {row.get(name, 'absent')} instead of {value}"
        for name, value in expected.items()
        if row.get(name) != value
    ]
    if not re.fullmatch(r"[0-9A-F]{40}", _text(row, "sequencer")) or not _TIME.fullmatch(_text(row, "eventTime")):
        faults.append("the picture's row does not say when it landed")
    named = [rendition["M"] for rendition in row.get("renditions", {}).get("L", [])]
    for rendition, body in zip(named, renditions, strict=True):
        sizes = tuple(int(rendition[name]["N"]) for name in ("bytes", "width", "height"))
        there = (len(body), *_size_of(body, _text(rendition, "format")))
        if sizes != there or _text(rendition, "sha256") != sha256(body).hexdigest():
            faults.append(f"the rendition {_text(rendition, 'name')} is not what the picture's row says")
    return faults


def _size_of(body: bytes, image_format: str) -> tuple[int, int]:
    """Return width and height of an encoded image, by decoding its header."""
    image = libvips.opened(libvips.loaded(), body, image_format)
    return image.width, image.height


def arrival_faults(rows: Sequence[Item], upload: picture.Upload, function_name: str) -> list[str]:
    """Return what is wrong with the rows of one object's arrival (docs/formats/invocation-log.md)."""
    if len(rows) != 1:
        return [f"{len(rows)} rows of the picture's arrival instead of one"]
    [row] = rows
    expected: Item = {
        "bucketName": {"S": upload.bucket},
        "objectKey": {"S": upload.key},
        "eventName": {"S": "ObjectCreated:Put"},
        "functionName": {"S": function_name},
        "size": {"N": str(len(upload.body))},
        "eTag": {"S": upload.etag},
    }
    faults = [
        f"the arrival's {name} is {row.get(name, 'absent')} instead of {value}"
        for name, value in expected.items()
        if row.get(name) != value
    ]
    for name, form in (("requestId", _UUID4), ("timestamp", _TIME), ("awsRequestId", re.compile(r"[0-9a-f-]{36}"))):
        if not form.fullmatch(_text(row, name)):
            faults.append(f"the arrival's {name} is {row.get(name, 'absent')}")
    if unknown := sorted(row.keys() - expected.keys() - _OTHERS_OF_A_ROW):
        faults.append(f"the arrival's row has the unknown fields {', '.join(unknown)}")
    return faults


def state_faults(status: int, answer: Any, table: str, key: str, item: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the response that says what an item was, whole and proven (docs/api.md)."""
    expected = {
        "tableName": table,
        "itemKey": key,
        "exists": True,
        "complete": True,
        "problems": [],
        "unknown": [],
        "item": item,
    }
    if status != 200 or not isinstance(answer, dict):
        return [f"the question was answered with {status}"]
    return [
        f"{name} is {answer.get(name, 'absent')} instead of {value}"
        for name, value in expected.items()
        if answer.get(name) != value
    ]
