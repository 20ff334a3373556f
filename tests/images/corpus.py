"""Images of every kind that is processed, made by Pillow: another library than the one that is tested."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image, ImageDraw, PngImagePlugin

SECRET = "53.5511N-9.9937E"
XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{SECRET}</rdf:RDF></x:xmpmeta>'.encode()


def scene(width: int = 120, height: int = 80) -> Image.Image:
    """Return a picture of which every side and corner is known: four colours, and a white mark at the upper left."""
    picture = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    half, middle = width // 2, height // 2
    draw.rectangle((0, 0, half, middle // 2), fill=(220, 40, 40))
    draw.rectangle((half, 0, width, middle), fill=(40, 200, 60))
    draw.rectangle((0, middle, half, height), fill=(50, 60, 210))
    draw.rectangle((0, 0, width // 8, height // 8), fill=(255, 255, 255))
    return picture


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Return the file of a picture."""
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes) -> Image.Image:
    """Return the picture of a file, all of it read."""
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def oriented(orientation: int, kind: str = "JPEG") -> bytes:
    """Return the scene in a file that says how it is to be turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(scene(), kind, exif=exif.tobytes(), **({"quality": 95} if kind == "JPEG" else {}))


def with_secrets(kind: str) -> bytes:
    """Return the scene with a place and a name in its Exif, XMP, and comments."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = SECRET  # ImageDescription
    exif.get_ifd(0x8825)[29] = SECRET  # GPSDateStamp: a text of the GPS directory
    options: dict[str, Any] = {"exif": exif.tobytes()}
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = XMP
    if kind == "JPEG":
        options["comment"] = SECRET
    if kind == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("Author", SECRET)
        options["pnginfo"] = texts
    return encoded(scene(), kind, **options)


def animation(kind: str) -> bytes:
    """Return three frames of which the first is the scene."""
    others = [Image.new("RGB", (120, 80), colour) for colour in ("black", "white")]
    return encoded(scene(), kind, save_all=True, append_images=others, duration=100)


def png(
    width: int,
    height: int,
    pixels: bytes,
    *,
    depth: int = 8,
    chunks: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """Return a PNG of RGB with this header and these (unfiltered, not yet compressed) bytes; nothing has to fit."""
    header = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, depth, 2, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in parts)


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def deep_png() -> bytes:
    """Return an sRGB ramp with 16 bits a channel: red grows to the right, green downwards."""
    width, height = 64, 48
    rows = (
        b"\0"
        + b"".join(struct.pack(">HHH", 65535 * x // (width - 1), 65535 * y // (height - 1), 0) for x in range(width))
        for y in range(height)
    )
    return png(width, height, b"".join(rows), depth=16)


def _fixed(*numbers: float) -> bytes:
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def _xyz(*numbers: float) -> bytes:
    return b"XYZ \0\0\0\0" + _fixed(*numbers)


def permuted_profile() -> bytes:
    """Return an ICC profile (ICC.1:2001, matrix and curves) whose red is sRGB's green, green its blue, blue its red."""
    red, green, blue = (0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    name = b"permuted\0"
    tags = [
        (b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", _xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", _xyz(*green)),
        (b"gXYZ", _xyz(*blue)),
        (b"bXYZ", _xyz(*red)),
        (b"rTRC", curve),
        (b"gTRC", curve),
        (b"bTRC", curve),
    ]
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags:
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def every_kind() -> dict[str, bytes]:
    """Return one small sound file of each kind, by a name that begins with the format it sniffs as."""
    picture = scene()
    clear = picture.copy()
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    return {
        "jpeg": encoded(picture, "JPEG"),
        "jpeg progressive": encoded(picture, "JPEG", progressive=True),
        "jpeg grey": encoded(picture.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(picture.convert("CMYK"), "JPEG"),
        "jpeg profile": encoded(picture, "JPEG", icc_profile=permuted_profile()),
        "png": encoded(picture, "PNG"),
        "png alpha": encoded(clear, "PNG"),
        "png grey alpha": encoded(clear.convert("LA"), "PNG"),
        "png palette": encoded(picture.convert("P"), "PNG"),
        "png one bit": encoded(picture.convert("1"), "PNG"),
        "png 16 bit": deep_png(),
        "png grey 16 bit": encoded(Image.new("I;16", (50, 40), 40000), "PNG"),
        "png animated": animation("PNG"),
        "png one pixel": encoded(picture.resize((1, 1)), "PNG"),
        "webp": encoded(picture, "WEBP"),
        "webp lossless alpha": encoded(clear, "WEBP", lossless=True),
        "webp animated": animation("WEBP"),
        "gif": encoded(picture, "GIF"),
        "gif animated": animation("GIF"),
        "tiff": encoded(picture, "TIFF"),
        "tiff deflate": encoded(picture, "TIFF", compression="tiff_deflate"),
        "tiff grey 16 bit": encoded(Image.new("I;16", (50, 40), 40000), "TIFF"),
        "tiff cmyk": encoded(picture.convert("CMYK"), "TIFF"),
        "tiff float": encoded(picture.convert("F").point(lambda level: level * (1 / 255) + 0), "TIFF"),
        "tiff int": encoded(picture.convert("I").point(lambda level: level * 8421504 + 0), "TIFF"),
        "tiff pages": animation("TIFF"),
        "avif": encoded(picture, "AVIF", speed=10),
        "avif alpha": encoded(clear, "AVIF", speed=10),
        "avif animated": animation("AVIF"),
    }


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version: int, *parts: bytes) -> bytes:
    return _box(kind, bytes((version, 0, 0, 0)), *parts)


def heic(brand: bytes = b"heic") -> bytes:
    """Return a whole HEIC: one item of 64 by 64 pixels in HEVC, with every box that a reader asks for.

    Its boxes are as ISO/IEC 23008-12 has them; no encoder is at hand, so its slice is only a slice's beginning.
    """
    head = _box(b"ftyp", brand, bytes(4), b"mif1heic")
    parameters = _box(
        b"hvcC", bytes((1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 90, 0xF0, 0, 0xFC, 0xFD)), b"\xf8\xf8\0\0\x0f\0"
    )
    coded = b"\0\0\0\x10\x26\x01" + b"\xaf" * 14

    def meta(at: int) -> bytes:
        return _full(
            b"meta",
            0,
            _full(b"hdlr", 0, bytes(4), b"pict", bytes(13)),
            _full(b"pitm", 0, b"\0\x01"),
            _full(b"iloc", 0, b"\x44\0\0\x01", struct.pack(">HHHII", 1, 0, 1, at, len(coded))),
            _full(b"iinf", 0, b"\0\x01", _full(b"infe", 2, b"\0\x01\0\0hvc1\0")),
            _box(
                b"iprp",
                _box(b"ipco", parameters, _full(b"ispe", 0, struct.pack(">II", 64, 64))),
                _full(b"ipma", 0, struct.pack(">IHBBB", 1, 1, 2, 0x81, 2)),
            ),
        )

    return head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", coded)
