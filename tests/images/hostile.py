"""Files that mean harm: each is small, and asks for more than anybody should give."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.images.corpus import XMP, chunk, encoded, every_kind, png, scene

# What may become of a file: one of these codes, or "processed" where it turns out harmless.
SIZE = {"TooManyPixels", "Corrupt"}
ANY = {"TooManyPixels", "TooManyPages", "Corrupt", "OutOfTime", "OutOfMemory", "UnsupportedFormat", "processed"}


def files() -> Iterator[tuple[str, bytes, set[str]]]:
    """Yield name, content, and what may become of it."""
    yield from _sizes()
    yield from _bombs()
    yield from _polyglots()
    yield from _metadata()
    yield from _structures()
    yield from _broken()


def _sizes() -> Iterator[tuple[str, bytes, set[str]]]:
    yield "png 1 by 2^31", png(1, 2**31, b"\0\0\0\0"), SIZE
    yield "png 2^31-1 by 1", png(2**31 - 1, 1, b"\0"), SIZE
    yield "png 1 by 2^31-1", png(1, 2**31 - 1, b"\0\0\0\0"), SIZE
    yield "png 60000 square", png(60000, 60000, b"\0" * 1000), SIZE
    yield "png 0 by 0", png(0, 0, b""), {"Corrupt"}
    yield (
        "gif 65535 square",
        b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;",
        SIZE | {"processed"},
    )
    yield "jpeg 65500 square", _resized_jpeg(65500, 65500), SIZE
    yield "jpeg 0 high", _resized_jpeg(100, 0), {"Corrupt"}
    yield "webp 16384 square", _resized_webp(), SIZE
    yield "tiff 100000 square", tiff([(256, 100_000), (257, 100_000)]), SIZE
    yield "tiff 2^32-1 by 1", tiff([(256, 2**32 - 1), (257, 1)]), SIZE
    avif = every_kind()["avif"]
    place = avif.index(b"ispe") + 8
    yield "avif 65535 square", avif[:place] + struct.pack(">II", 65535, 65535) + avif[place + 8 :], SIZE | {"processed"}
    yield "avif 2^32-1 square", avif[:place] + b"\xff" * 8 + avif[place + 8 :], SIZE | {"processed"}


def _bombs() -> Iterator[tuple[str, bytes, set[str]]]:
    # Within the limit of pixels, all of them zero: some tens of kilobytes that unpack to 800 MB.
    rows = zlib.compressobj(9)
    row = bytes(1 + 10_000 * 8)
    content = b"".join(rows.compress(row) for _ in range(9_990)) + rows.flush()
    header = struct.pack(">IIBBBBB", 10_000, 9_990, 16, 6, 0, 0, 1)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")
    yield "png interlaced, 800 MB", bomb, {"OutOfMemory", "OutOfTime", "Corrupt"}
    yield "gif of 20 MP, zeros", encoded(Image.new("P", (5000, 4000)), "GIF"), {"processed"}
    yield "tiff of 20 MP, zeros", encoded(Image.new("L", (5000, 4000)), "TIFF", compression="tiff_lzw"), {"processed"}
    floats = encoded(Image.new("F", (5000, 4000)), "TIFF", compression="tiff_adobe_deflate")
    yield "tiff of 20 MP, floating-point zeros", floats, {"processed"}
    yield "webp of 20 MP, zeros", encoded(Image.new("L", (5000, 4000)), "WEBP", method=0), {"processed"}
    yield "avif of 20 MP, zeros", encoded(Image.new("L", (5000, 4000)), "AVIF", speed=10), ANY
    yield "jpeg of 20 MP, progressive", encoded(Image.new("L", (5000, 4000)), "JPEG", progressive=True), {"processed"}


def _polyglots() -> Iterator[tuple[str, bytes, set[str]]]:
    picture = encoded(scene(), "JPEG")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("index.html", "<script>alert(1)</script>")
    yield "jpeg and zip", picture + archive.getvalue(), {"processed"}
    yield "png and html", encoded(scene(), "PNG") + b"<html><script>alert(1)</script></html>", {"processed"}
    yield "gif and script", b"GIF89a=1;/*" + bytes(50) + b"*/alert(1)", {"Corrupt", "TooManyPixels"}
    yield "zip and jpeg", archive.getvalue() + picture, {"NotAnImage"}
    yield "html", b"<html><img src=x onerror=alert(1)></html>", {"NotAnImage"}
    outside = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "svg", outside, {"UnsupportedFormat"}
    yield (
        "svg by a document type",
        b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + outside,
        {"UnsupportedFormat"},
    )
    yield "svg with a png's signature", b"\x89PNG\r\n\x1a\n" + outside, {"Corrupt"}
    yield "svg with a tiff's signature", b"II*\0\x08\0\0\0" + outside, {"Corrupt"}
    yield "pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {"UnsupportedFormat"}
    yield "jpeg header on a png", b"\xff\xd8\xff" + encoded(scene(), "PNG"), {"Corrupt"}


def _metadata() -> Iterator[tuple[str, bytes, set[str]]]:
    zeros = zlib.compress(bytes(60_000_000), 9)
    small = bytes(4) * 1
    for name, start in ((b"zTXt", b"a\0\0"), (b"iCCP", b"icc\0\0"), (b"iTXt", b"a\0\1\0\0\0")):
        content = png(1, 1, small, chunks=((name, start + zeros),))
        yield f"png with 60 MB in {name.decode()}", content, {"processed", "Corrupt"}
    texts = tuple((b"tEXt", b"k%d\0v" % number) for number in range(20_000))
    yield "png with 20,000 texts", png(1, 1, small, chunks=texts), {"processed", "Corrupt"}
    plain = encoded(scene(), "JPEG")
    for place, mark, content in (
        ("Exif", b"\xff\xe1", b"Exif\0\0MM\0*" + b"\xff" * 65000),
        ("XMP", b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0" + XMP.ljust(65000)),
        ("ICC", b"\xff\xe2", b"ICC_PROFILE\0\1\1" + b"\xff" * 65000),
    ):
        segment = mark + struct.pack(">H", len(content) + 2) + content
        yield f"jpeg with 100 huge {place} segments", plain[:2] + segment * 100 + plain[2:], {"processed", "Corrupt"}
    yield "jpeg with a profile of rubbish", encoded(scene(), "JPEG", icc_profile=b"\xff" * 5000), {"processed"}


def _structures() -> Iterator[tuple[str, bytes, set[str]]]:
    yield (
        "tiff whose directory follows itself",
        tiff([(256, 9), (257, 9), (258, 8), (262, 1), (273, 0), (279, 81)], following=8),
        ANY,
    )
    pages = tiff([(256, 1), (257, 1), (258, 8), (262, 1), (273, 8), (277, 1), (278, 1), (279, 1)], pages=30_000)
    yield "tiff of 30,000 pages", pages, {"TooManyPages", "Corrupt"}
    yield "tiff with 65,535 tags", tiff([(256 + number, 1) for number in range(65_000)]), ANY
    yield (
        "tiff with a strip past the end",
        tiff([(256, 90), (257, 90), (258, 8), (262, 1), (273, 2**31), (279, 8100)]),
        ANY,
    )
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    yield (
        "gif of 30,000 frames",
        b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + frame * 30_000 + b";",
        {"TooManyPages", "Corrupt"},
    )
    yield "heic without a codec", b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(64), {"Corrupt", "UnsupportedFormat"}
    yield "avif of nested boxes", b"\0\0\0\x14ftypavif\0\0\0\0avif" + b"\xff\xff\xff\xffmeta" * 2000, {"Corrupt"}


def _broken() -> Iterator[tuple[str, bytes, set[str]]]:
    for kind, content in every_kind().items():
        for part in (0.15, 0.5, 0.9):
            yield f"{kind}, cut at {part}", content[: int(len(content) * part)], ANY
    for kind in ("jpeg", "png", "webp", "gif", "tiff deflate", "avif"):
        yield f"{kind}, signature only", every_kind()[kind][:12], {"Corrupt", "NotAnImage", "UnsupportedFormat"}


def tiff(tags: list[tuple[int, int]], *, following: int = 0, pages: int = 1) -> bytes:
    """Return a little-endian TIFF of directories with these tags, each one LONG; ``following`` is the last's next."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    size = 2 + len(entries) + 4
    content = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        after = 8 + size * (page + 1) if page < pages - 1 else following
        content += struct.pack("<H", len(tags)) + entries + struct.pack("<I", after)
    return content + bytes(128)


def _resized_jpeg(width: int, height: int) -> bytes:
    content = encoded(scene(), "JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def _resized_webp() -> bytes:
    content = encoded(scene(), "WEBP", lossless=True)
    # RFC 9649, 3.4: after the signature byte 0x2f, 14 bits of width - 1 and 14 of height - 1.
    place = content.index(b"\x2f", 20) + 1
    bits = struct.unpack("<I", content[place : place + 4])[0] | 0x0FFFFFFF
    return content[:place] + struct.pack("<I", bits) + content[place + 4 :]
