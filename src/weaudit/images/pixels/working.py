"""One image, one pipeline: measured and rendered in a process of its own, within limits."""

from __future__ import annotations

import time

from weaudit.errors import ImageRejectedError
from weaudit.images.pixels import algorithms, isolation, libvips, measuring, rendering, sniffing, tiff
from weaudit.images.pixels.samples import Samples
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from weaudit.images.pipeline import Pipeline
    from weaudit.images.pixels.isolation import Outcome, Send

_MOST_WARNINGS = 20
_WITHOUT_CODEC = (
    "unsupported codec",
    "no decoding plugin",
    "unsupported feature",
    "decoder plugin",
    # Of JPEG: lossless, hierarchical, JPEG-LS; 12 bits.
    "unsupported jpeg process",
    "unsupported jpeg data precision",
    "unsupported color conversion",
    "unsupported marker type 0xf7",
    # Of PNG: what Xcode makes of it for a telephone.
    "cgbi: unhandled critical chunk",
    # Of TIFF, whose header was looked at before: another build of libvips has other decoders.
    "is not configured",
    "is not implemented",
)
_MEMORY_WORDS = ("out of memory", "memory allocation", "insufficient memory", "unable to allocate", "creating thread")
_REASONS = {
    "OutOfTime": "it was not done within {limits.wall_seconds:g} s and {limits.cpu_seconds} s of CPU",
    "OutOfMemory": "it takes more than the {limits.memory_bytes:,} bytes of memory that an image may take",
    "DecoderCrashed": "the decoder crashed on it",
}


@value
class Limits:
    """What one image may cost. What is beyond a limit is rejected with the code that stands beside it."""

    bytes: int = 64 * 1024 * 1024
    pixels: int = 100_000_000  # width times height of one page: TooManyPixels
    pages: int = 10_000  # frames or pages that a header may state; only the first is decoded: TooManyPages
    memory_bytes: int = 1536 * 1024 * 1024  # private memory of the child, code aside: OutOfMemory
    cpu_seconds: int = 60  # of the child, all threads: OutOfTime
    wall_seconds: float = 45.0  # from its start to its whole answer: OutOfTime


@value
class Rendition:
    """One rendition that was made: ``content`` is the whole file, ``format`` one of jpeg, png, webp, avif."""

    name: str
    format: str
    width: int
    height: int
    content: bytes


@value
class Worked:
    """What was found in one image and made of it."""

    format: str
    width: int  # pixels, after orientation
    height: int
    pages: int  # frames or pages in the file; renditions are of the first
    bands: int  # channels as stored, alpha included
    colour_space: str  # srgb, b-w, cmyk, rgb16, grey16, lab …: libvips' name of the stored one
    has_alpha: bool
    bit_depth: int  # of one channel as stored
    algorithms: dict[str, Any]  # plain JSON by algorithm name; one that failed is absent and warned of
    renditions: list[Rendition]  # in the pipeline's order
    warnings: list[str]
    timings: dict[str, float]  # milliseconds: measure, render, analyse
    peak_bytes: int = 0  # resident memory of the child at its height, what it shares with this process included


def work(source: bytes, pipeline: Pipeline, limits: Limits) -> Worked:
    """Return what the pipeline makes of an image, or raise ImageRejectedError; whatever the bytes, nothing else.

    The same bytes and pipeline give the same renditions, byte for byte. The pixel work runs in a forked child, which
    is gone when this returns. ``ImageRejectedError.code`` is one of NotAnImage, UnsupportedFormat, TooManyBytes,
    TooManyPixels, TooManyPages, Corrupt, RenditionFailed, OutOfTime, OutOfMemory, DecoderCrashed (docs/images.md).
    Never use libvips in the process that calls this: a fork does not take the threads along that libvips counts on.
    Raises OSError where there is no memory or number for another process; that may pass.
    """
    sniffed = sniffing.sniff(source)
    if sniffed is None:
        raise ImageRejectedError("NotAnImage", "the content is of no image format that is known")
    if sniffed not in sniffing.SUPPORTED:
        supported = ", ".join(sorted(sniffing.SUPPORTED))
        raise ImageRejectedError("UnsupportedFormat", f"the content is {sniffed}; {supported} are processed")
    if len(source) > limits.bytes:
        raise ImageRejectedError("TooManyBytes", f"{len(source):,} bytes, and {limits.bytes:,} is the limit")
    libvips.loaded()  # once, here: every child has it then
    # Found here as well, so that a module is imported once and not by every child.
    plugins = [(step, algorithms.find(step.name)) for step in pipeline.algorithms]
    outcome = isolation.run(
        lambda send: _work_here(send, source, sniffed, pipeline, plugins, limits),
        memory_bytes=limits.memory_bytes,
        cpu_seconds=limits.cpu_seconds,
        wall_seconds=limits.wall_seconds,
    )
    return _worked(outcome, limits)


def _work_here(
    send: Send, source: bytes, sniffed: str, pipeline: Pipeline, plugins: list[tuple[Any, Any]], limits: Limits
) -> None:
    """Do all of the work in this process, and send what comes of it; the order of frames is what _worked reads."""
    pyvips = libvips.loaded()
    heard = _hear_warnings()
    libvips.allow_only(pyvips, sniffed)
    began = time.perf_counter()
    try:
        samples = _samples(source, sniffed)
        measured, warnings = measuring.measure(pyvips, source, sniffed, samples, limits.pixels, limits.pages)
        if samples is not None:
            samples.look(libvips.opened(pyvips, source, sniffed))
            warnings += samples.warnings
        measure_ms = _ms_since(began)
        send({"frame": "measured", "fields": measured})
        began = time.perf_counter()
        image = rendering.Source(pyvips, source, sniffed, measured["width"], measured["height"], samples)
        scales = [rendering.scale_of(plan, image.width, image.height) for plan in pipeline.renditions]
        usable = [(step, plugin) for step, plugin in plugins if not isinstance(plugin, str)]
        image.share(scales + [rendering.analysed_scale(image.width, image.height)] * bool(usable))
        for plan in pipeline.renditions:
            width, height, content = rendering.render(image, plan, pipeline.keep_metadata)
            shown = {"name": plan.name, "format": plan.format, "width": width, "height": height}
            send({"frame": "rendition", "fields": shown}, content)
        render_ms = _ms_since(began)
        began = time.perf_counter()
        analysed = rendering.analysed(image) if usable else None
    except pyvips.Error as error:
        send({"frame": "rejected", **_refusal(str(error), heard, sniffed)})
        return
    except ImageRejectedError as error:
        send({"frame": "rejected", "code": error.code, "reason": error.reason})
        return
    warnings = [*heard, *(plugin for _, plugin in plugins if isinstance(plugin, str)), *warnings]
    send({"frame": "rendered", "timings": {"measure": measure_ms, "render": render_ms}, "warnings": warnings})
    for step, algorithm in usable:
        send({"frame": "began", "name": step.name})
        try:
            send({"frame": "value", "name": step.name, "value": algorithms.run(algorithm, analysed, step.parameters)})
        except Exception as error:  # noqa: BLE001  (somebody else's code: whatever it raises)
            send({"frame": "warning", "text": f"algorithm {step.name}: {algorithms.described(error)}"})
    send({"frame": "done", "analyse": _ms_since(began)})


def _worked(outcome: Outcome, limits: Limits) -> Worked:
    measured: dict[str, Any] = {}
    rendered: dict[str, Any] = {}
    renditions, values, warnings, running = [], {}, [], ""
    timings: dict[str, float] = {}
    for head, content in outcome.frames:
        frame = head["frame"]
        if frame == "rejected":
            raise ImageRejectedError(head["code"], head["reason"])
        if frame == "measured":
            measured = head["fields"]
        elif frame == "rendition":
            renditions.append(Rendition(content=content, **head["fields"]))
        elif frame == "rendered":
            rendered, timings, warnings = head, head["timings"], head["warnings"]
        elif frame == "began":
            running = head["name"]
        elif frame == "value":
            values[head["name"]] = head["value"]
        elif frame == "warning":
            warnings.append(head["text"])
        else:
            timings["analyse"] = head["analyse"]
    # A child that died in somebody's algorithm had given every rendition before.
    if outcome.ended and not rendered:
        raise ImageRejectedError(outcome.ended, _REASONS[outcome.ended].format(limits=limits))
    if outcome.ended:
        warnings.append(f"algorithm {running or 'at the end'}: {outcome.ended}; what comes after it was not run")
    return Worked(
        **measured,
        algorithms=values,
        renditions=renditions,
        warnings=list(dict.fromkeys(warnings))[:_MOST_WARNINGS],
        timings=timings,
        peak_bytes=outcome.peak_bytes,
    )


def _samples(source: bytes, sniffed: str) -> Samples | None:
    """Return how to take the samples of a TIFF; raises ImageRejectedError where no picture of it would be true."""
    header = tiff.read(source) if sniffed == "tiff" else None
    if header is None:
        return None
    if reason := header.refusal:
        raise ImageRejectedError("UnsupportedFormat", f"this tiff needs a decoder that is not here: {reason}")
    return Samples(header)


def _refusal(text: str, heard: list[str], sniffed: str) -> dict[str, str]:
    """Return code and reason of an error of libvips, whose texts are lines with what went wrong first or last.

    Where they say nothing, as of a PNG's header, what was ``heard`` before does.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    # How libheif finds out where the file ends, by halves: a dozen lines before the one that says what is wrong.
    told = [line for line in lines[1:] if not line.startswith("source: bad seek")]
    reason = "; ".join(dict.fromkeys(told or heard or lines))
    reason = "".join(character if character.isascii() and character.isprintable() else "?" for character in reason)
    low = f"{text} {reason}".lower()
    if any(words in low for words in _MEMORY_WORDS):
        code = "OutOfMemory"
    elif any(words in low for words in _WITHOUT_CODEC):
        code, reason = "UnsupportedFormat", f"this {sniffed} needs a decoder that is not here: {reason}"
    elif any(words in low for words in ("save", "recomb", "embed:", "extract_area")):
        code = "RenditionFailed"
    else:
        code = "Corrupt"
    return {"code": code, "reason": reason[:300]}


def _hear_warnings() -> list[str]:
    """Return a list to which libvips' warnings come from now on, in the words of its log."""
    import logging

    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = " ".join(record.getMessage().split())
            if len(heard) < _MOST_WARNINGS and text not in heard:
                heard.append("".join(each if each.isascii() and each.isprintable() else "?" for each in text)[:200])

    log = logging.getLogger("pyvips")
    log.setLevel(logging.WARNING)
    log.addHandler(Listener(logging.WARNING))
    log.propagate = False
    return heard


def _ms_since(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
