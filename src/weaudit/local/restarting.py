"""How a restart of the engine loses no change: work-arounds for two gaps of MiniStack 1.5.33.

The gap: MiniStack keeps its tables over a restart, but not their streams, and yet it keeps each consumer's position,
an absolute index into the stream that no longer exists. So a backlog that was not consumed is gone, and after a restart
the next N changes are skipped, N being what was consumed before.

`drain` (before a stop) waits until the functions have said of the last change that they are done with it; before that,
until the queues are empty whose functions make further changes (a queue itself outlives the restart). After that it has
the ledger sealed, because the sealer reads streams as well, those of what the functions have written.
`rearm` (before a start) sets every kept position to 0, where the new stream begins.

The other gap: MiniStack knows a queue by its URL, with the port in it. After a start on another port a queue is still
there and neither its name nor its mapping leads to it. `readdress` (before a start) puts the new port into those URLs.

The third: MiniStack ends in order although it could not write its state, on a full disk for one; what it saved the
time before stays whole, for each file is replaced. `unsaved` (after a stop) tells.

And the last: objects are on disk at once, all else only after a stop in order. Where it was killed, buckets come back
whose stack does not, and that stack could never be made again. `set_aside` (before a start) takes them out of the way.
"""

import json
import re
import time
from pathlib import Path
from typing import Any

from weaudit.errors import EngineError
from weaudit.installation import draining
from weaudit.installation.engine_state import EngineState
from weaudit.installation.targets import Target

DRAIN_SECONDS = 30.0
_FORMAT = 2
_QUEUE_URL = re.compile(r"(http://localhost:)\d+(/\d{12}/)")


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
        raise _unknown(path, error) from error
    if count:
        temporary = path.with_suffix(".rearmed")
        temporary.write_text(json.dumps(document))
        temporary.replace(path)
    return count


def readdress(data: Path, port: int) -> None:
    """Put ``port`` into the URLs of the queues that the directory ``data`` keeps, and of the stack that made them."""
    for name in ("sqs.json", "cloudformation.json"):
        path = data / name
        if not path.exists():
            continue
        text = path.read_text()
        moved = _QUEUE_URL.sub(rf"\g<1>{port}\g<2>", text)
        if moved != text:
            temporary = path.with_suffix(".readdressed")
            temporary.write_text(moved)
            temporary.replace(path)


def set_aside(data: Path, objects: Path) -> tuple[list[str], Path]:
    """Move what ``objects`` holds of buckets that the kept state does not know; return their names, and where it is.

    The state is that of the last stop in order: where there was none, it knows of no bucket. Raises EngineError where
    the file is not as MiniStack 1.5.33 writes it: nothing is moved then.
    """
    path = data / "s3.json"
    known: set[str] = set()
    if path.exists():
        try:
            # Keys are the account, NUL, and the name as Python would write it.
            scoped = json.loads(path.read_text())["payload"]["buckets_meta"]["data"]
            known = {key.partition("\0")[2].strip("'\"") for key in scoped}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _unknown(path, error) from error
    lost = objects.with_name(f"{objects.name}-lost-{time.strftime('%Y%m%dT%H%M%S')}")
    names = set()
    for root in (objects, objects / ".versions"):
        for bucket in sorted(root.glob("[0-9]*/*")):
            if bucket.name not in known:
                names.add(bucket.name)
                kept = lost / bucket.relative_to(objects)
                kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                bucket.rename(kept)
    return sorted(names), lost


def unsaved(data: Path, since: float) -> list[str]:
    """Return the parts of the state that every stack needs and that were not written since then (epoch seconds)."""
    # A file system may know whole seconds only.
    return [
        name
        for name in ("dynamodb", "cloudformation")
        if not (data / f"{name}.json").exists() or (data / f"{name}.json").stat().st_mtime < int(since)
    ]


def _unknown(path: Path, error: Exception) -> EngineError:
    return EngineError(
        f"the engine's state in {path} is not as this version of WeAudit knows it: {error!r}\n"
        "It was left by another version of the engine. Use another state directory (--state), or remove this one."
    )


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
    """Wait until every function has handled the last change of each stream it reads, watched tables' among them.

    Then have every ledger sealed. Returns the names of the functions that had not after ``seconds``. Writers must be
    quiet meanwhile.
    """
    target = Target.of(engine)
    deadline = time.monotonic() + seconds
    pages = target.client("lambda").get_paginator("list_event_source_mappings").paginate()
    enabled = [mapping for page in pages for mapping in page["EventSourceMappings"] if mapping["State"] == "Enabled"]
    queues = [mapping["EventSourceArn"] for mapping in enabled if ":sqs:" in mapping["EventSourceArn"]]
    while any(_waiting(target, queue) for queue in queues) and time.monotonic() < deadline:
        time.sleep(0.1)
    streams = [mapping for mapping in enabled if ":dynamodb:" in mapping["EventSourceArn"]]
    behind = draining.behind(target, streams, engine.started_ms - 1000, max(deadline - time.monotonic(), 1.0))
    return behind + [
        alias.split(":")[6]
        for alias in _sealers(target)
        if not draining.sealed(target, alias, max(deadline - time.monotonic(), 1.0))
    ]


def _sealers(target: Target) -> list[str]:
    pages = target.client("cloudformation").get_paginator("describe_stacks").paginate()
    return [
        row["OutputValue"]
        for page in pages
        for stack in page["Stacks"]
        for row in stack.get("Outputs", ())
        if row["OutputKey"] == "LedgerSealerAliasArn" and stack["StackStatus"] != "DELETE_COMPLETE"
    ]


def _waiting(target: Target, queue: str) -> bool:
    client = target.client("sqs")
    url = client.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    counts = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(counts))["Attributes"]
    return any(int(found[name]) for name in counts)
