"""Finds what one request, update or change has left: its log lines, and its records in the trail.

A log line with the id may hold more ids: of the invocation, API Gateway's request, the X-Ray trace or the change. Those
are followed as well. The other changes of a batch are not.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from weaudit.errors import InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.installation import clients
from weaudit.installation.pool import ReadingPool
from weaudit.installation.readers import open_trail
from weaudit.items.times import iso_moment, moment
from weaudit.trail.history import NEAR
from weaudit.trail.store_callers import AuditLogs

if TYPE_CHECKING:
    from weaudit.installation.outputs import Installation
    from weaudit.trail.changes import AuditedChange

# https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
_XRAY = re.compile(r"(?:Root=)?(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;.*)?")
_ID = re.compile(r"[A-Za-z0-9_=+/.:@-]{8,128}")
# Fields whose value identifies the same request or change; `changeIds` of a batch also names other changes.
_JOINING = ("requestId", "apiRequestId", "functionRequestId", "traceId", "changeId", "logId")
_CHANGES = ("changeId", "logId")
# How many of an item's changes around the time of an update are searched for the update's own.
_MOST_CHANGES = 1000
_ROUNDS = 4
_IDS = 20
_LINES = 10_000
_CONCURRENT_READS = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One log line; ``at_ms`` is milliseconds since 1970, UTC, and ``fields`` its JSON, empty if it is not JSON."""

    at_ms: int
    source: str
    group: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traced:
    """The result of a trace: lines in order of time, the ids that were followed, and the ids of changes."""

    lines: tuple[Line, ...]
    ids: tuple[str, ...]
    changes: tuple[str, ...]
    cut: bool = False  # a limit was reached: there may be more


def id_of(given: str) -> str:
    """Return an id as log lines hold it: the root of an X-Ray trace, else the given text. Raises InvalidInputError."""
    text = given.strip()
    root = _XRAY.fullmatch(text)
    if root is not None:
        return root[1]
    if not _ID.fullmatch(text):
        raise InvalidInputError(
            f"{given!r} is not a valid id\nGive a request's id (the header x-request-id or apigw-requestid), a "
            "changeId, or the root of an X-Ray trace (1-…)."
        )
    return text


def groups(prefix: str, suffix: str) -> dict[str, str]:
    """Return the log groups in which a request may leave lines, each with the function or service that writes there."""
    found = {f"/aws/lambda/{row.deployed_as(prefix, suffix)}": row.name for row in FUNCTIONS}
    return {f"/aws/vendedlogs/{prefix}weaudit-api-{suffix}": "API Gateway", **found}


def follow(
    logs: Any, sources: dict[str, str], trace_id: str, since_ms: int, progress: Callable[[str], None] = lambda _: None
) -> Traced:
    """Return the lines since ``since_ms`` that hold ``trace_id``, or an id that these lines connect it to.

    ``logs`` is a boto3 client of CloudWatch Logs, ``sources`` what ``groups`` returns; a group that does not exist has
    no lines. ``progress`` is called with each id that is searched for. The number of ids and lines is limited.
    """
    found: dict[tuple[str, int, str], Line] = {}
    asked: list[str] = []
    waiting = [trace_id]
    cut = False
    with ReadingPool(_CONCURRENT_READS, "weaudit-trace") as pool:
        for _ in range(_ROUNDS):
            if not waiting:
                break
            for each in waiting:
                progress(each)
            pairs = [(group, each) for each in waiting for group in sources]
            asked += waiting
            for events in pool.map(lambda pair: list(_events(logs, pair[0], pair[1], since_ms)), pairs):
                cut = cut or len(events) >= _LINES
                for line in (_line(event, group, sources[group]) for group, event in events):
                    found[line.group, line.at_ms, line.text] = line
            joined = dict.fromkeys(each for line in found.values() for each in joined_ids(line.fields))
            waiting = [each for each in joined if each not in asked]
            cut = cut or len(asked) + len(waiting) > _IDS
            waiting = waiting[: max(0, _IDS - len(asked))]
    lines = tuple(sorted(found.values(), key=_order))
    return Traced(lines, tuple(asked), _changes_among(lines, trace_id), cut or bool(waiting))


def _order(line: Line) -> tuple[int, bool, str, int]:
    """Return a sort key. Within a millisecond, audit_producer comes last, and Lambda's own lines surround ours."""
    kind = str(line.fields.get("type", line.text.partition(" ")[0])).lower().removeprefix("platform.")
    place = {"initstart": 0, "start": 1, "end": 3, "runtimedone": 3, "report": 4}.get(kind, 2)
    return line.at_ms, line.source == "audit_producer", line.group, place


def joined_ids(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the ids, in a line with these fields, of the line's own request or change."""
    # Lambda's own lines have theirs one level deeper: {"type": "platform.report", "record": {"requestId": …}}.
    inner = fields.get("record")
    for level in (fields, inner if isinstance(inner, dict) else {}):
        for name in _JOINING:
            value = level.get(name)
            if isinstance(value, str) and value:
                try:
                    yield id_of(value)
                except InvalidInputError:
                    continue  # API Gateway writes "-" for a missing id


def _changes_among(lines: Iterable[Line], trace_id: str) -> tuple[str, ...]:
    stated = [line.fields[name] for line in lines for name in _CHANGES if isinstance(line.fields.get(name), str)]
    # The traced id may be that of a change whose update has left no line, or none that still exists.
    return tuple(dict.fromkeys([*stated, trace_id]))


def recorded(
    installation: "Installation", ids: tuple[str, ...]
) -> "tuple[list[dict[str, str]], list[AuditedChange], int]":
    """Return the update log's entries with these ids, the changes written with them, and how many others carry an id.

    Of an entry, its texts are returned. The changes are found by an entry's table and item, around its time.
    """
    client = clients.dynamodb(installation.target)
    entries = AuditLogs(client.call, installation.outputs["AuditLogsTableName"]).get(list(ids))
    trail = open_trail(installation.target, installation.audit_table, client)
    texts = {
        log_id: {name: value["S"] for name, value in sorted(entry.items()) if "S" in value}
        for log_id, entry in entries.items()
    }
    changes: list[AuditedChange] = []
    borrowed = 0
    for log_id, entry in texts.items():
        logged_at = moment(entry.get("timestamp", ""))
        if entry.get("status") != "success" or logged_at is None:
            continue
        since, until = (iso_moment(logged_at + distance) for distance in (-NEAR, NEAR))
        asked = trail.item(entry.get("table_name", ""), entry.get("record_id", ""), since, until)
        carrying = [change for change in islice(asked, _MOST_CHANGES) if change.change_id == log_id]
        # An entry replaces the actor that the record states: a changed actor shows that the change is the entry's own.
        named = zip(carrying, trail.attributed(carrying, entries), strict=True)
        own = [attributed for change, attributed in named if attributed.actor is not change.actor]
        changes += own
        borrowed += len(carrying) - len(own)
    return list(texts.values()), changes, borrowed


def _events(logs: Any, group: str, trace_id: str, since_ms: int) -> Iterator[tuple[str, Any]]:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, filterPattern=f'"{trace_id}"', startTime=max(0, since_ms),
        PaginationConfig={"MaxItems": _LINES},
    )  # fmt: skip
    try:
        for page in pages:
            yield from ((group, event) for event in page["events"])
    except logs.exceptions.ResourceNotFoundException:
        return


def _line(event: Any, group: str, source: str) -> Line:
    text = str(event["message"]).rstrip("\n")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # not JSON, or nested deeper than Python can parse
        fields = {}
    return Line(int(event["timestamp"]), source, group, text, fields if isinstance(fields, dict) else {})


# Fields that a summary puts first, or that appear elsewhere on the screen.
_SHOWN_ELSEWHERE = frozenset(("level", "message", "function", "requestId", "apiRequestId", "traceId", "_aws"))


def summary(line: Line) -> str:
    """Return a readable summary: message and fields, the type of a line of Lambda's, or text that is not JSON."""
    fields = line.fields
    if line.source == "API Gateway" and fields:
        return f"{fields.get('routeKey', '')} {fields.get('status', '')} in {fields.get('latencyMs', '?')} ms"
    record = fields.get("record")
    if "type" in fields and isinstance(record, dict):
        metrics = record.get("metrics")
        spent = metrics.get("durationMs") if isinstance(metrics, dict) else None
        return str(fields["type"]) + ("" if spent is None else f" after {spent} ms")
    if "message" not in fields:
        return line.text
    level = str(fields.get("level", "INFO"))
    shown = [f"{name}={_short(value)}" for name, value in fields.items() if name not in _SHOWN_ELSEWHERE]
    return " ".join([*([] if level == "INFO" else [level]), str(fields["message"]), *shown])


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"{len(value)} of them"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
