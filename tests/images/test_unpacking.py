"""What is gzip by its own word is unpacked, within the limit; what is something else is called what it is."""

import base64
import contextlib
import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.images.corpus import encoded, every_kind, scene
from weaudit.errors import ImageRejectedError
from weaudit.images.pixels import sniffing, unpacking

PNG = encoded(scene(), "PNG")
# Without a time: names of tests hold it, and have to be the same in every process.
PACKED = gzip.compress(PNG, mtime=0)


@pytest.mark.parametrize(
    ("encoding", "content", "packed"),
    [
        ("gzip", PACKED, True),
        ("GZIP", PACKED, True),
        ("x-gzip", PACKED, True),
        ("aws-chunked, gzip", PACKED, True),
        ("gzip,aws-chunked", PACKED, True),
        ("", PACKED, False),
        ("identity", PACKED, False),
        ("br", PACKED, False),
        ("notgzip", PACKED, False),
        ("gzip", PNG, False),
        ("gzip", b"", False),
        ("gzip", b"\x1f\x8b", False),
        ("undefined", PNG, False),
    ],
)
def test_both_the_header_and_the_bytes_have_to_say_gzip(encoding: str, content: bytes, packed: bool) -> None:
    assert unpacking.is_packed(encoding, content) is packed


@pytest.mark.parametrize("kind", every_kind())
def test_what_was_packed_is_what_comes_out(kind: str) -> None:
    content = every_kind()[kind]
    packed = gzip.compress(content)
    assert sniffing.sniff(unpacking.beginning(packed)) == kind.split()[0]
    assert unpacking.unpacked(packed, len(content)) == content


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=5), st.binary(max_size=20), st.integers(1, 9))
def test_members_one_after_another_are_one_file_as_the_standard_library_has_it(
    parts: list[bytes], after: bytes, level: int
) -> None:
    packed = b"".join(gzip.compress(part, level) for part in parts)
    whole = b"".join(parts)
    assert gzip.decompress(packed) == whole
    assert unpacking.unpacked(packed, len(whole)) == whole
    assert unpacking.unpacked(packed + bytes(100), len(whole)) == whole
    if not after.startswith(b"\x1f"):
        assert unpacking.unpacked(packed + after, len(whole)) == whole


@pytest.mark.parametrize("boundary", range(-12, 3))
def test_a_member_may_begin_anywhere_in_what_is_read_at_a_time(boundary: int) -> None:
    # Stored, not deflated: the first member's size is chosen so that the second begins about 64 KB on.
    stored = zlib.compressobj(0, zlib.DEFLATED, 31)
    first = bytes(64 * 1024 + boundary - 18 - 10)
    packed = stored.compress(first) + stored.flush() + gzip.compress(b"second")
    assert unpacking.unpacked(packed, 1 << 20) == first + b"second"


def test_a_bomb_is_refused_by_name_and_costs_no_more_than_the_limit() -> None:
    bomb = gzip.compress(bytes(300_000_000))
    most = 1_000_000
    tracemalloc.start()
    try:
        with pytest.raises(ImageRejectedError) as caught:
            unpacking.unpacked(bomb, most)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "TooManyBytes"
    assert caught.value.reason == "its gzip holds more than the 1,000,000 bytes of the limit"
    assert peak < 4 * most
    assert len(unpacking.beginning(bomb)) == sniffing.BYTES_NEEDED


def test_as_many_bytes_as_the_limit_are_not_too_many() -> None:
    assert unpacking.unpacked(PACKED, len(PNG)) == PNG
    with pytest.raises(ImageRejectedError, match="TooManyBytes"):
        unpacking.unpacked(PACKED, len(PNG) - 1)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (PACKED[:-1], "its gzip is cut short"),
        (PACKED[:50], "its gzip is cut short"),
        (PACKED[:100] + b"\xff" * 50 + PACKED[150:], "its gzip is damaged: "),
        (PACKED[:-8] + bytes(8), "its gzip is damaged: "),
        (gzip.compress(b"", mtime=0) * 10_001, "its gzip has more than 10,000 members"),
    ],
)
def test_damaged_gzip_is_damage(content: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError) as caught:
        unpacking.unpacked(content, 1 << 20)
    assert caught.value.code == "Corrupt"
    assert caught.value.reason.startswith(reason)


@given(st.binary(max_size=300))
def test_anything_is_unpacked_or_refused(content: bytes) -> None:
    unpacking.beginning(b"\x1f\x8b\x08" + content)
    with contextlib.suppress(ImageRejectedError):
        assert len(unpacking.unpacked(b"\x1f\x8b\x08" + content, 1000)) <= 1000


SAID = "upload the bytes themselves"


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (b"", "", "it is empty"),
        (b"hello", "", "its content is of no kind of image"),
        (b"hello", "undefined", "its content is of no kind of image"),
        (
            b"\xce\xb2\xcf\x81",
            "br",
            "its content is of no kind of image; of Content-Encoding gzip is undone, and br is not",
        ),
        (PACKED, "", f"it is gzip, and its Content-Encoding does not say so: say it, or {SAID}"),
        (base64.b64encode(PNG), "", f"it is the base64 text of png: {SAID}"),
        (base64.b64encode(PNG)[:101], "base64", f"it is the base64 text of png: {SAID}"),
        (base64.encodebytes(encoded(scene(), "JPEG")), "", f"it is the base64 text of jpeg: {SAID}"),
        (base64.urlsafe_b64encode(every_kind()["webp"]), "", f"it is the base64 text of webp: {SAID}"),
        (b'"' + base64.b64encode(every_kind()["gif"][:60]) + b'"', "", f"it is the base64 text of gif: {SAID}"),
        (b"\xef\xbb\xbf" + base64.b64encode(b"<svg/>"), "", f"it is the base64 text of svg: {SAID}"),
        (b"data:image/png;base64," + base64.b64encode(PNG), "", f"it is the text of a data URL: {SAID}"),
        (b"DATA:image/svg+xml,%3Csvg/%3E", "", f"it is the text of a data URL: {SAID}"),
        (base64.b64encode(b"hello, world"), "", "its content is of no kind of image"),
        (b"data: and more of it", "", "its content is of no kind of image"),
    ],
)
def test_what_is_no_image_is_called_what_it_is(content: bytes, encoding: str, reason: str) -> None:
    assert unpacking.instead(content, encoding, packed=False) == reason


def test_what_is_packed_and_no_image_is_called_what_it_is() -> None:
    for inner, reason in (
        (PACKED, "it is gzip within gzip: pack it once"),
        (b"", "its gzip is damaged, or holds nothing"),
        (base64.b64encode(PNG), f"it is the base64 text of png: {SAID}"),
    ):
        packed = gzip.compress(inner)
        assert unpacking.instead(unpacking.beginning(packed), "gzip", packed=True) == reason


@given(st.binary(max_size=200), st.text(max_size=20))
def test_something_is_always_said(content: bytes, encoding: str) -> None:
    for packed in (False, True):
        assert unpacking.instead(content, encoding, packed=packed).isprintable()
