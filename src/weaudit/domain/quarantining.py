"""What is kept of a record that can never be processed as it stands."""

from __future__ import annotations

import json
from hashlib import sha256

from weaudit.errors import WeauditError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from typing import Any

# An object for the evidence bucket, key and body: the same record always gives the same.
Quarantined = tuple[str, bytes]


def decide(record: Any, error: Exception, function: str) -> Quarantined:
    """Return the object that keeps a record whole, with the reason why it could not be processed.

    Its key is ``quarantine/<function>/<first 32 hex digits of the record's SHA-256>.json``; its body is JSON with
    ``code``, ``reason``, ``function`` and ``record``.
    """
    raw = json.dumps(record, sort_keys=True, separators=(",", ":"))
    # An unforeseen error's text may quote data: its type says enough, and the record is beside it.
    known = isinstance(error, WeauditError)
    entry = {
        "code": error.code if isinstance(error, WeauditError) else type(error).__name__,
        "reason": str(error) if known else "the record could not be processed",
        "function": function,
        "record": record,
    }
    digest = sha256(raw.encode()).hexdigest()[:32]
    return f"quarantine/{function}/{digest}.json", json.dumps(entry, sort_keys=True).encode()
