"""Ed25519 signatures (RFC 8032), verified with nothing but the standard library.

This module verifies and never signs. All that it works on is public, so it need not take the same time for every input.

RFC 8032 leaves some choices to a verifier. These are the choices of OpenSSL and Go, so that verdicts agree with theirs,
and two that are stricter:

- The equation is checked without the cofactor: the point [S]B - [k]A, encoded, must be R byte by byte. An encoding of R
  that is not canonical is therefore never accepted.
- S must be less than the order of the group: adding the order to S does not make a second signature.
- The public key must be a canonical encoding, as RFC 8032 says. OpenSSL and Go accept others.
- The public key must not be of small order: under such a key one signature fits many messages, so it proves nothing.
"""

from __future__ import annotations

from hashlib import sha512

from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    # X, Y, Z and T: the point (X/Z, Y/Z), with X/Z * Y/Z = T/Z.
    Point = tuple[int, int, int, int]

KEY_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_TWICE_D = 2 * _D % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)
_NEUTRAL = (0, 1, 1, 0)
# How X.509 says "an Ed25519 public key" (RFC 8410); the key's bytes follow.
_SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the signature is one of this message by this key; never raise for bytes of any content."""
    if len(signature) != SIGNATURE_BYTES or (key := _public_point(public_key)) is None:
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= _ORDER:
        return False
    k = int.from_bytes(sha512(r + public_key + message).digest(), "little") % _ORDER
    x, y, z, t = key
    return _encoded(_sum_of_multiples(s, _BASE, k, (_P - x, y, z, _P - t))) == r


def is_public_key(encoded: bytes) -> bool:
    """Return whether these bytes are a public key under which `verify` may return True."""
    return _public_point(encoded) is not None


def from_spki(der: bytes) -> bytes:
    """Return the 32 bytes of a public key from its SubjectPublicKeyInfo in DER, which is what AWS KMS returns.

    Raises LedgerError if it is not one of an Ed25519 key.
    """
    if len(der) != len(_SPKI_PREFIX) + KEY_BYTES or not der.startswith(_SPKI_PREFIX):
        raise LedgerError("this is not the SubjectPublicKeyInfo of an Ed25519 key")
    return der[len(_SPKI_PREFIX) :]


def to_spki(public_key: bytes) -> bytes:
    """Return the key's SubjectPublicKeyInfo in DER, which openssl reads."""
    return _SPKI_PREFIX + public_key


def _public_point(encoded: bytes) -> Point | None:
    if len(encoded) != KEY_BYTES or (point := _decoded(encoded)) is None:
        return None
    x, y, z, _ = _doubled(_doubled(_doubled(point)))
    return None if x == 0 and y == z else point


def _decoded(encoded: bytes) -> Point | None:
    """Return the point of a canonical encoding (RFC 8032, 5.1.3), or None if there is none."""
    number = int.from_bytes(encoded, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= _P:
        return None
    u, v = y * y - 1, _D * y * y + 1
    x = u * v**3 * pow(u * v**7, (_P - 5) // 8, _P) % _P
    if (v * x * x + u) % _P == 0:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if (v * x * x - u) % _P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: Point) -> bytes:
    x, y, z, _ = point
    inverse = pow(z, -1, _P)
    return (y * inverse % _P | (x * inverse % _P & 1) << 255).to_bytes(32, "little")


def _sum_of_multiples(m: int, a: Point, n: int, b: Point) -> Point:
    """Return [m]a + [n]b for m and n below the order, two bits of both numbers a step."""
    multiples_of_a = [_NEUTRAL, a, _doubled(a), _added(_doubled(a), a)]
    multiples_of_b = [_NEUTRAL, b, _doubled(b), _added(_doubled(b), b)]
    sums = [_added(of_a, of_b) for of_a in multiples_of_a for of_b in multiples_of_b]
    total = _NEUTRAL
    for shift in range(252, -1, -2):
        total = _doubled(_doubled(total))
        if chosen := (m >> shift & 3) << 2 | n >> shift & 3:
            total = _added(total, sums[chosen])
    return total


def _added(left: Point, right: Point) -> Point:
    x1, y1, z1, t1 = left
    x2, y2, z2, t2 = right
    a, b = (y1 - x1) * (y2 - x2) % _P, (y1 + x1) * (y2 + x2) % _P
    c, d = t1 * t2 % _P * _TWICE_D % _P, 2 * z1 * z2 % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _doubled(point: Point) -> Point:
    x, y, z, _ = point
    a, b = x * x % _P, y * y % _P
    h, g = a + b, a - b
    e, f = h - (x + y) ** 2 % _P, 2 * z * z % _P + g
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


_BASE = _decoded((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")) or _NEUTRAL
