"""Each change of a watched table becomes audit records."""

from __future__ import annotations

from weaudit.aws.client import S3, Connection, DynamoDB
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

# A batch of the template's has 100 changes at most.
_NAMED_CHANGES = 100
_UUID = frozenset("0123456789abcdef-")


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: TARGET_TABLE (default ``Audit``), EVIDENCE_BUCKET, CONFIGURATION_TABLE.

    ACTOR_ATTRIBUTE (default: none) is that of Configuration and of watched tables that have none of their own, which
    are read again after CACHE_TTL_SEC seconds (default: 60).
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
    """Audit every change of a batch; what can never be audited is quarantined, whole. Raises StoreError."""
    raw_records = stream.records(event)
    records: list[Item] = []
    failed: list[tuple[Any, Exception]] = []
    source_of: dict[str, Any] = {}
    for raw in raw_records:
        try:
            change = stream.parse(raw)
            decided = auditing.decide(change, actor_attribute(change.table))
        except StoreError:  # the table's actor attribute could not be read: it may pass
            raise
        except Exception as error:  # noqa: BLE001 deterministic: it would fail again for ever and hold up the shard
            failed.append((raw, error))
            continue
        records += decided
        source_of.update(dict.fromkeys((record["id"]["S"] for record in decided), raw))
    # Before they are put: a batch that fails names them, too.
    logs.add(**_change_ids(records))
    rejected = audit.put(records)
    failed += [(source_of[record_id], error) for record_id, error in rejected.items()]
    # A change is put aside once, however many of its records were refused: they may be thousands, and it is large.
    once = {id(raw): (raw, why) for raw, why in failed}
    aside = dict(quarantined(raw, why, "audit_producer") for raw, why in once.values())
    for key, body in aside.items():
        evidence.put(key, body)
    return {
        "changes": len(raw_records),
        "records": len(records) - len(rejected),
        "quarantined": len(aside),
        "spilled": audit.spilled,
        "lastSequence": stream.last_sequence(raw_records),
    }


def _change_ids(records: list[Item]) -> dict[str, Any]:
    """Return what a log line says of a batch's logged updates: their ids, by which `weaudit trace` finds the line.

    Anybody who may write to the table chooses the text: what is no UUID is not logged.
    """
    stated = dict.fromkeys(str(record["changeId"]["S"]) for record in records if "changeId" in record)
    found = [text for text in stated if len(text) == 36 and _UUID.issuperset(text)]
    return {"changeIds": found[:_NAMED_CHANGES]} if found else {}
