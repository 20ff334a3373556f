"""All rows of a table, read by several threads."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from weaudit.aws.client import DynamoDB
from weaudit.installation.pool import ReadingPool
from weaudit.items.values import Item

_SEGMENTS = 8


def pages_of(dynamodb: DynamoDB, table: str) -> Iterator[list[Item]]:
    """Yield all rows of a table, in no order, some at a time. What was written before is there. Raises StoreError."""
    with ReadingPool(_SEGMENTS, "weaudit-rows") as pool:

        def begin(segment: int, **start: Any) -> Future[dict[str, Any]]:
            request = {"TableName": table, "ConsistentRead": True, "Segment": segment, "TotalSegments": _SEGMENTS}
            return pool.submit(dynamodb.call, "Scan", request | start)

        waiting = deque((segment, begin(segment)) for segment in range(_SEGMENTS))
        while waiting:
            segment, pending = waiting.popleft()
            page = pending.result()
            if page.get("LastEvaluatedKey"):
                waiting.append((segment, begin(segment, ExclusiveStartKey=page["LastEvaluatedKey"])))
            yield page["Items"]
