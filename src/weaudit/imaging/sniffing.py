"""What kind of file bytes are, by their content."""

from __future__ import annotations

SUPPORTED = frozenset(("jpeg", "png", "webp", "gif", "tiff", "avif", "heic"))
"""Formats that :func:`weaudit.imaging.working.work` reads; any other one that is sniffed is rejected, not read."""

BYTES_NEEDED = 4096
"""So many of an object's first bytes are enough to sniff it."""


def sniff(first_bytes: bytes) -> str | None:
    """Return the image format that the content starts as, or None where it is no image; never raises.

    One of SUPPORTED, or a format that is known and not processed: svg, bmp, psd, jxl, jp2, ico, pdf, … Names of files
    and declared types play no part.
    """
    raise NotImplementedError
