"""Verdicts on signatures: those of RFC 8032, Wycheproof, the edges of the curve, and OpenSSL by way of cryptography."""

from hashlib import sha256

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.case_files import CASES
from weaudit.ledger import ed25519
from weaudit.ledger.faults import LedgerError

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
# RFC 8032, 7.1, tests 1, 2, 3 and SHA(abc): public key, message, signature.
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


def vectors(name: str) -> list[list[str]]:
    lines = (CASES / "ledger" / name).read_text().splitlines()
    return [line.split(" ") for line in lines if not line.startswith("#")]


WYCHEPROOF = vectors("wycheproof-ed25519.txt")
EDGES = vectors("edges-ed25519.txt")


def openssl(public_key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_verify(key: str, message: str, signature: str) -> None:
    assert ed25519.verify(*map(bytes.fromhex, (key, message, signature)))
    assert not ed25519.verify(*map(bytes.fromhex, (key, message + "00", signature)))


def test_all_vectors_are_there() -> None:
    assert len(WYCHEPROOF) == 151
    assert len(EDGES) == 66


@pytest.mark.parametrize("vector", WYCHEPROOF, ids=lambda vector: f"{vector[0]}-{vector[5]}")
def test_verdicts_are_those_of_wycheproof(vector: list[str]) -> None:
    _, verdict, *given = vector[:5]
    key, message, signature = (bytes.fromhex("" if text == "-" else text) for text in given)
    assert ed25519.verify(key, message, signature) == (verdict == "valid")


@pytest.mark.parametrize("vector", EDGES, ids=lambda vector: f"{vector[0]}-{vector[4]}")
def test_verdicts_at_the_edges_of_the_curve_are_those_of_openssl_or_stricter(vector: list[str]) -> None:
    _, key, number, signature, named = vector
    message = b"ed25519vectors" if number == "-" else f"ed25519vectors {number}".encode()
    flags = set(named.split(","))
    given = bytes.fromhex(key), message, bytes.fromhex(signature)
    assert ed25519.verify(*given) == (not flags & {"A", "nA", "nR", "residue"})
    assert openssl(*given) == (not flags & {"nR", "residue"})
    assert ed25519.is_public_key(given[0]) == (not flags & {"A", "nA"})


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.data())
def test_verdicts_are_those_of_openssl_for_any_key_and_message_and_for_damaged_ones(
    seed: bytes, message: bytes, data: st.DataObject
) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert ed25519.is_public_key(key)
    assert ed25519.verify(key, message, signature)
    parts = [key, message, signature]
    at = data.draw(st.integers(0, 2))
    damaged = bytearray(parts[at] or b"\0")
    place = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[place // 8] ^= 1 << place % 8
    parts[at] = bytes(damaged)
    assert not ed25519.verify(*parts)
    assert not openssl(*parts)


@given(st.binary(min_size=32, max_size=32).map(lambda drawn: sha256(drawn).digest()))
def test_a_public_key_is_any_point_of_the_curve(encoded: bytes) -> None:
    # Half of random bytes are points; none of them is of small order.
    assert ed25519.is_public_key(encoded) == square_root_exists(encoded)


def square_root_exists(encoded: bytes) -> bool:
    """Return whether x² = (y² - 1) / (dy² + 1) has a solution, by Euler's criterion."""
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    d = -121665 * pow(121666, -1, PRIME)
    square = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
    return y < PRIME and pow(square, (PRIME - 1) // 2, PRIME) == 1


def test_adding_the_order_to_s_makes_no_second_signature() -> None:
    key, message, signature = map(bytes.fromhex, RFC_8032[1])
    s = int.from_bytes(signature[32:], "little")
    for other in (s + ORDER, s + 8 * ORDER, ORDER, 2**256 - 1):
        assert not ed25519.verify(key, message, signature[:32] + other.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 1, 31, 33, 63, 65, 128])
def test_a_key_or_signature_of_another_length_is_refused(length: int) -> None:
    key, message, signature = map(bytes.fromhex, RFC_8032[0])
    assert not ed25519.verify(key, message, (signature * 2)[:length])
    assert not ed25519.verify((key * 4)[:length], message, signature)
    assert not ed25519.is_public_key((key * 4)[:length])


def test_a_number_beyond_the_prime_is_no_key() -> None:
    # Below 19, PRIME + y fits into 255 bits; y of 0 and 1 are points of small order.
    points = [y for y in range(2, 19) if square_root_exists(y.to_bytes(32, "little"))]
    assert points
    for y in points:
        assert ed25519.is_public_key(y.to_bytes(32, "little"))
        assert not ed25519.is_public_key((PRIME + y).to_bytes(32, "little"))


def test_a_key_goes_to_spki_and_back() -> None:
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert ed25519.from_spki(der) == public.public_bytes_raw()
    assert ed25519.to_spki(public.public_bytes_raw()) == der


@pytest.mark.parametrize(
    "der",
    [b"", bytes(44), bytes.fromhex("302a300506032b656e032100") + bytes(32), bytes.fromhex("302a300506032b6570032100")],
)
def test_the_spki_of_another_kind_of_key_is_refused(der: bytes) -> None:
    with pytest.raises(LedgerError, match="SubjectPublicKeyInfo"):
        ed25519.from_spki(der)
