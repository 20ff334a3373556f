"""The last stop of `weaudit demo`: a record is sealed, proven without AWS, edited by hand, and the edit is found."""

import shlex
from typing import TYPE_CHECKING

from weaudit.demo.tour import WAIT_SECONDS, Tour, awaited
from weaudit.installation import draining
from weaudit.installation.pool import ahead
from weaudit.installation.reading.ledger import LedgerBucket, verifier_key
from weaudit.ledger import policies
from weaudit.trail import receipts
from weaudit.trail.changes import AuditedChange
from weaudit.trail.verification.walking import LedgerFinding, verify_log

if TYPE_CHECKING:
    from weaudit.ledger.policies import Policy


def ledger(tour: Tour, change: AuditedChange) -> list[str]:
    """Seal a change's first record, prove it, edit it in ``Audit``, have that found, and put the record back."""
    tour.heading(
        8, "the ledger: ledger_sealer seals each record, a receipt proves one without AWS, and an edit of it is found"
    )
    record_id = change.record_ids[0]
    path = tour.directory / "demo" / "record.tlog-proof"
    policy = policies.of_log(verifier_key(tour.installation))
    receipt = awaited(lambda: seal(tour) and proof(tour, record_id), bool)
    if not receipt:
        return [f"the ledger has no proof of the record {record_id}"]
    path.write_bytes(receipt)
    proven = receipts.opened(receipt, policy)  # by the file and the key alone
    tour.printing.text(f"the receipt proves entry {proven.index:,} of {proven.checkpoint.origin}:")
    if proven.record is None:
        return [f"the receipt of {record_id} does not have the record"]
    tour.printing.changes([receipts.change_of(proven.record)])
    faults = editing(tour, record_id, policy)
    file = shlex.quote(str(path))
    tour.by_hand(f"prove {record_id} -o {file}", f'check {file} --key "$({tour.weaudit} ledger key)"')
    tour.by_hand("verify --ledger")
    return faults


def editing(tour: Tour, record_id: str, policy: "Policy") -> list[str]:
    """Edit a record as whoever may write to ``Audit`` can, see the ledger name it, and put it back."""
    table, key = tour.installation.audit_table, {"id": {"S": record_id}}
    kept = tour.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    tour.printing.note(f"  set its new value to 99 in the table {table}, by hand")
    tour.dynamodb.put_item(TableName=table, Item={**kept, "newValue": {"N": "99"}})
    try:
        found = awaited(lambda: findings(tour, record_id, policy) if seal(tour) else [], bool)
        for one in found:
            tour.printing.text(f"{one.kind}: {one.id}: {one.text}")
    finally:
        tour.printing.note("  put it back: that is one more finding, and neither ever leaves the ledger")
        tour.dynamodb.put_item(TableName=table, Item=kept)
        seal(tour)
    kinds = [one.kind for one in found]
    return [] if kinds == ["altered"] else [f"the ledger says {kinds} of the record {record_id}, which was edited"]


def seal(tour: Tour) -> bool:
    """Have everything sealed that is in the trail now; return whether it was. The clock's sealer may be first."""
    return draining.sealed(tour.installation.target, tour.installation.ledger_sealer, WAIT_SECONDS)


def proof(tour: Tour, record_id: str) -> bytes | None:
    """Return the receipt of a record, or None if it is not sealed."""
    bucket, change = LedgerBucket.of(tour.installation), tour.trail.record(record_id, values=False)
    return None if change is None else receipts.receipt_of(change, bucket.fetch, bucket.part)


def findings(tour: Tour, record_id: str, policy: "Policy") -> list[LedgerFinding]:
    """Return what a verification of the whole ledger finds about a record."""
    log = LedgerBucket.of(tour.installation)
    verdict = verify_log(policy, log.fetch, log.listed, ahead=ahead)
    return [one for one in verdict.findings if one.id == record_id]
