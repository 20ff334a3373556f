"""Turns each change of a watched table into audit records."""

from __future__ import annotations

from weaudit.aws.client import S3, DynamoDB
from weaudit.aws.connections import Connection
from weaudit.capture import records as auditing
from weaudit.capture import stream
from weaudit.capture.configuration import WatchConfiguration
from weaudit.capture.erased import late_records
from weaudit.capture.rules import Rules, Terms
from weaudit.capture.store import AuditTable
from weaudit.capture.store_secrets import SecretTable, generation_at
from weaudit.capture.subjects import subject_of
from weaudit.errors import StoreError
from weaudit.evidence import EvidenceBucket, quarantined
from weaudit.items.times import iso_time
from weaudit.runtime import logs
from weaudit.values import replaced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from weaudit.capture.changes import Change
    from weaudit.evidence import LargeValue
    from weaudit.items.values import Item

# The template's event source delivers at most 100 changes a batch.
_NAMED_CHANGES = 100
_UUID = frozenset("0123456789abcdef-")
_INLINE_BYTES = 4096


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores: TARGET_TABLE (default ``Audit``), KEYS_TABLE, EVIDENCE_BUCKET, CONFIGURATION_TABLE.

    ACTOR_ATTRIBUTE (default: none) applies to Configuration, and to watched tables without a setting of their own;
    settings are read again after CACHE_TTL_SEC seconds (default: 60). A value of more than INLINE_VALUE_BYTES (default:
    4,096) goes to the evidence bucket.
    """
    s3 = S3(Connection.from_environment("s3", environment))
    evidence = EvidenceBucket(s3, environment.get("EVIDENCE_BUCKET", ""))
    dynamodb = DynamoDB(Connection.from_environment("dynamodb", environment))
    ttl_s = float(environment.get("CACHE_TTL_SEC") or 60)
    return {
        "audit": AuditTable(dynamodb, environment.get("TARGET_TABLE") or "Audit", evidence),
        "evidence": evidence,
        "watches": WatchConfiguration(
            dynamodb,
            environment.get("CONFIGURATION_TABLE", ""),
            default=environment.get("ACTOR_ATTRIBUTE", ""),
            ttl_s=ttl_s,
        ),
        "keys": SecretTable(dynamodb, environment.get("KEYS_TABLE", ""), ttl_s=ttl_s),
        "inline_bytes": int(environment.get("INLINE_VALUE_BYTES") or _INLINE_BYTES),
    }


def handle(
    event: Any,
    *,
    audit: AuditTable,
    evidence: EvidenceBucket,
    watches: WatchConfiguration,
    keys: SecretTable,
    inline_bytes: int,
) -> dict[str, Any]:
    """Audit every change of a batch; quarantine, whole, each one that can never be audited. Raises StoreError."""
    raw_records = stream.records(event)
    secrets = keys.secrets()
    usual = Terms(Rules(), secrets.root, secrets.kid, secrets.origin, evidence.name, inline_bytes)
    governed, failed = _governed(raw_records, usual, watches, keys)
    records: list[Item] = []
    late: list[Item] = []
    large_values: dict[str, LargeValue] = {}
    source_of: dict[str, Any] = {}
    for raw, change, terms in governed:
        try:
            if terms.erasure is not None:
                late += late_records(change, terms, terms.erasure)
                continue
            decided = auditing.decide(change, terms)
        except Exception as error:  # noqa: BLE001 deterministic: each retry would fail and block the shard
            failed.append((raw, error))
            continue
        records += decided.records
        for large in decided.large_values:
            # The next change of the batch names this state as its old one: it is put once, as the new one.
            if large.is_new or large.key not in large_values:
                large_values[large.key] = large
        if decided.records:
            audit.keep_rules(terms.rules)
        source_of.update(dict.fromkeys((record["id"]["S"] for record in decided.records), raw))
    # Before the records are put, so that the log line of a failed batch has the ids too.
    logs.add(**_change_ids(records))
    audit.put_absent(late)
    rejected = audit.put(records, large_values.values())
    failed += [(source_of[record_id], error) for record_id, error in rejected.items()]
    # Quarantine a change once, however many of its records were rejected: it may be large, with thousands of records.
    once = {id(raw): (raw, why) for raw, why in failed}
    for table, faults in watches.faults().items():
        logs.write("WARNING", "rules of a table are not valid", table=table, why="; ".join(faults))
    quarantine = dict(quarantined(raw, why, "audit_producer") for raw, why in once.values())
    for key, body in quarantine.items():
        evidence.put(key, body)
    return {
        "changes": len(raw_records),
        "records": len(records) + len(late) - len(rejected),
        "quarantined": len(quarantine),
        "spilled": len(large_values),
        "badRules": len(watches.faults()),
        "lastSequence": stream.last_sequence(raw_records),
    }


def _governed(
    raw_records: list[Any], usual: Terms, watches: WatchConfiguration, keys: SecretTable
) -> tuple[list[tuple[Any, Change, Terms]], list[tuple[Any, Exception]]]:
    """Return each change with its record and its terms, and the records that can never be audited. Raises StoreError.

    The ``usual`` terms, under the rules of the change's table and time, and for one with a subject under its secret.
    """
    parsed: list[tuple[Any, Change, Rules, str]] = []
    failed: list[tuple[Any, Exception]] = []
    for raw in raw_records:
        try:
            change = stream.parse(raw)
            rules = watches.rules(change.table, iso_time(change.created_at_ms), change.keys)
            parsed.append((raw, change, rules, subject_of(change, rules, usual.secret)))
        except StoreError:  # the table's rules could not be read; a retry may succeed
            raise
        except Exception as error:  # noqa: BLE001 deterministic: each retry would fail and block the shard
            failed.append((raw, error))
    # The secrets of all subjects of the batch are read by one request.
    generations = keys.subjects(subject for *_, subject in parsed if subject)
    governed = []
    for raw, change, rules, subject in parsed:
        terms = Terms(rules, usual.secret, usual.kid, usual.origin, usual.bucket, usual.inline_bytes)
        if rules.hashed:
            terms = replaced(terms, equal=keys.equal(change.table))
        if subject:
            mine = generation_at(generations[subject], iso_time(change.created_at_ms))
            terms = replaced(terms, secret=mine.secret, kid=mine.kid, erasure=mine.erasure)
        governed.append((raw, change, terms))
    return governed, failed


def _change_ids(records: list[Item]) -> dict[str, Any]:
    """Return the log field with the ids of a batch's logged updates, by which `weaudit trace` finds the line.

    Anyone who may write to the table can choose this text, so only UUIDs are logged.
    """
    stated = dict.fromkeys(str(record["changeId"]["S"]) for record in records if "changeId" in record)
    found = [text for text in stated if len(text) == 36 and _UUID.issuperset(text)]
    return {"changeIds": found[:_NAMED_CHANGES]} if found else {}
