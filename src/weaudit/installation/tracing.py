"""What the functions logged of one request, update or change: the lines that name its id, and those joined to them.

A line that names the id may name further ones: of the invocation, of API Gateway's request, of the X-Ray trace, of the
change. Those are followed as well. The other changes of a batch are not.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from weaudit.errors import InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.installation.pool import ReadingPool

# https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-traceids
_XRAY = re.compile(r"(?:Root=)?(1-[0-9a-f]{8}-[0-9a-f]{24})(?:;.*)?")
_ID = re.compile(r"[A-Za-z0-9_=+/.:@-]{8,128}")
# Fields whose value stands for the same request or change; `changeIds` of a batch are others' as well.
_JOINING = ("requestId", "apiRequestId", "functionRequestId", "traceId", "changeId", "logId")
_CHANGES = ("changeId", "logId")
_ROUNDS = 4
_IDS = 20
_LINES = 10_000
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Line:
    """One log line. ``at_ms`` is milliseconds since 1970, UTC; ``fields`` is its JSON, empty where it is none."""

    at_ms: int
    source: str
    group: str
    text: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traced:
    """What was found: lines in the order of their times, the ids that were followed, and those of changes."""

    lines: tuple[Line, ...]
    ids: tuple[str, ...]
    changes: tuple[str, ...]
    cut: bool = False  # there was more than is read


def id_of(given: str) -> str:
    """Return an id as log lines have it: the root of an X-Ray trace, else what was given. Raises InvalidInputError."""
    text = given.strip()
    root = _XRAY.fullmatch(text)
    if root is not None:
        return root[1]
    if not _ID.fullmatch(text):
        raise InvalidInputError(
            f"{given!r} is no id\nGive a request's id (the header x-request-id or apigw-requestid), a changeId, or the "
            "root of an X-Ray trace (1-…)."
        )
    return text


def groups(prefix: str, suffix: str) -> dict[str, str]:
    """Return what a request may leave lines in: log group by log group, and who writes there."""
    found = {f"/aws/lambda/{row.deployed_as(prefix, suffix)}": row.name for row in FUNCTIONS}
    return {f"/aws/vendedlogs/{prefix}weaudit-api-{suffix}": "API Gateway", **found}


def follow(
    logs: Any, sources: dict[str, str], trace_id: str, since_ms: int, told: Callable[[str], None] = lambda _: None
) -> Traced:
    """Return what the groups hold of ``trace_id`` since then, and of every id that its lines join it to.

    ``logs`` is a boto3 client of CloudWatch Logs, ``sources`` what ``groups`` returns; a group that is not there has
    nothing. ``told`` is told each id that is looked for. Reads a bounded number of ids and lines.
    """
    found: dict[tuple[str, int, str], Line] = {}
    asked: list[str] = []
    waiting = [trace_id]
    cut = False
    with ReadingPool(_AT_ONCE, "weaudit-trace") as pool:
        for _ in range(_ROUNDS):
            if not waiting:
                break
            for each in waiting:
                told(each)
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
    """Lines of one millisecond: audit_producer follows what it audits, and Lambda's own lines stand around ours."""
    kind = str(line.fields.get("type", line.text.partition(" ")[0])).lower().removeprefix("platform.")
    place = {"initstart": 0, "start": 1, "end": 3, "runtimedone": 3, "report": 4}.get(kind, 2)
    return line.at_ms, line.source == "audit_producer", line.group, place


def joined_ids(fields: dict[str, Any]) -> Iterator[str]:
    """Yield the ids that stand for the same request or change as the line with these fields."""
    # Lambda's own lines have theirs one level deeper: {"type": "platform.report", "record": {"requestId": …}}.
    inner = fields.get("record")
    for level in (fields, inner if isinstance(inner, dict) else {}):
        for name in _JOINING:
            value = level.get(name)
            if isinstance(value, str) and value:
                try:
                    yield id_of(value)
                except InvalidInputError:
                    continue  # API Gateway writes "-" for what there is not


def _changes_among(lines: Iterable[Line], trace_id: str) -> tuple[str, ...]:
    stated = [line.fields[name] for line in lines for name in _CHANGES if isinstance(line.fields.get(name), str)]
    # A change may be traced whose update has left no line (any more).
    return tuple(dict.fromkeys([*stated, trace_id]))


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
    except (ValueError, RecursionError):  # no JSON, or nested deeper than Python reads
        fields = {}
    return Line(int(event["timestamp"]), source, group, text, fields if isinstance(fields, dict) else {})


# What a line is about comes first in it, or is said elsewhere on the screen.
_SAID_ELSEWHERE = frozenset(("level", "message", "function", "requestId", "apiRequestId", "traceId", "_aws"))


def summary(line: Line) -> str:
    """Return a line for reading: its message and fields; of Lambda's own its type, of what is no JSON the text."""
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
    said = [f"{name}={_told(value)}" for name, value in fields.items() if name not in _SAID_ELSEWHERE]
    return " ".join([*([] if level == "INFO" else [level]), str(fields["message"]), *said])


def _told(value: Any) -> str:
    if isinstance(value, list) and len(value) > 3:
        return f"{len(value)} of them"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
