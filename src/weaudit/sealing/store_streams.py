"""The streams of the tables whose rows are sealed. The sealer reads them itself, so that it alone keeps their offsets.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html
"""

from __future__ import annotations

from weaudit.errors import StoreRefusedError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.aws.client import Streams

_GONE = "ResourceNotFoundException"
_TRIMMED = "TrimmedDataAccessException"
_EXPIRED = "ExpiredIteratorException"


@value
class Shard:
    """A part of a stream. ``closed`` says that nothing is written to it any more."""

    name: str
    parent: str
    closed: bool


class TableStreams:
    """Reads streams. Every method raises StoreError."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def of_table(self, table: str) -> list[str]:
        """Return the ARNs of a table's streams that can still be read: the one in use, and those turned off."""
        found: list[str] = []
        request: dict[str, Any] = {"TableName": table}
        while True:
            answer = self._streams.call("ListStreams", request)
            found += [one["StreamArn"] for one in answer.get("Streams", [])]
            if not answer.get("LastEvaluatedStreamArn"):
                return sorted(found)  # the label at its end is the time at which it was turned on
            request["ExclusiveStartStreamArn"] = answer["LastEvaluatedStreamArn"]

    def shards(self, arn: str) -> list[Shard] | None:
        """Return the shards of a stream, in the order of their names, or None if there is no such stream."""
        found: list[Shard] = []
        request: dict[str, Any] = {"StreamArn": arn}
        while True:
            try:
                answer = self._streams.call("DescribeStream", request)["StreamDescription"]
            except StoreRefusedError as error:
                if error.aws_code == _GONE:
                    return None
                raise
            for one in answer.get("Shards", []):
                ends = one.get("SequenceNumberRange", {}).get("EndingSequenceNumber")
                found.append(Shard(one["ShardId"], one.get("ParentShardId", ""), bool(ends)))
            if not answer.get("LastEvaluatedShardId"):
                return sorted(found, key=lambda shard: shard.name)
            request["ExclusiveStartShardId"] = answer["LastEvaluatedShardId"]

    def iterator(self, arn: str, shard: str, after: str) -> str | None:
        """Return where to read on after a sequence number ("": from the first record), or None if that is gone."""
        request = {"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"}
        if after:
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        try:
            return str(self._streams.call("GetShardIterator", request)["ShardIterator"])
        except StoreRefusedError as error:
            if error.aws_code == _TRIMMED:
                return None
            raise

    def records(self, iterator: str) -> tuple[list[dict[str, Any]], str] | None:
        """Return the next records, and where to read on ("": the shard has ended), or None if the place is gone."""
        try:
            answer = self._streams.call("GetRecords", {"ShardIterator": iterator, "Limit": 1000})
        except StoreRefusedError as error:
            if error.aws_code in (_TRIMMED, _EXPIRED):
                return None
            raise
        return answer.get("Records", []), str(answer.get("NextShardIterator") or "")
