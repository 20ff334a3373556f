"""The Merkle tree of RFC 6962 over SHA-256: its edge, to append by, and proofs of inclusion and of consistency.

A *run* is several hashes, one after the other, in one bytes object. A *node* is a complete subtree: the node (level,
index) spans 2**level leaves from index * 2**level on, and its hash never changes however the tree grows. Whatever else
a proof needs follows from the hashes of nodes.
"""

from __future__ import annotations

from hashlib import sha256

from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Nodes = Callable[[int, int], bytes]
    """Returns the hash of the node (level, index)."""

HASH_BYTES = 32
MOST_LEAVES = (1 << 63) - 1
"""Every size and index fits a signed integer of 64 bits, so no proof has more than 64 hashes."""

EMPTY_ROOT = sha256().digest()
"""The root of the tree without leaves."""

_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(_LEAF + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> bytes:
    """Return the hashes of leaves as a run."""
    hashed, leaf = sha256, _LEAF
    return b"".join([hashed(leaf + entry).digest() for entry in entries])


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return sha256(_NODE + left + right).digest()


def parents(run: bytes) -> bytes:
    """Return the run of the level above. The run given must have an even number of hashes."""
    hashed, node = sha256, _NODE
    return b"".join([hashed(node + run[at : at + 64]).digest() for at in range(0, len(run), 64)])


def top(run: bytes) -> bytes:
    """Return the hash above a run of 1, 2, 4, 8 … hashes."""
    while len(run) > HASH_BYTES:
        run = parents(run)
    return run


def joined(hashes: Sequence[bytes]) -> bytes:
    """Return the hash of the subtree that these nodes make up, the largest and leftmost first."""
    *others, found = hashes
    for left in reversed(others):
        found = node_hash(left, found)
    return found


class Edge:
    """What must be kept of a tree to append to it: the hashes of the nodes that it consists of, the largest first.

    A tree of n leaves has one for each bit of n that is set: never more than 63, however many leaves there are.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        """Raise LedgerError if a tree of this size cannot have these hashes."""
        self.size = _size(size)
        self.hashes = tuple(hashes)
        if len(self.hashes) != size.bit_count():
            raise LedgerError(f"the edge of a tree of {size} leaves has {size.bit_count()} hashes")
        _are_hashes(self.hashes)

    def extended(self, leaves: bytes) -> Edge:
        """Return the edge after a run of leaf hashes is appended. Levels are hashed one at a time, leaves first."""
        count = _count(leaves)
        kept, added = list(self.hashes), []
        level, run = 0, leaves
        while run:
            if self.size >> level & 1:
                run = kept.pop() + run
            if _count(run) & 1:
                added.append(run[-HASH_BYTES:])
                run = run[:-HASH_BYTES]
            run = parents(run)
            level += 1
        return Edge(self.size + count, (*kept, *reversed(added)))

    def root(self) -> bytes:
        """Return the root of the tree."""
        return joined(self.hashes) if self.hashes else EMPTY_ROOT


# ---- proofs


def inclusion_proof(index: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes that lead from a leaf to the root of a tree, the leaf's sibling first."""
    return [_hash_of(start, end, nodes) for start, end in _siblings(index, size)]


def check_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raise LedgerError unless the proof shows that the leaf at this index of a tree with this root has this hash."""
    siblings = _siblings(index, size)
    if len(proof) != len(siblings):
        raise LedgerError(f"a proof for leaf {index} of {size} has {len(siblings)} hashes, not {len(proof)}")
    _are_hashes((leaf, root, *proof))
    found = leaf
    for (start, _), sibling in zip(siblings, proof, strict=True):
        found = node_hash(sibling, found) if start < index else node_hash(found, sibling)
    if found != root:
        raise LedgerError(f"the proof does not lead from leaf {index} to the root of the tree of {size} leaves")


def consistency_proof(old_size: int, size: int, nodes: Nodes) -> list[bytes]:
    """Return the hashes which show that the tree of ``old_size`` leaves is the beginning of the tree of ``size``."""
    if old_size in (0, size):
        _sizes(old_size, size)
        return []
    seed, siblings = _between(old_size, size)
    ranges = siblings if seed[0] == 0 else [seed, *siblings]
    return [_hash_of(start, end, nodes) for start, end in ranges]


def check_consistency(old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Raise LedgerError unless the proof shows that one tree is the beginning of another.

    Every tree begins with the empty one, and with itself: these two proofs are empty.
    """
    _sizes(old_size, size)
    _are_hashes((old_root, root, *proof))
    if old_size in (0, size):
        if proof:
            raise LedgerError("a proof from the empty tree, or between trees of one size, has no hashes")
        if old_root != (root if old_size == size else EMPTY_ROOT) or (size == 0 and root != EMPTY_ROOT):
            raise LedgerError(f"two different roots of trees of {old_size} leaves")
        return
    seed, siblings = _between(old_size, size)
    # Where the old tree is one node of the new one, the proof does not repeat its hash: it is the old root.
    hashes = [old_root, *proof] if seed[0] == 0 else proof
    if len(hashes) != len(siblings) + 1:
        raise LedgerError(f"a proof from {old_size} to {size} leaves does not have {len(proof)} hashes")
    old = new = hashes[0]
    for (start, _), sibling in zip(siblings, hashes[1:], strict=True):
        if start < old_size:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    if old != old_root or new != root:
        raise LedgerError(f"the tree of {size} leaves does not begin with the tree of {old_size} leaves")


def nodes_between(start: int, end: int) -> list[tuple[int, int]]:
    """Return the nodes, the largest first, of the subtree over leaves ``start`` to ``end``, ``end`` not included.

    A subtree of the RFC's definition begins at a multiple of each of its nodes' sizes; no other range has nodes.
    """
    found, at = [], start
    for level in range((end - start).bit_length() - 1, -1, -1):
        if (end - start) >> level & 1:
            found.append((level, at >> level))
            at += 1 << level
    return found


def _hash_of(start: int, end: int, nodes: Nodes) -> bytes:
    return joined([nodes(level, index) for level, index in nodes_between(start, end)])


def _split(start: int, end: int) -> int:
    """Return where the RFC divides a range: after the largest power of two that is smaller than its size."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _siblings(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose hashes lead from a leaf to the root, the leaf's sibling first."""
    if not 0 <= index < _size(size):
        raise LedgerError(f"a tree of {size} leaves has no leaf {index}")
    found, start, end = [], 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def _between(old_size: int, size: int) -> tuple[tuple[int, int], list[tuple[int, int]]]:
    """Return the largest range that ends both trees' common part, and those that lead from it to the new root."""
    _sizes(old_size, size)
    found, start, end = [], 0, size
    while end != old_size:
        middle = _split(start, end)
        if old_size <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return (start, end), found[::-1]


def _size(size: int) -> int:
    if not 0 <= size <= MOST_LEAVES:
        raise LedgerError(f"no tree has {size} leaves")
    return size


def _sizes(old_size: int, size: int) -> None:
    if _size(old_size) > _size(size):
        raise LedgerError(f"a tree of {old_size} leaves is not the beginning of one of {size}")


def _count(run: bytes) -> int:
    count, rest = divmod(len(run), HASH_BYTES)
    if rest:
        raise LedgerError(f"{len(run)} bytes are not hashes of {HASH_BYTES} bytes each")
    return count


def _are_hashes(hashes: Iterable[bytes]) -> None:
    if any(len(found) != HASH_BYTES for found in hashes):
        raise LedgerError(f"a hash has {HASH_BYTES} bytes")
