"""Objects of mixed kinds, all different: images of every format that is processed, damaged ones, and what is none."""

import json
import subprocess
import sys
from typing import Any

# In a process of its own: whoever uses libvips must not fork for images.pixels afterwards.
_SCRIPT = """
import json, sys
import pyvips
SAVERS = {"avif": "heifsave_buffer"}
OPTIONS = {"avif": {"compression": "av1", "effort": 0}}
for number, kind in enumerate(json.loads(sys.argv[1])):
    place = pyvips.Image.xyz(96 + number % 64, 64 + number % 48)
    bands = (place[0] * 2).bandjoin([place[1] * 3, place[0] + number])
    image = bands.cast("uchar").copy(interpretation="srgb")
    data = getattr(image, SAVERS.get(kind, kind + "save_buffer"))(**OPTIONS.get(kind, {}))
    sys.stdout.buffer.write(len(data).to_bytes(8, "big") + data)
"""
IMAGES = ("jpeg", "png", "webp", "tiff", "gif", "avif")
OTHERS = ("text", "lying", "svg", "truncated", "empty")


def drawn(kinds: list[str]) -> list[bytes]:
    """Return an image of each kind, no two the same."""
    done = subprocess.run([sys.executable, "-c", _SCRIPT, json.dumps(kinds)], check=True, capture_output=True)
    found, rest = [], done.stdout
    while rest:
        length = int.from_bytes(rest[:8], "big")
        found.append(rest[8 : 8 + length])
        rest = rest[8 + length :]
    return found


def mixed(count: int) -> dict[str, tuple[bytes, str, str | None]]:
    """Return objects by key: content, content type, and what becomes of it.

    "processed", a code of rejection, or None where no row is made.
    """
    kinds = [(*IMAGES, *OTHERS)[number % (len(IMAGES) + len(OTHERS))] for number in range(count)]
    pictures = iter(drawn([kind if kind in IMAGES else "png" for kind in kinds if kind in (*IMAGES, "truncated")]))
    objects: dict[str, tuple[bytes, str, str | None]] = {}
    for number, kind in enumerate(kinds):
        text = f"object {number}".encode()
        found: dict[str, Any] = {
            "text": (f"notes/{number}.txt", text, "text/plain", None),
            "lying": (f"lying {number}.png", text, "image/png", "NotAnImage"),
            "svg": (f"drawings/{number}.svg", b"<svg>" + text + b"</svg>", "image/svg+xml", "UnsupportedFormat"),
            "empty": (f"empty/{number}", b"", "binary/octet-stream", None),
        }
        if kind == "truncated":
            picture = next(pictures)
            found[kind] = (f"truncated/{number}.png", picture[: len(picture) * 2 // 3], "image/png", "Corrupt")
        elif kind in IMAGES:
            found[kind] = (f"pictures/{number} +%2B.{kind}", next(pictures), f"image/{kind}", "processed")
        key, content, content_type, outcome = found[kind]
        objects[key] = (content, content_type, outcome)
    return objects
