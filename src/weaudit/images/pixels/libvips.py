"""libvips, loaded once and set to what untrusted images need.

It is imported when it is first needed, so that whoever only sniffs does not pay for it; importing it starts no thread.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Loaders by sniffed format. https://www.libvips.org/API/current/ (VipsForeignLoad)
_LOADERS = {
    "jpeg": "jpegload_source",
    "png": "pngload_source",
    "webp": "webpload_source",
    "gif": "gifload_source",
    "tiff": "tiffload_source",
    "avif": "heifload_source",
    "heic": "heifload_source",
}
_CLASSES = {
    "jpeg": "VipsForeignLoadJpeg",
    "png": "VipsForeignLoadPng",
    "webp": "VipsForeignLoadWebp",
    "gif": "VipsForeignLoadNsgif",
    "tiff": "VipsForeignLoadTiff",
    "avif": "VipsForeignLoadHeif",
    "heic": "VipsForeignLoadHeif",
}
_COMMON: tuple[str, ...] = ("thumbnail_image", "cast", "copy", "colourspace", "flatten", "extract_area", "embed")
_COMMON += ("jpegsave_buffer", "pngsave_buffer", "webpsave_buffer", "heifsave_buffer")
_MOST_THREADS = 4  # each thread has its own buffers: more would cost memory and win little


def loaded() -> Any:
    """Return the module ``pyvips``, set so: no cache of operations, untrusted loaders blocked, few threads."""
    import pyvips

    if pyvips.cache_get_max():
        # One image a process: a cache could only keep memory. It also makes pixels depend on what was done before.
        pyvips.cache_set_max(0)
        pyvips.block_untrusted_set(True)
        pyvips.concurrency_set(min(_MOST_THREADS, len(os.sched_getaffinity(0))))
        for operation in (*_LOADERS.values(), *_COMMON):
            # What pyvips learns of an operation here, no child has to learn again: half of a small image's time.
            pyvips.Introspect.get(operation)
    return pyvips


def allow_only(pyvips: Any, sniffed: str) -> None:
    """Block every loader of libvips but the one of this format, for the rest of this process.

    Loaders are called by name here, never by what libvips makes of the content; this holds plug-ins to the same.
    """
    pyvips.operation_block_set("VipsForeignLoad", True)
    pyvips.operation_block_set(_CLASSES[sniffed], False)


def opened(pyvips: Any, source: bytes, sniffed: str, **options: Any) -> Any:
    """Return the image of which the header alone was read; raises pyvips.Error where that is not possible.

    Its pixels can be read once, from top to bottom; reading them raises where they are damaged or cut short.
    """
    # As a source, the bytes are read where they are; given as a buffer they would be copied each time.
    where = pyvips.Source.new_from_memory(source)
    return getattr(pyvips.Image, _LOADERS[sniffed])(where, access="sequential", fail_on="error", **options)
