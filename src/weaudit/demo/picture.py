"""The picture of `weaudit demo`, made when it is needed: a sun over water, as a JPEG that is new each time."""

import time
from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT = 1200, 800
_HORIZON = 560


class Upload(NamedTuple):
    """An object as it was put: its bytes and the ETag that S3 gave it; ``path`` is a copy of it on this machine."""

    bucket: str
    key: str
    body: bytes
    etag: str
    path: Path


def made() -> bytes:
    """Return the picture: the same pixels each time, with the current time in a JPEG comment.

    So each run uploads different bytes, by which its rows are recognised, and the renditions stay the same.
    """
    from weaudit.images.pixels import libvips

    pyvips = libvips.loaded()
    place = pyvips.Image.xyz(WIDTH, HEIGHT)
    x, y = place[0], place[1]
    # Orange at the horizon and violet above; the water is the sky again, darker, in waves.
    near = 1 - (y - _HORIZON).abs() / HEIGHT
    sky = (near * 235).bandjoin([near * near * 150, (1 - near) * 160 + 70])
    wave = ((y * 9).sin() * (x * 2 + y * 5).sin()) * 14
    picture = (y < _HORIZON).ifthenelse(sky, sky * 0.55 + wave)
    sun = (x - 760) ** 2 + (y - 430) ** 2 < 110**2
    picture = sun.ifthenelse([255, 236, 180], picture).cast("uchar").copy(interpretation="srgb")
    body: bytes = picture.jpegsave_buffer(Q=88, keep="none")
    # A segment COM right after the start of the image: ITU-T T.81, B.2.4.5.
    comment = f"weaudit demo {time.time_ns():020d}".encode()
    return body[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + body[2:]
