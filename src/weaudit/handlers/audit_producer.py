"""Each change of a watched table becomes audit records."""

from collections.abc import Mapping
from typing import Any

from weaudit.adapters.audit_table import AuditTable
from weaudit.adapters.aws import S3, Connection, DynamoDB
from weaudit.adapters.evidence_bucket import EvidenceBucket
from weaudit.domain import auditing, quarantining
from weaudit.domain.changes import Item
from weaudit.events import dynamodb_stream


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: TARGET_TABLE (default ``Audit``), EVIDENCE_BUCKET, ACTOR_ATTRIBUTE (default: none)."""
    evidence = EvidenceBucket(S3(Connection.from_environment("s3", environment)), environment.get("EVIDENCE_BUCKET", ""))
    dynamodb = DynamoDB(Connection.from_environment("dynamodb", environment))
    audit = AuditTable(dynamodb, environment.get("TARGET_TABLE") or "Audit", evidence)
    return {"audit": audit, "evidence": evidence, "actor_attribute": environment.get("ACTOR_ATTRIBUTE", "")}


def handle(event: Any, *, audit: AuditTable, evidence: EvidenceBucket, actor_attribute: str) -> dict[str, Any]:
    """Audit every change of a batch; what can never be audited is quarantined, whole. Raises StoreError."""
    raw_records = dynamodb_stream.records(event)
    records: list[Item] = []
    failed: list[tuple[Any, Exception]] = []
    source_of: dict[str, Any] = {}
    for raw in raw_records:
        try:
            decided = auditing.decide(dynamodb_stream.parse(raw), actor_attribute)
        except Exception as error:  # noqa: BLE001 deterministic: it would fail again for ever and hold up the shard
            failed.append((raw, error))
            continue
        records += decided
        source_of.update(dict.fromkeys((record["id"]["S"] for record in decided), raw))
    rejected = audit.put(records)
    failed += [(source_of[record_id], error) for record_id, error in rejected.items()]
    for raw, error in failed:
        evidence.put(*quarantining.decide(raw, error, "audit_producer"))
    return {
        "changes": len(raw_records),
        "records": len(records) - len(rejected),
        "quarantined": len(failed),
        "lastSequence": dynamodb_stream.last_sequence(raw_records),
    }
