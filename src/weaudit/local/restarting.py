"""How a restart of the engine loses no change: two work-arounds for one gap of MiniStack 1.5.33.

The gap: MiniStack keeps its tables over a restart, but not their streams, and yet it keeps each consumer's position,
an absolute index into the stream that no longer exists. So a backlog that was not consumed is gone, and after a restart
the next N changes are skipped, N being what was consumed before.

`drain` (before a stop) waits until the functions have said of the last change that they are done with it.
`rearm` (before a start) sets every kept position to 0, where the new stream begins.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weaudit.deploy.targets import Target
from weaudit.errors import EngineError
from weaudit.local.state import EngineState

DRAIN_SECONDS = 30.0
_FORMAT = 2


def rearm(data: Path) -> int:
    """Set every stream position kept in the directory ``data`` to 0; return how many there were.

    Raises EngineError where the file is not as MiniStack 1.5.33 writes it: starting would skip changes silently.
    """
    path = data / "lambda.json"
    if not path.exists():
        return 0
    try:
        document = json.loads(path.read_text())
        count = _to_zero(_positions(document))
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"the engine's state in {path} is not as this version of WeAudit knows it: {error!r}\n"
            "It was left by another version of the engine. Use another state directory (--state), or remove this one."
        ) from error
    if count:
        temporary = path.with_suffix(".rearmed")
        temporary.write_text(json.dumps(document))
        temporary.replace(path)
    return count


def _positions(document: Any) -> Any:
    if document["__ministack_format__"] != _FORMAT:
        raise ValueError(f"format {document['__ministack_format__']}, expected {_FORMAT}")
    positions = document["payload"]["dynamodb_stream_positions"]
    return positions["data"] if positions else []


def _to_zero(entries: Any) -> int:
    # A scoped dictionary is saved as {key: value} or as [[key, value], …], the keys being scopes.
    count = 0
    for key, value in list(entries.items() if isinstance(entries, dict) else enumerate(entries)):
        if isinstance(value, dict):
            count += _to_zero(value)
        elif isinstance(value, list) and len(value) == 2:
            value[1] = int(value[1]) * 0
            count += 1
        else:
            entries[key] = int(value) * 0
            count += 1
    return count


def drain(engine: EngineState, seconds: float = DRAIN_SECONDS) -> list[str]:
    """Wait until every function has handled the last change of each stream it reads.

    Returns the names of the functions that had not after ``seconds``. Writers must be quiet meanwhile.
    """
    target = Target.of(engine)
    functions, logs = target.client("lambda"), target.client("logs")
    pages = functions.get_paginator("list_event_source_mappings").paginate()
    mappings = [mapping for page in pages for mapping in page["EventSourceMappings"] if mapping["State"] == "Enabled"]
    streams = {mapping["EventSourceArn"] for mapping in mappings if ":dynamodb:" in mapping["EventSourceArn"]}
    last = {stream: _last_sequence(target, stream) for stream in streams}
    waiting = {
        (mapping["FunctionArn"].split(":")[6], last[mapping["EventSourceArn"]])
        for mapping in mappings
        if last.get(mapping["EventSourceArn"])
    }
    deadline = time.monotonic() + seconds
    while waiting:
        waiting = {(name, number) for name, number in waiting if not _logged(logs, name, number, engine.started_ms)}
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return sorted({name for name, _ in waiting})


def _last_sequence(target: Target, stream: str) -> str:
    client = target.client("dynamodbstreams")
    last = ""
    for record in _records(client, stream):
        last = record["dynamodb"]["SequenceNumber"]
    return last


def _records(client: Any, stream: str) -> Iterator[Any]:
    for shard in client.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]:
        iterator = client.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = client.get_records(ShardIterator=iterator, Limit=1000)
            if not page["Records"]:
                break
            yield from page["Records"]
            iterator = page.get("NextShardIterator")


def _logged(logs: Any, function: str, sequence: str, since_ms: int) -> bool:
    # The runtime of stream functions prints one line a batch, when it is done, with the last sequence number in it.
    try:
        found = logs.filter_log_events(
            logGroupName=f"/aws/lambda/{function}", filterPattern=f'"{sequence}"', startTime=max(0, since_ms - 1000)
        )
    except logs.exceptions.ResourceNotFoundException:
        return False
    return bool(found["events"])
