"""An object that is gzip by its own word (Content-Encoding) unpacked, within the limit that holds for every file."""

from __future__ import annotations

import zlib

from weaudit.errors import ImageRejectedError
from weaudit.images.pixels import sniffing

_START = b"\x1f\x8b\x08"  # RFC 1952, 2.3.1: the method is always Deflate
_GZIP = 31  # zlib's window, and that a gzip header and trailer are around it
_PIECE = 64 * 1024
_MOST_MEMBERS = 10_000  # each costs its piece once more, however short it is


def is_packed(encoding: str, first_bytes: bytes) -> bool:
    """Say whether the header says gzip and the bytes are: what only one of them says counts for nothing."""
    return bool({"gzip", "x-gzip"} & set(_codings(encoding))) and first_bytes.startswith(_START)


def inside(encoding: str, first_bytes: bytes) -> bytes:
    """Return what an object begins with, unpacked where it is packed, as much as sniffing needs; never raises."""
    return beginning(first_bytes) if is_packed(encoding, first_bytes) else first_bytes


def beginning(first_bytes: bytes) -> bytes:
    """Return what a file begins as that is packed, as much as sniffing needs, or less; never raises."""
    try:
        return zlib.decompressobj(_GZIP).decompress(first_bytes, sniffing.BYTES_NEEDED)
    except zlib.error:
        return b""


def unpacked(content: bytes, most: int) -> bytes:
    """Return what was packed; raises ImageRejectedError: TooManyBytes where it is more than ``most``, or Corrupt.

    No more than one byte above ``most`` is ever unpacked. There may be several members, one after another; what comes
    after them and is none is left out, as gzip does.
    """
    parts: list[bytes] = []
    length, member, members = 0, zlib.decompressobj(_GZIP), 1
    try:
        for at in range(0, len(content), _PIECE):
            piece = content[at : at + _PIECE]
            while piece:
                if member.eof:
                    ahead = piece + content[at + _PIECE : at + _PIECE + len(_START)]
                    if not ahead.startswith(_START):
                        return b"".join(parts)
                    member, members = zlib.decompressobj(_GZIP), members + 1
                if members > _MOST_MEMBERS:
                    raise ImageRejectedError("Corrupt", f"its gzip has more than {_MOST_MEMBERS:,} members")
                parts.append(member.decompress(piece, most - length + 1))
                length += len(parts[-1])
                if length > most:
                    raise ImageRejectedError(
                        "TooManyBytes", f"its gzip holds more than the {most:,} bytes of the limit"
                    )
                piece = member.unused_data
    except zlib.error as error:
        raise ImageRejectedError("Corrupt", f"its gzip is damaged: {error}") from None
    if not member.eof:
        raise ImageRejectedError("Corrupt", "its gzip is cut short")
    return b"".join(parts)


def instead(first_bytes: bytes, encoding: str, *, packed: bool) -> str:
    """Return in words what content is that is no image, and what would be right, as far as that shows."""
    if not first_bytes:
        return "its gzip is damaged, or holds nothing" if packed else "it is empty"
    if first_bytes.startswith(_START):
        if packed:
            return "it is gzip within gzip: pack it once"
        return "it is gzip, and its Content-Encoding does not say so: say it, or upload the bytes themselves"
    text = first_bytes[: sniffing.BYTES_NEEDED].strip(b"\xef\xbb\xbf \t\r\n\"'")
    if text[:5].lower() == b"data:" and b"," in text[:200]:
        return "it is the text of a data URL: upload the bytes themselves"
    if (kind := _in_base64(text)) is not None:
        return f"it is the base64 text of {kind}: upload the bytes themselves"
    if other := {"br", "compress", "deflate", "zstd"} & set(_codings(encoding)):
        return f"its content is of no kind of image; of Content-Encoding gzip is undone, and {min(other)} is not"
    return "its content is of no kind of image"


def _codings(encoding: str) -> list[str]:
    return [word.strip() for word in encoding.lower().split(",")]


def _in_base64(text: bytes) -> str | None:
    """Return what kind of image a text is in base64, of either alphabet and in lines of any length; None for others."""
    import binascii

    digits = b"".join(text.split()).translate(bytes.maketrans(b"-_", b"+/"))
    try:
        return sniffing.sniff(binascii.a2b_base64(digits[: len(digits) // 4 * 4], strict_mode=True))
    except binascii.Error:
        return None
