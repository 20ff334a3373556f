"""What a log asks of its witness after each signature: a cosignature if there is one to get, and never to wait for it.

A log that could not be published without its witness would end with it.
"""

from __future__ import annotations

from weaudit.errors import StoreError
from weaudit.ledger import witness
from weaudit.ledger.faults import LedgerError
from weaudit.ledger.witness import RefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from weaudit.ledger.notes import VerifierKey
    from weaudit.ledger.tiles import TileReader
    from weaudit.ledger.witness import Post

_OTHER_LOG = 422


class Asking:
    """Asks one witness, whose key is ``key``. ``post`` sends a request and returns status and body of the response.

    ``tell`` gets the error where there is no cosignature.
    """

    def __init__(self, key: VerifierKey, post: Post, tell: Callable[[Exception], None]) -> None:
        self._key = key
        self._post = post
        self._tell = tell
        self._remembered = 0

    def cosigned(self, note: bytes, tree: TileReader) -> bytes:
        """Return the signed checkpoint of a log with the cosignature, or as it is if the witness gives none."""
        old_size, self._remembered = self._remembered, 0  # a witness says itself what it remembers if it is not this
        try:
            found = witness.cosigned(note, self._key, old_size, tree.consistency_proof, self._post)
        except (StoreError, LedgerError) as error:
            self._tell(error)
            return note
        self._remembered = tree.size
        return found


def is_finding(error: Exception) -> bool:
    """Return whether a witness refuses because the log does not begin with what it has seen.

    That it has seen a longer log is none: a second sealer may just have been quicker.
    """
    return isinstance(error, RefusedError) and error.status == _OTHER_LOG
