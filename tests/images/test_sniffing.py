"""What a file is, by its first bytes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from tests.images.corpus import encoded, every_kind, scene
from weaudit.images.pixels import sniffing

OTHERS = {
    "bmp": encoded(scene(), "BMP"),
    "ico": encoded(scene(), "ICO"),
    "psd": b"8BPS\0\1" + bytes(20),
    "jxl": b"\xff\x0a\x10\x10",
    "jp2": encoded(Image.new("L", (16, 16)), "JPEG2000"),
    "pdf": b"%PDF-1.4\n",
    "pnm": encoded(scene(), "PPM"),
    "dds": b"DDS \x7c\0\0\0",
    "qoi": b"qoif\0\0\0\1",
    "cr2": b"II*\0\x10\0\0\0CR\2\0",
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "heic": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
    "avif": b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf",
}


@pytest.mark.parametrize("kind", every_kind())
def test_every_kind_that_is_processed_is_known(kind: str) -> None:
    content = every_kind()[kind]
    assert sniffing.sniff(content) == kind.split()[0]
    assert sniffing.sniff(content[: sniffing.BYTES_NEEDED]) == kind.split()[0]
    assert kind.split()[0] in sniffing.SUPPORTED


@pytest.mark.parametrize("kind", OTHERS)
def test_other_images_are_known(kind: str) -> None:
    assert sniffing.sniff(OTHERS[kind]) == kind


@pytest.mark.parametrize(
    "content",
    [
        b"<svg/>",
        b"<svg xmlns='http://www.w3.org/2000/svg'>",
        b"\xef\xbb\xbf \n<?xml version='1.0'?>\n<!-- a > b --><svg\nwidth='1'>",
        b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' ''><svg>",
        b"<x:svg xmlns:x='http://www.w3.org/2000/svg'>",
        "<svg>".encode("utf-16"),
    ],
)
def test_svg_is_known_however_it_begins(content: bytes) -> None:
    assert sniffing.sniff(content) == "svg"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\0", b"hello", b"<html><svg></svg></html>", b"<?xml version='1.0'?><a/>", b"<svgx>", b"<!-- svg"),
        *(b"BM and a letter to follow", b"Plain text", b"P4ul wrote", b"RIFF\0\0\0\0WAVEfmt ", b"PK\3\4", b"{}"),
        b"\0\0\0\x18ftypisom\0\0\0\0isomavif",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    ],
)
def test_what_is_no_image_is_not_taken_for_one(content: bytes) -> None:
    assert sniffing.sniff(content) is None


@given(st.binary(max_size=200))
@example(b"\0\0\1\0")
def test_sniffing_never_raises(content: bytes) -> None:
    found = sniffing.sniff(content)
    assert found is None or found.isalnum()
