"""Signed notes (c2sp.org/signed-note): a text, and the signatures of keys that have names.

A note is the text, which ends in a newline, an empty line, and a line for each signature::

    — <name of the key> base64(<key id, 4 bytes> <signature>)

Two types of key are known: Ed25519 over the text, and Ed25519 over the text and a time, by which a witness cosigns a
checkpoint (c2sp.org/tlog-cosignature). A signature by any other key is kept and says nothing.

Nothing of a note may be used, or shown, before `verified` has returned. No error quotes what is not verified.
"""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from hashlib import sha256

from weaudit.ledger import ed25519
from weaudit.ledger.faults import LedgerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

ED25519 = 0x01
COSIGNATURE = 0x04
"""The types of key: what the byte before the public key is in a verifier key."""

LARGEST_NOTE_BYTES = 262_144
MOST_SIGNATURES = 100
"""Of a note that is read. Sixteen signatures of the largest kind in use have some 100,000 bytes."""

LATEST_TIME = 2**63 - 1

_KEY_ID_BYTES = 4
_TIME_BYTES = 8
_LINE_START = "— "


class VerifierKey:
    """The name and the public key of a signer, as in a verifier key; ``key_id`` is derived from them.

    Raises LedgerError if the name cannot be the name of a key, or the public key cannot be one of its type.
    """

    __slots__ = ("key_id", "key_type", "name", "public_key")

    def __init__(self, name: str, public_key: bytes, key_type: int = ED25519) -> None:
        if not is_key_name(name):
            raise LedgerError("the name of a key must be a text without white space, '+' and control characters")
        if key_type not in (ED25519, COSIGNATURE):
            raise LedgerError(
                f"keys of type {key_type:#04x} are not supported, only {ED25519:#04x} and {COSIGNATURE:#04x}"
            )
        if not ed25519.is_public_key(public_key):
            raise LedgerError("the public key is not a valid Ed25519 public key")
        self.name, self.public_key, self.key_type = name, public_key, key_type
        self.key_id = sha256(name.encode() + b"\n" + self._typed()).digest()[:_KEY_ID_BYTES]

    @classmethod
    def read(cls, text: str) -> VerifierKey:
        """Return the key of ``<name>+<key id>+<base64>``; raises LedgerError if the text is not a verifier key."""
        parts = text.split("+", 2)
        if len(parts) != 3 or not (typed := from_base64(parts[2])):
            raise LedgerError("a verifier key is <name>+<key id in hex>+<type and public key in base64>")
        key = cls(parts[0], typed[1:], typed[0])
        if key.key_id.hex() != parts[1]:
            raise LedgerError("the key id of the verifier key does not belong to its name and public key")
        return key

    def __str__(self) -> str:
        """Return the key as a verifier key, the text that `read` reads."""
        return f"{self.name}+{self.key_id.hex()}+{to_base64(self._typed())}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifierKey) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash((self.name, self.key_id))

    def __repr__(self) -> str:
        return f"VerifierKey.read({str(self)!r})"

    def _typed(self) -> bytes:
        return bytes([self.key_type]) + self.public_key


class Signature:
    """One signature line: the key's name and id, and the rest of its bytes as they are."""

    __slots__ = ("content", "key_id", "name")

    def __init__(self, name: str, key_id: bytes, content: bytes) -> None:
        self.name, self.key_id, self.content = name, key_id, content

    def line(self) -> str:
        """Return the line that says so, with its newline."""
        return f"{_LINE_START}{self.name} {to_base64(self.key_id + self.content)}\n"


class Note:
    """A text and all signature lines under it, in their order, verified or not."""

    __slots__ = ("signatures", "text")

    def __init__(self, text: str, signatures: Sequence[Signature]) -> None:
        self.text, self.signatures = text, tuple(signatures)


def read(content: bytes) -> Note:
    """Return the note as it is written, with nothing verified.

    Raises LedgerError if the content is not a note, or is larger or has more signatures than is read here.
    """
    if len(content) > LARGEST_NOTE_BYTES:
        raise LedgerError(f"the note has more than {LARGEST_NOTE_BYTES} bytes")
    try:
        decoded = content.decode()
    except UnicodeDecodeError:
        raise LedgerError("the note is not UTF-8") from None
    _refuse_control_characters(decoded)
    text, blank_line, signed = decoded.rpartition("\n\n")
    if not blank_line or not signed.endswith("\n"):
        raise LedgerError("a note is a text, an empty line and signature lines, each ended by a newline")
    lines = signed[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise LedgerError(f"the note has more than {MOST_SIGNATURES} signatures")
    return Note(text + "\n", [_signature(number, line) for number, line in enumerate(lines, 1)])


def verified(note: Note, keys: Iterable[VerifierKey]) -> dict[VerifierKey, int | None]:
    """Return the keys that have signed the note, each with the time of its cosignature in seconds, else None.

    Signatures by other keys are ignored. Raises LedgerError if a signature by one of the keys is malformed, wrong or
    there twice, if none of the keys has signed, or if two of the keys cannot be told apart by name and id.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise LedgerError(f"two keys have the name {key.name!r} and the id {key.key_id.hex()}")
    signed: dict[VerifierKey, int | None] = {}
    for signature in note.signatures:
        found = known.get((signature.name, signature.key_id))
        if found is None:
            continue
        if found in signed:
            raise LedgerError(f"the note has two signatures by {found}")
        signed[found] = _verified_time(note.text, found, signature.content)
    if not signed:
        raise LedgerError("the note is not signed by any key that is known here")
    return signed


def signed_by(key: VerifierKey, sign: Callable[[bytes], bytes], text: str, time: int | None = None) -> Signature:
    """Return the key's signature of the text: ``sign`` gets the message and returns its 64 bytes.

    A cosignature needs a time, in seconds; a signature has none. Raises LedgerError if ``sign`` returns anything but a
    signature by this key: a note with that could be verified by nobody.
    """
    _refuse_text(text)
    if (key.key_type == COSIGNATURE) != (time is not None) or not 0 <= (time or 0) <= LATEST_TIME:
        raise LedgerError("a cosignature has a time from 0 to 2^63 - 1, and a signature has none")
    signature = sign(_message(text, time))
    if not ed25519.verify(key.public_key, _message(text, time), signature):
        raise LedgerError(f"the signer did not return a signature by {key}")
    return Signature(key.name, key.key_id, signature if time is None else time.to_bytes(_TIME_BYTES) + signature)


def written(text: str, signatures: Sequence[Signature]) -> bytes:
    """Return the bytes of a note; raises LedgerError if `read` would not return this text and these signatures."""
    _refuse_text(text)
    content = (text + "\n" + "".join(signature.line() for signature in signatures)).encode()
    if [signature.line() for signature in read(content).signatures] != [signature.line() for signature in signatures]:
        raise LedgerError("these are not signatures of a note")
    return content


def is_key_name(name: str) -> bool:
    """Return whether a key can have this name: not empty, no white space, no plus, no control character."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name != "" and not any(letter.isspace() or letter == "+" or letter < " " for letter in name)


def from_base64(text: str) -> bytes | None:
    """Return the bytes whose only base64 text this is, or None: another spelling of the same bytes is refused."""
    try:
        content = a2b_base64(text)
    except (Error, ValueError):
        return None
    return content if to_base64(content) == text else None


def to_base64(content: bytes) -> str:
    """Return the bytes in base64 (RFC 4648, section 4), with padding."""
    return b2a_base64(content, newline=False).decode()


def _signature(number: int, line: str) -> Signature:
    name, _, encoded = line.removeprefix(_LINE_START).partition(" ")
    content = from_base64(encoded)
    if not line.startswith(_LINE_START) or not is_key_name(name) or not content or len(content) <= _KEY_ID_BYTES:
        raise LedgerError(f"signature line {number} of the note is malformed")
    return Signature(name, content[:_KEY_ID_BYTES], content[_KEY_ID_BYTES:])


def _verified_time(text: str, key: VerifierKey, content: bytes) -> int | None:
    time, signature = None, content
    if key.key_type == COSIGNATURE:
        time, signature = int.from_bytes(content[:_TIME_BYTES]), content[_TIME_BYTES:]
    if len(signature) != ed25519.SIGNATURE_BYTES or (time or 0) > LATEST_TIME:
        raise LedgerError(f"the signature by {key} is malformed")
    if not ed25519.verify(key.public_key, _message(text, time), signature):
        raise LedgerError(f"the signature by {key} does not fit the text")
    return time


def _message(text: str, time: int | None) -> bytes:
    """Return what is signed: the text, and in a cosignature two lines before it."""
    return (text if time is None else f"cosignature/v1\ntime {time}\n{text}").encode()


def _refuse_text(text: str) -> None:
    if not text.endswith("\n"):
        raise LedgerError("the text of a note ends in a newline")
    _refuse_control_characters(text)


def _refuse_control_characters(text: str) -> None:
    if any(letter < " " and letter != "\n" for letter in set(text)):
        raise LedgerError("a note has no control characters but newlines")
