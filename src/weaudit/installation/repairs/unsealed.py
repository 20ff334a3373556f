"""Has the ledger sealed now: what came, and rows that were there before the ledger was (`seal`, `ledger adopt`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from weaudit.errors import StoreRefusedError
from weaudit.installation import clients
from weaudit.installation.draining import sealer_called
from weaudit.installation.outputs import Installation
from weaudit.installation.pool import ahead
from weaudit.installation.reading.ledger import LedgerBucket, faults, output_of, verifier_key
from weaudit.installation.reading.stored_rows import pages_of
from weaudit.ledger import policies
from weaudit.trail.verification.rows import Source, sources
from weaudit.trail.verification.walking import verify_log

_IDS = 500


@dataclass
class Sealing:
    """What calls of the sealer did: entries ``sealed``, ``findings`` among them, and the ``size`` of the log now."""

    sealed: int = 0
    findings: int = 0
    size: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Add what a call answered."""
        self.sealed += int(answer["sealed"])
        self.findings += int(answer["findings"])
        self.size = int(answer["size"])


@dataclass
class Adoption:
    """Rows that the log has no entry of: their keys by table, and ``size``, that of the log in which they are not."""

    size: int
    keys: dict[str, list[list[str]]] = field(default_factory=dict)


def seal(installation: Installation, progress: Callable[[int], None] = lambda _: None) -> Sealing:
    """Call the sealer until it has sealed all that came; ``progress`` gets the number of entries so far.

    Raises StoreRefusedError if the sealer fails.
    """
    done = Sealing()
    while True:
        answer = _called(installation, {})
        done.add(answer)
        progress(done.sealed)
        if not answer["behind"]:
            return done


def unsealed(installation: Installation, progress: Callable[[str, int, int | None], None]) -> Adoption:
    """Return the rows of the three tables that the log, all of it proven, has no entry of.

    Raises StoreError, and LedgerFaultError if the log is not whole.
    """
    key = verifier_key(installation)
    bucket = LedgerBucket.of(installation)
    with faults():
        verdict = verify_log(
            policies.of_log(key),
            bucket.fetch,
            bucket.listed,
            ahead=ahead,
            progress=lambda done, of: progress("reading the log", done, of),
        )
    if not verdict.whole:
        raise StoreRefusedError("the ledger is not whole: `weaudit verify --ledger` says where")
    found = Adoption(verdict.checkpoint.size)
    dynamodb = clients.dynamodb(installation.target)
    for source in _sources(installation):
        count = 0
        for page in pages_of(dynamodb, source.name):
            for row in page:
                row_id = source.id_of(row)
                if source.seals(row_id) and verdict.verified.rows.slot(source.label, row_id) is None:
                    found.keys.setdefault(source.name, []).append([str(row[name]["S"]) for name in source.keys])
            count += len(page)
            progress(f"reading {source.name}", count, None)
    return found


def adopt(installation: Installation, adoption: Adoption, progress: Callable[[int], None] = lambda _: None) -> Sealing:
    """Have these rows sealed as they are now. A call that is repeated adds nothing. Raises StoreRefusedError."""
    done, asked = Sealing(size=adoption.size), 0
    for table, keys in adoption.keys.items():
        for part in _parts(keys):
            document = {"table": table, "ids": part, "size": adoption.size}
            answer = _called(installation, {"adopt": document})
            while answer["behind"]:  # another sealer was first, or more came than was read: nothing is sealed twice
                done.add(answer)
                answer = _called(installation, {"adopt": document})
            done.add(answer)
            asked += len(part)
            progress(asked)
    return done


def _parts(keys: list[list[str]]) -> Iterator[list[list[str]]]:
    for start in range(0, len(keys), _IDS):
        yield keys[start : start + _IDS]


def _sources(installation: Installation) -> tuple[Source, Source, Source]:
    return sources(installation.audit_table, installation.outputs["AuditLogsTableName"], installation.invocation_log)


def _called(installation: Installation, event: dict[str, Any]) -> dict[str, Any]:
    return sealer_called(installation.target, output_of(installation, "LedgerSealerAliasArn"), event)
