"""Waits until a function has handled everything in its streams, which its log lines show, and has the ledger sealed.

Lambda does not say how far a mapping has read. The functions do: one log line a batch, with the last sequence number.
ledger_sealer has no mapping: it reads its streams when it is called, and says whether it has come to their end.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from weaudit.errors import StoreRefusedError
from weaudit.installation import payloads
from weaudit.installation.targets import Target

_EMPTY_PAGES = 3  # an open shard may return an empty page although more records follow


def behind(target: Target, mappings: Sequence[Any], since_ms: int, seconds: float) -> list[str]:
    """Wait until the function of each mapping has logged the last change of its stream.

    Returns the names of the functions that have not after ``seconds``. Log lines before ``since_ms``, in milliseconds
    since the epoch, are ignored. There must be no writes meanwhile. A stream that is gone needs no wait.
    """
    logs = target.client("logs")
    deadline = time.monotonic() + seconds
    waiting = {
        (mapping["FunctionArn"].split(":")[6], last)
        for mapping in mappings
        for last in _last_sequences(target, mapping["EventSourceArn"])
    }
    while waiting:
        waiting = {(name, number) for name, number in waiting if not _logged(logs, name, number, since_ms)}
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(0.05 if target.engine else 1.0)
    return sorted({name for name, _ in waiting})


def sealed(target: Target, alias: str, seconds: float) -> bool:
    """Call a stack's ledger_sealer until it has sealed all that its streams hold.

    ``alias`` is the ARN of its alias. Returns whether it has after ``seconds``; False at once if it fails. There must
    be no writes meanwhile.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = sealer_called(target, alias, {})
        except StoreRefusedError:
            return False
        if not answer.get("behind"):
            return True
        if time.monotonic() > deadline:
            return False


def sealer_called(target: Target, alias: str, event: dict[str, Any]) -> dict[str, Any]:
    """Call ledger_sealer once, and return its answer. Raises StoreRefusedError if it fails."""
    client = target.client("lambda", read_s=payloads.LONGEST_CALL_S)
    answer = client.invoke(FunctionName=alias, Payload=payloads.payload(event))
    document = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError") or not isinstance(document, dict):
        why = document.get("errorMessage") if isinstance(document, dict) else None
        raise StoreRefusedError(
            f"the sealer failed: {why or 'it does not say why'}\nRead `weaudit logs ledger_sealer`."
        )
    return document


def _last_sequences(target: Target, stream: str) -> Iterator[str]:
    """Yield the last sequence number of each lineage of shards; a new, empty shard has its parent's."""
    client = target.client("dynamodbstreams")
    try:
        shards = {shard["ShardId"]: shard for shard in _shards(client, stream)}
    except client.exceptions.ResourceNotFoundException:
        return
    parents = {shard.get("ParentShardId") for shard in shards.values()}
    for shard_id in shards.keys() - parents:
        current, last = shard_id, ""
        while current in shards and not last:
            last = _last_in(client, stream, current)
            current = shards[current].get("ParentShardId", "")
        if last:
            yield last


def _shards(client: Any, stream: str) -> Iterator[Any]:
    request = {"StreamArn": stream}
    while True:
        described = client.describe_stream(**request)["StreamDescription"]
        yield from described["Shards"]
        if not described.get("LastEvaluatedShardId"):
            return
        request["ExclusiveStartShardId"] = described["LastEvaluatedShardId"]


def _last_in(client: Any, stream: str, shard: str) -> str:
    iterator = client.get_shard_iterator(StreamArn=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    position, last, empty = iterator["ShardIterator"], "", 0
    while position and empty < _EMPTY_PAGES:
        page = client.get_records(ShardIterator=position, Limit=1000)
        position = page.get("NextShardIterator")
        empty = 0 if page["Records"] else empty + 1
        if page["Records"]:
            last = page["Records"][-1]["dynamodb"]["SequenceNumber"]
    return last


def _logged(logs: Any, function: str, sequence: str, since_ms: int) -> bool:
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=f"/aws/lambda/{function}", filterPattern=f'"{sequence}"', startTime=max(0, since_ms)
    )
    try:
        return any(page["events"] for page in pages)
    except logs.exceptions.ResourceNotFoundException:
        return False
