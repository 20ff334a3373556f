"""A commit: the one object by which the log grows (docs/formats/ledger.md, Commits).

Its key says what size the log had before, and it is put only if there is none: that is staging, the swap, and the
commit of the offsets in one. Tiles, bundles and the signed checkpoint follow from it, whoever completes them.
"""

from __future__ import annotations

import hmac
import re

from weaudit.items.hashes import framed
from weaudit.ledger import tiles
from weaudit.ledger.entries import canonical, parse_canonical
from weaudit.ledger.faults import LedgerError
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from weaudit.ledger.entries import JSON

FORMAT = "weaudit-commit-1"
_MAC_BYTES = 32
_ROOT = re.compile("[0-9a-f]{64}")


@value
class Commit:
    """What a log of the size ``before`` became: its new root, and the entries that were added."""

    before: int
    root: bytes
    entries: Sequence[bytes]


def packed(commit: Commit, origin: bytes) -> bytes:
    """Return the object of a commit; ``origin`` is the secret ORIGIN."""
    count, root = len(commit.entries), commit.root.hex()
    head: dict[str, JSON] = {"before": commit.before, "count": count, "format": FORMAT, "root": root}
    body = canonical(head) + b"\n" + tiles.bundle(commit.entries)
    return body + _mac(origin, body)


def opened(content: bytes, before: int, origin: bytes) -> Commit:
    """Return the commit that an object holds. Raises LedgerError unless who knows the secret ORIGIN made it for here.

    Whoever may write to the bucket, and does not know the secret, cannot have anything signed.
    """
    body, mac = content[:-_MAC_BYTES], content[-_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(origin, body)):
        raise LedgerError(f"the commit after {before} entries was not made by the sealer")
    line, _, bundle = body.partition(b"\n")
    head = parse_canonical(line)
    if not isinstance(head, dict) or head.get("format") != FORMAT or head.get("before") != before:
        raise LedgerError(f"the commit after {before} entries is one of another place or format")
    root, count = head.get("root"), head.get("count")
    if not isinstance(root, str) or not _ROOT.fullmatch(root) or type(count) is not int or count < 0:
        raise LedgerError(f"the commit after {before} entries does not say its root, or how many were added")
    return Commit(before, bytes.fromhex(root), tiles.parse_bundle(bundle, count))


def _mac(origin: bytes, body: bytes) -> bytes:
    return hmac.digest(origin, framed(b"weaudit-commit-2", body), "sha256")
