"""What was verified of a log, as bytes, for the next verification (`weaudit verify --ledger --resume`).

A line of JSON, then the rows, then the SHA-256 of both, against damage. Whoever can write this file can make a
verification say what they like: it belongs to the verifier alone.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256

from weaudit.ledger.faults import LedgerError
from weaudit.ledger.merkle import EMPTY_ROOT, Edge
from weaudit.ledger.tiles import LEVELS
from weaudit.trail.verification.sealed import SealedRows
from weaudit.trail.verification.seals import Seals
from weaudit.trail.verification.walking import LedgerFinding, Verified

FORMAT = "weaudit-verified-1"
_DIGEST_BYTES = len(EMPTY_ROOT)


def written(verified: Verified) -> Iterator[bytes]:
    """Yield the bytes of what was verified, in a few parts."""
    tables, rows = verified.rows.document()
    document = {
        "format": FORMAT,
        "origin": verified.origin,
        "size": verified.size,
        "edge": [one.hex() for one in verified.edge.hashes],
        "runs": [run.hex() for run in verified.runs],
        "tables": tables,
        "rows": rows,
        "seals": dataclasses.asdict(verified.seals),
        "kinds": verified.kinds,
        "findings": verified.findings,
    }
    digest = sha256()
    for part in (json.dumps(document).encode() + b"\n", *verified.rows.parts()):
        digest.update(part)
        yield part
    yield digest.digest()


def read(content: bytes) -> Verified:
    """Return what was verified. Raises LedgerError if these are not bytes that :func:`written` wrote."""
    end = len(content) - _DIGEST_BYTES
    if end < 0 or sha256(memoryview(content)[:end]).digest() != content[end:]:
        raise LedgerError("it was damaged, or is no state of a verification")
    line, _, _ = content.partition(b"\n")
    try:
        found = json.loads(line)
        if found["format"] != FORMAT:
            raise LedgerError(f"it is of another format than {FORMAT}")
        verified = Verified(
            origin=found["origin"],
            size=found["size"],
            edge=Edge(found["size"], map(bytes.fromhex, found["edge"])),
            runs=[bytes.fromhex(run) for run in found["runs"]],
            rows=SealedRows.read((found["tables"], found["rows"]), memoryview(content)[len(line) + 1 : end]),
            seals=Seals(**found["seals"]),
            kinds=Counter(found["kinds"]),
            findings=[LedgerFinding(*one) for one in found["findings"]],
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LedgerError(f"it is no state of a verification: {error}") from error
    if len(verified.runs) != len(LEVELS):
        raise LedgerError("it is no state of a verification")
    return verified
