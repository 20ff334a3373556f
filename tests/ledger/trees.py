"""Merkle trees as RFC 6962, section 2.1, defines them: by recursion over the leaves, and as slowly as that is."""

import hashlib
from collections.abc import Sequence


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(count: int) -> int:
    """Return the largest power of two smaller than the count."""
    return 1 << (count - 1).bit_length() - 1


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0])
    k = split(len(leaves))
    return sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:]))


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]): the audit path of leaf m."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), tree_hash(leaves[k:])]
    return [*path(m - k, leaves[k:]), tree_hash(leaves[:k])]


def proof(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """PROOF(m, D[n]): the consistency proof from the first m leaves, which is SUBPROOF(m, D[n], whole)."""
    if m == len(leaves):
        return [] if whole else [tree_hash(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole), tree_hash(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), tree_hash(leaves[:k])]


def includes(i: int, n: int, leaf: bytes, hashes: Sequence[bytes], root: bytes) -> bool:
    """Verify an inclusion proof by the steps of docs/formats/ledger.md, which are those of RFC 9162."""
    if i >= n:
        return False
    f, s, r = i, n - 1, leaf
    for h in hashes:
        if s == 0:
            return False
        if f & 1 or f == s:
            r = sha256(b"\x01" + h + r)
            while not f & 1 and f:
                f, s = f >> 1, s >> 1
        else:
            r = sha256(b"\x01" + r + h)
        f, s = f >> 1, s >> 1
    return s == 0 and r == root


def begins(m: int, old_root: bytes, n: int, root: bytes, hashes: Sequence[bytes]) -> bool:
    """Verify a consistency proof, 0 < m < n, by the steps of docs/formats/ledger.md, which are those of RFC 9162."""
    if not hashes:
        return False
    first, *others = [old_root, *hashes] if m.bit_count() == 1 else hashes
    f, s = m - 1, n - 1
    while f & 1:
        f, s = f >> 1, s >> 1
    a = b = first
    for h in others:
        if s == 0:
            return False
        if f & 1 or f == s:
            a, b = sha256(b"\x01" + h + a), sha256(b"\x01" + h + b)
            while not f & 1 and f:
                f, s = f >> 1, s >> 1
        else:
            b = sha256(b"\x01" + b + h)
        f, s = f >> 1, s >> 1
    return a == old_root and b == root and s == 0


def damaged(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """Return lists that differ from this one by one bit of a hash, or by a hash that is missing, doubled or swapped."""
    found = [[*hashes, hashes[-1] if hashes else sha256(b"")], [sha256(b""), *hashes]]
    for at, one in enumerate(hashes):
        before, after = hashes[:at], hashes[at + 1 :]
        found += [[*before, flipped(one, bit), *after] for bit in range(len(one) * 8)]
        found += [
            [*before, *after],
            [*before, one, one, *after],
            [*before, one[:-1], *after],
            [*before, one + b"\0", *after],
        ]
        found += [[*before, after[0], one, *after[1:]]] if after else []
    return found


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
