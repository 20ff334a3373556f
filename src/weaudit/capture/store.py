"""Writes audit records to the Audit table."""

from __future__ import annotations

from weaudit.aws.batches import BatchWrites
from weaudit.aws.client import DynamoDB
from weaudit.errors import RecordRejectedError
from weaudit.evidence import EvidenceBucket, spill
from weaudit.items.values import Item

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class AuditTable:
    """Puts audit records. Their ids are derived, so putting a record again overwrites it with the same bytes.

    A crash between two calls leaves some of an event's records unwritten: the redelivery of the event completes them.
    """

    def __init__(self, dynamodb: DynamoDB, name: str, evidence: EvidenceBucket) -> None:
        self._writes = BatchWrites(dynamodb, name, ("id",))
        self._name = name
        self._evidence = evidence
        self.spilled = 0

    def put(self, records: Iterable[Item]) -> dict[str, RecordRejectedError]:
        """Write all records in as few calls as possible; return the ids that the table can never hold, and why.

        A record that occurs twice is written once. A record that the table rejects is retried with its large values
        moved to the evidence bucket; ``spilled`` counts those values. Raises StoreError if a retry may succeed.
        """
        self.spilled = 0
        return {record["id"]["S"]: error for record, error in self._writes.put(records, self._smaller)}

    def _smaller(self, record: Item) -> Item | None:
        smaller = spill(record, self._evidence.name)
        if smaller is None:
            return None
        # The object first: a record must never point at nothing. A crash here leaves an object that the retry rewrites.
        self._evidence.put(smaller.key, smaller.body)
        self.spilled += 1
        return smaller.record
