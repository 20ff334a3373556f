"""Turns each change of a watched table into audit records."""

from __future__ import annotations

from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.capture import records as auditing
from weaudit.capture import stream
from weaudit.capture.configuration import WatchConfiguration
from weaudit.capture.store import AuditTable
from weaudit.errors import StoreError
from weaudit.evidence import EvidenceBucket, quarantined
from weaudit.items.values import Item
from weaudit.runtime import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# The template's event source delivers at most 100 changes a batch.
_NAMED_CHANGES = 100
_UUID = frozenset("0123456789abcdef-")


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: TARGET_TABLE (default ``Audit``), EVIDENCE_BUCKET, CONFIGURATION_TABLE.

    ACTOR_ATTRIBUTE (default: none) applies to Configuration, and to watched tables without a setting of their own;
    settings are read again after CACHE_TTL_SEC seconds (default: 60).
    """
    s3 = S3(Connection.from_environment("s3", environment))
    evidence = EvidenceBucket(s3, environment.get("EVIDENCE_BUCKET", ""))
    dynamodb = DynamoDB(Connection.from_environment("dynamodb", environment))
    audit = AuditTable(dynamodb, environment.get("TARGET_TABLE") or "Audit", evidence)
    watches = WatchConfiguration(
        dynamodb,
        environment.get("CONFIGURATION_TABLE", ""),
        default=environment.get("ACTOR_ATTRIBUTE", ""),
        ttl_s=float(environment.get("CACHE_TTL_SEC") or 60),
    )
    return {"audit": audit, "evidence": evidence, "actor_attribute": watches.actor_attribute}


def handle(
    event: Any, *, audit: AuditTable, evidence: EvidenceBucket, actor_attribute: Callable[[str], str]
) -> dict[str, Any]:
    """Audit every change of a batch; quarantine, whole, each one that can never be audited. Raises StoreError."""
    raw_records = stream.records(event)
    records: list[Item] = []
    failed: list[tuple[Any, Exception]] = []
    source_of: dict[str, Any] = {}
    for raw in raw_records:
        try:
            change = stream.parse(raw)
            decided = auditing.decide(change, actor_attribute(change.table))
        except StoreError:  # the table's actor attribute could not be read; a retry may succeed
            raise
        except Exception as error:  # noqa: BLE001 deterministic: each retry would fail and block the shard
            failed.append((raw, error))
            continue
        records += decided
        source_of.update(dict.fromkeys((record["id"]["S"] for record in decided), raw))
    # Before the records are put, so that the log line of a failed batch has the ids too.
    logs.add(**_change_ids(records))
    rejected = audit.put(records)
    failed += [(source_of[record_id], error) for record_id, error in rejected.items()]
    # Quarantine a change once, however many of its records were rejected: it may be large, with thousands of records.
    once = {id(raw): (raw, why) for raw, why in failed}
    quarantine = dict(quarantined(raw, why, "audit_producer") for raw, why in once.values())
    for key, body in quarantine.items():
        evidence.put(key, body)
    return {
        "changes": len(raw_records),
        "records": len(records) - len(rejected),
        "quarantined": len(quarantine),
        "spilled": audit.spilled,
        "lastSequence": stream.last_sequence(raw_records),
    }


def _change_ids(records: list[Item]) -> dict[str, Any]:
    """Return the log field with the ids of a batch's logged updates, by which `weaudit trace` finds the line.

    Anyone who may write to the table can choose this text, so only UUIDs are logged.
    """
    stated = dict.fromkeys(str(record["changeId"]["S"]) for record in records if "changeId" in record)
    found = [text for text in stated if len(text) == 36 and _UUID.issuperset(text)]
    return {"changeIds": found[:_NAMED_CHANGES]} if found else {}
