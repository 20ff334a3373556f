"""What kind of file bytes are, by their content.

Signatures are those of each format's own specification; where one is short (BMP, ICO), more of the header is looked at.
"""

from __future__ import annotations

SUPPORTED = frozenset(("jpeg", "png", "webp", "gif", "tiff", "avif", "heic"))
"""Formats that :func:`~weaudit.images.pixels.working.work` reads; any other that is sniffed is rejected, not read."""

BYTES_NEEDED = 4096
"""So many of an object's first bytes are enough to sniff it."""

# Order matters: what is longer or narrower stands first.
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0\x10\0\0\0CR", "cr2"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0\x08\0\0\0", "tiff"),  # BigTIFF
    (b"MM\0+\0\x08\0\0", "tiff"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
    (b"\xff\x0a", "jxl"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"8BPS\0\x01", "psd"),
    (b"8BPS\0\x02", "psd"),
    (b"%PDF-", "pdf"),
    (b"gimp xcf ", "xcf"),
    (b"qoif", "qoi"),
    (b"icns", "icns"),
    (b"DDS \x7c\0\0\0", "dds"),
    (b"\x76\x2f\x31\x01", "exr"),
    (b"#?RADIANCE", "hdr"),
    (b"#?RGBE", "hdr"),
    (b"AT&TFORM", "djvu"),
    (b"\x8aMNG\r\n\x1a\n", "mng"),
    (b"\x8bJNG\r\n\x1a\n", "jng"),
    (b"farbfeld", "farbfeld"),
    (b"BPG\xfb", "bpg"),
    (b"FLIF", "flif"),
    (b"IIRO", "orf"),
    (b"IIRS", "orf"),
    (b"IIU\0", "rw2"),
    (b"FUJIFILMCCD-RAW", "raf"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
)
# ISO/IEC 14496-12, 4.3: a box ``ftyp`` with a major brand, a minor version and the compatible brands.
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"mif2", b"msf1"))
# Sizes of the header that follows BMP's file header: every version that was published.
_BMP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_BLANKS = b" \t\r\n"


def sniff(first_bytes: bytes) -> str | None:
    """Return the image format that the content starts as, or None where it is no image; never raises.

    One of SUPPORTED, or a format that is known and not processed: svg, bmp, psd, jxl, jp2, ico, pdf, … Names of files
    and declared types play no part.
    """
    head = bytes(first_bytes[:BYTES_NEEDED])
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "bmp"
    icons = int.from_bytes(head[4:6], "little")
    if head[:4] in (b"\0\0\1\0", b"\0\0\2\0") and 0 < icons < 256 and head[9:10] == b"\0":
        return "ico"
    if head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3] and head[2:3] in b" \t\r\n#":
        return "pnm"
    return "svg" if _is_svg(head) else None


def _by_brand(head: bytes) -> str | None:
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = {major, *(head[at : at + 4] for at in range(16, size - 3, 4))}
    # Both kinds may call themselves mif1, and a film may list an image's brand as one that it can be read as.
    if brands & _AVIF_BRANDS and major in _AVIF_BRANDS | _HEIC_BRANDS:
        return "avif"
    if major in _HEIC_BRANDS:
        return "heic"
    return "cr3" if major == b"crx " else None


def _is_svg(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head[2:].replace(b"\0", b"")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip(_BLANKS).lower()
    at = 0
    # What may stand before the root element: a declaration, comments, a document type.
    while text.startswith((b"<?", b"<!"), at):
        if text.startswith(b"<!doctype svg", at):
            return True
        end = b"-->" if text.startswith(b"<!--", at) else b"?>" if text.startswith(b"<?", at) else b">"
        found = text.find(end, at)
        if found < 0:
            return False
        at = found + len(end)
        while at < len(text) and text[at] in _BLANKS:
            at += 1
    text = text[at : at + 64]
    name = text[1:].replace(b"/", b" ").replace(b">", b" ").split(b" ")[0].strip(_BLANKS)
    return text.startswith(b"<") and (name == b"svg" or name.startswith(b"svg\n") or name.endswith(b":svg"))
