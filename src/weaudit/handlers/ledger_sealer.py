"""Seals every minute what happened to the rows of Audit, audit_logs and the invocation log (docs/ledger.md)."""

from __future__ import annotations

import time

from weaudit.aws.batches import read_keys
from weaudit.aws.client import KMS, S3, DynamoDB, Streams
from weaudit.aws.connections import Connection
from weaudit.capture.store_secrets import SecretTable
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.evidence import EvidenceBucket
from weaudit.items.times import iso_time
from weaudit.ledger.ed25519 import from_spki
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.notes import COSIGNATURE, VerifierKey
from weaudit.runtime import logs, metrics
from weaudit.sealing.outcomes import Outcomes
from weaudit.sealing.reading import Reading
from weaudit.sealing.sealer import Sealer, Summary, SupersededError
from weaudit.sealing.store_bucket import LedgerBucket
from weaudit.sealing.store_streams import TableStreams
from weaudit.trail.verification.rows import sources
from weaudit.witnessing.asking import Asking, is_finding
from weaudit.witnessing.store_remote import RemoteWitness

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from weaudit.ledger.entries import Entry
    from weaudit.runtime.event import Invocation

# A commit, and the bundles and tiles of it, take seconds. What is left is for the slowest answers.
_LAST_MS = 60_000
_NAMED = 20
_MOST_SAID = 300
_MOST_IDS = 1_000


class Ledger:
    """The sealer of this installation, made when it is first needed: it needs the key and the secret ORIGIN."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Keep the settings: see :func:`connect`."""
        dynamodb = Connection.from_environment("dynamodb", environment)
        self.dynamodb = DynamoDB(dynamodb)
        self.sources = sources(
            environment.get("TARGET_TABLE") or "Audit",
            environment.get("AUDIT_LOGS_TABLE") or "audit_logs",
            environment.get("INVOCATION_LOG_TABLE", ""),
        )
        s3 = S3(Connection.from_environment("s3", environment))
        self._bucket = LedgerBucket(
            s3,
            environment.get("LEDGER_BUCKET", ""),
            lock_days=int(environment.get("LEDGER_LOCK_DAYS") or 0),
            lock_mode=environment.get("LEDGER_LOCK_MODE", ""),
        )
        self._evidence = EvidenceBucket(s3, environment.get("EVIDENCE_BUCKET", ""))
        self._streams = TableStreams(Streams(Connection.from_environment("streams.dynamodb", environment)))
        self._kms = KMS(Connection.from_environment("kms", environment))
        self._key_arn = environment.get("LEDGER_KEY", "")
        self._name = environment.get("LEDGER_ORIGIN", "")
        self._keys_table = environment.get("KEYS_TABLE", "")
        self._witness = _witness(environment)
        self._made: tuple[Sealer, Outcomes] | None = None

    def sealer(self) -> tuple[Sealer, Outcomes]:
        """Return the sealer, and what decides its entries. Raises StoreError."""
        if self._made is None:
            origin = SecretTable(self.dynamodb, self._keys_table).origin()
            key = VerifierKey(self._name, from_spki(self._kms.public_key(self._key_arn)))
            outcomes = Outcomes(origin, self._evidence.get)
            reading = Reading(self._streams, self.sources, outcomes)
            cosigned = None if self._witness is None else self._witness.cosigned
            sealer = Sealer(self._bucket, reading, key, self._sign, origin, _tell, cosigned=cosigned)
            self._made = sealer, outcomes
        return self._made

    def _sign(self, message: bytes) -> bytes:
        return self._kms.sign(self._key_arn, message)


def connect(environment: Mapping[str, str]) -> dict[str, Any]:
    """Build the stores.

    TARGET_TABLE (default ``Audit``), AUDIT_LOGS_TABLE, INVOCATION_LOG_TABLE, KEYS_TABLE and EVIDENCE_BUCKET are read.
    LEDGER_BUCKET is written; LEDGER_KEY is the key's ARN in KMS, and LEDGER_ORIGIN the name of the log. Full tiles and
    checkpoints are locked for LEDGER_LOCK_DAYS in the mode LEDGER_LOCK_MODE. The witness at WITNESS_URL, if there is
    one, cosigns by the key WITNESS_KEY. Raises InvalidInputError if either is not what it should be.
    """
    return {"ledger": Ledger(environment)}


def handle(event: Any, invocation: Invocation, *, ledger: Ledger) -> tuple[dict[str, Any], dict[str, Any]]:
    """Seal what came; with ``{"adopt": {"table", "ids", "size"}}`` also rows that were never seen being written.

    ``size`` is that of the log in which the caller has looked for these ids. Raises StoreError: the next run, a minute
    later, goes on where this one stopped.
    """
    sealer, outcomes = ledger.sealer()
    summary = Summary()
    try:
        summary = sealer.run(lambda: invocation.remaining_ms() > _LAST_MS)
        adopted = event.get("adopt") if isinstance(event, dict) else None
        if adopted is not None:
            _adopt(adopted, ledger, sealer, outcomes, summary)
    except SupersededError:
        summary.behind = True  # what came since the other one read is not sealed, and nothing was adopted
        logs.write("INFO", "another sealer was first", requestId=invocation.request_id)
    except LedgerError as error:
        raise StoreRefusedError(f"the ledger is not what it was: {error}") from error
    if summary.foreign_commits:
        logs.write("WARNING", "somebody else put an object in the place of a commit", count=summary.foreign_commits)
        metrics.write("findings", findings=summary.foreign_commits)
    fields = {"sealed": summary.sealed, "size": summary.size, "behind": summary.behind}
    return {**fields, "findings": len(summary.findings) + summary.foreign_commits}, fields


def _tell(findings: list[Entry]) -> None:
    """Log what was found, and count it for the alarm, before it is signed."""
    for found in findings[:_NAMED]:
        logs.write("WARNING", "finding", kind=found.kind, at=found.time, **_named(found.fields))
    metrics.write("findings", findings=len(findings))


def _witness(environment: Mapping[str, str]) -> Asking | None:
    url, key = environment.get("WITNESS_URL", ""), environment.get("WITNESS_KEY", "")
    if not url:
        return None
    try:
        read = VerifierKey.read(key)
    except LedgerError as error:
        raise InvalidInputError(f"WITNESS_KEY is not a verifier key: {error}") from error
    if read.key_type != COSIGNATURE:
        raise InvalidInputError("WITNESS_KEY is the key of a log, and not of a witness")
    return Asking(read, RemoteWitness(url, environment).post, _not_cosigned)


def _not_cosigned(error: Exception) -> None:
    """Log why there is no cosignature; that the witness has seen another log is a finding."""
    logs.write("WARNING", "the witness has not cosigned", error=str(error)[:_MOST_SAID])
    if is_finding(error):
        logs.write("WARNING", "finding", kind="refused")
        metrics.write("findings", findings=1)


def _adopt(asked: Any, ledger: Ledger, sealer: Sealer, outcomes: Outcomes, summary: Summary) -> None:
    given: dict[str, Any] = asked if isinstance(asked, dict) else {}
    source = next((one for one in ledger.sources if one.name == given.get("table")), None)
    ids, since = given.get("ids"), given.get("size")
    parts = len(source.keys) if source is not None else 0
    if (
        source is None
        or not isinstance(since, int)
        or since < 0
        or not isinstance(ids, list)
        or len(ids) > _MOST_IDS
        or not all(_is_key(one, parts) for one in ids)
    ):
        raise InvalidInputError(
            f'adopt needs the "table" of a trail, at most {_MOST_IDS} "ids", each a list of the values of its key, and '
            'the "size" of the log that you read'
        )
    keys = [{name: {"S": part} for name, part in zip(source.keys, one, strict=True)} for one in ids]
    rows = read_keys(ledger.dynamodb.call, source.name, keys, ConsistentRead=True)
    at = iso_time(time.time_ns() // 1_000_000)
    sealer.adopt((one for row in rows if (one := outcomes.of_row(source, row, at)) is not None), since, summary)


def _is_key(found: Any, parts: int) -> bool:
    return isinstance(found, list) and len(found) == parts and all(isinstance(one, str) and one for one in found)


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what names the row of a finding in a log line; a foreign row's id is whatever its writer chose."""
    return {name: str(fields[name])[:100] for name in ("id", "table", "stream", "shard") if name in fields}
