"""One variant of image_cost, in a process of its own.

Arguments: ``ours``, ``pillow`` or ``thumbnail``, then INPUT FORMAT CALLS; or ``inputs`` FOLDER WIDTH HEIGHT.
"""

import io
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIDES = (1600, 320)
QUALITY = 80


def ours(target: str) -> Callable[[bytes], list[tuple[int, int, int]]]:
    """The whole door of images.pixels, isolation included."""
    from weaudit.images.pipeline import Pipeline, RenditionPlan
    from weaudit.images.pixels import working

    plans = tuple(RenditionPlan(f"r{side}", side, side, format=target, quality=QUALITY) for side in SIDES)
    pipeline = Pipeline("bench", plans, (), False)

    def make(source: bytes) -> list[tuple[int, int, int]]:
        worked = working.work(source, pipeline, working.Limits())
        return [(each.width, each.height, len(each.content)) for each in worked.renditions]

    return make


def pillow(target: str, short_cut: bool = False) -> Callable[[bytes], list[tuple[int, int, int]]]:
    """What one writes at first: open, turn upright, resize, save; or with the short cut that thumbnail() takes."""
    from PIL import Image, ImageOps

    def make(source: bytes) -> list[tuple[int, int, int]]:
        image = ImageOps.exif_transpose(Image.open(io.BytesIO(source))).convert("RGB")
        made = []
        for side in SIDES:
            scale = min(1, side / max(image.size))
            size = (round(image.width * scale), round(image.height * scale))
            # A thumbnail() takes a short cut over a coarser copy; resize() is the plain way.
            copy = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0 if short_cut else None)
            file = io.BytesIO()
            copy.save(file, target, quality=QUALITY, optimize=True)
            made.append((copy.width, copy.height, len(file.getvalue())))
        return made

    return make


def inputs(folder: Path, width: int, height: int) -> None:
    """Write ``input.jpeg`` and ``input.png``: detail at every scale and a grain, as photographs have."""
    import pyvips

    image = pyvips.Image.gaussnoise(width, height, sigma=6, mean=0, seed=1)
    for octave in range(3, 9):
        cell = 2**octave
        clouds = [
            pyvips.Image.perlin(width, height, cell_size=cell, seed=10 * octave + band).linear(12 * octave, 0)
            for band in range(3)
        ]
        image = image + clouds[0].bandjoin(clouds[1:])
    image = (image + 128).cast("uchar").copy(interpretation="srgb")
    image = image.copy_memory()
    image.jpegsave(str(folder / "input.jpeg"), Q=90)
    image.pngsave(str(folder / "input.png"), compression=4)


def main() -> None:
    """Print what was measured as JSON; the first call is not counted, it imports and warms."""
    if sys.argv[1] == "inputs":
        inputs(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
        return
    variants = {"ours": ours, "pillow": pillow, "thumbnail": lambda target: pillow(target, short_cut=True)}
    make = variants[sys.argv[1]](sys.argv[3])
    source = Path(sys.argv[2]).read_bytes()
    made: list[Any] = make(source)
    times, before = [], _cpu_s()
    for _ in range(int(sys.argv[4])):
        began = time.perf_counter()
        make(source)
        times.append(1000 * (time.perf_counter() - began))
    cpu_ms = 1000 * (_cpu_s() - before) / len(times)
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    peak = max(resource.getrusage(who).ru_maxrss for who in both) / 1024
    sizes = [[width, height] for width, height, _ in made]
    total = sum(size for _, _, size in made)
    json.dump({"times": times, "cpuMs": cpu_ms, "peakMb": peak, "sizes": sizes, "bytes": total}, sys.stdout)


def _cpu_s() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    main()
