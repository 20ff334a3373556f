"""What a log says last of each row that it has entries of, in some 200 bytes a row."""

from array import array
from collections.abc import Iterator
from hashlib import sha256

from weaudit.ledger.entries import ROWS
from weaudit.ledger.faults import LedgerError

GONE = frozenset({"expired", "deleted"})
"""The kinds of entries after which the row is no longer in its table."""

_KEY_BYTES = 16
_HASH_BYTES = 32
_LEAF_BYTES = 8
_MOST_TABLES = 255


class SealedRows:
    """Rows by table and id, each with the last entry of it: its kind, its hash and its leaf.

    A row is known by 16 bytes of a hash of its table and its id. ``tables`` are the tables as entries name them, "" for
    ``Audit``.
    """

    def __init__(self) -> None:
        self.tables: list[str] = []
        self._slots: dict[bytes, int] = {}
        self._kinds = bytearray()
        self._tables = bytearray()
        self._hashes = bytearray()
        self._leaves = array("Q")

    def __len__(self) -> int:
        return len(self._leaves)

    def put(self, table: str, row_id: str, kind: str, digest: str, leaf: int) -> None:
        """Note the next entry of a row; ``digest`` is hex. Raises LedgerError beyond 255 tables."""
        key = _key(table, row_id)
        slot = self._slots.get(key)
        if slot is None:
            self._slots[key] = len(self._leaves)
            self._kinds.append(ROWS.index(kind))
            self._tables.append(self._number(table))
            self._hashes += bytes.fromhex(digest)
            self._leaves.append(leaf)
        else:
            self._kinds[slot] = ROWS.index(kind)
            self._hashes[slot * _HASH_BYTES : (slot + 1) * _HASH_BYTES] = bytes.fromhex(digest)
            self._leaves[slot] = leaf

    def _number(self, table: str) -> int:
        if table not in self.tables:
            if len(self.tables) == _MOST_TABLES:
                raise LedgerError(f"the log has entries of more than {_MOST_TABLES} tables")
            self.tables.append(table)
        return self.tables.index(table)

    def slot(self, table: str, row_id: str) -> int | None:
        """Return the number of a row, or None if the log has no entry of it."""
        return self._slots.get(_key(table, row_id))

    def kind(self, slot: int) -> str:
        """Return the kind of the last entry of a row."""
        return ROWS[self._kinds[slot]]

    def table(self, slot: int) -> str:
        """Return the table of a row."""
        return self.tables[self._tables[slot]]

    def hash(self, slot: int) -> bytes:
        """Return the hash of a row in the last entry of it."""
        return bytes(self._hashes[slot * _HASH_BYTES : (slot + 1) * _HASH_BYTES])

    def leaf(self, slot: int) -> int:
        """Return the leaf of the last entry of a row."""
        return self._leaves[slot]

    def document(self) -> tuple[list[str], int]:
        """Return what :meth:`read` needs besides the :meth:`parts`: the tables, and how many rows there are."""
        return self.tables, len(self)

    def parts(self) -> Iterator[bytes]:
        """Yield all rows as bytes, in a few parts."""
        yield b"".join(self._slots)
        yield bytes(self._kinds)
        yield bytes(self._tables)
        yield bytes(self._hashes)
        yield self._leaves.tobytes()

    @classmethod
    def read(cls, document: tuple[list[str], int], content: memoryview) -> "SealedRows":
        """Return the rows that these are the bytes of. Raises LedgerError if they are not of the right length."""
        made = cls()
        made.tables, count = list(document[0]), document[1]
        widths = (_KEY_BYTES, 1, 1, _HASH_BYTES, _LEAF_BYTES)
        if len(content) != count * sum(widths):
            raise LedgerError(f"{len(content)} bytes are not the rows of a log, {count} of {sum(widths)} bytes each")
        parts, at = [], 0
        for width in widths:
            parts.append(content[at : at + width * count])
            at += width * count
        keys = bytes(parts[0])
        made._slots = {keys[at : at + _KEY_BYTES]: at // _KEY_BYTES for at in range(0, len(keys), _KEY_BYTES)}
        made._kinds, made._tables, made._hashes = map(bytearray, parts[1:4])
        made._leaves = array("Q", bytes(parts[4]))
        return made


def _key(table: str, row_id: str) -> bytes:
    # No name of a table has this character.
    return sha256(f"{table}\0{row_id}".encode("utf-8", "surrogatepass")).digest()[:_KEY_BYTES]
