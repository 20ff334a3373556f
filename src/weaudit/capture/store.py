"""Writes audit records to the Audit table, and their large values to the evidence bucket."""

from __future__ import annotations

from weaudit.aws.batches import BatchWrites, put_absent
from weaudit.aws.client import DynamoDB
from weaudit.capture.rules import places_text
from weaudit.evidence import EvidenceBucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from weaudit.capture.rules import Rules
    from weaudit.errors import RecordRejectedError
    from weaudit.evidence import LargeValue
    from weaudit.items.values import Item


class AuditTable:
    """Puts audit records. Their ids are derived, so putting a record again overwrites it with the same bytes.

    A crash between two calls leaves some of an event's records unwritten: the redelivery of the event completes them.
    """

    def __init__(self, dynamodb: DynamoDB, name: str, evidence: EvidenceBucket) -> None:
        self._dynamodb = dynamodb
        self._name = name
        self._writes = BatchWrites(dynamodb, name, ("id",))
        self._evidence = evidence
        self._kept_rules: set[bytes] = set()

    def keep_rules(self, rules: Rules) -> None:
        """Store what rules say about places, so that readers know what is in no hash. Raises StoreError.

        Called before the first records that name them; stored once by each execution environment.
        """
        if rules.digest and rules.digest not in self._kept_rules:
            self._evidence.put_rules(rules.digest, places_text(rules).encode())
            self._kept_rules.add(rules.digest)

    def put(self, records: Iterable[Item], large_values: Iterable[LargeValue]) -> dict[str, RecordRejectedError]:
        """Write all records in as few calls as possible; return the ids that the table can never hold, and why.

        A record that occurs twice is written once. Raises StoreError if a retry may succeed.
        """
        # The object first: a record must never point at nothing. A crash here leaves an object that the retry rewrites.
        for large in large_values:
            self._evidence.put_value(large)
        return {record["id"]["S"]: error for record, error in self._writes.put(records)}

    def put_absent(self, records: Iterable[Item]) -> None:
        """Write the records whose ids are not there yet: an erased record never takes another's place.

        Raises StoreError.
        """
        put_absent(self._dynamodb, self._name, "id", records)
