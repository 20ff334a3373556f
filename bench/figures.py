"""Every figure that something was asked of, or that has a reference, in one list: what `make bench` ends with.

A figure names the benchmark, the row and the column that it is read from, so that it cannot say anything that
bench/results does not. What was asked stands with the benchmark (a ratio by its name) or here (``limit``).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")

_MORE = (
    "above the empty handler are `http.client` (with `email` and `ssl`), `hashlib` and `urllib.parse` of the standard"
    " library, our own modules (as byte code), and the first request"
)
_MORE_WITH_TLS = (
    "an empty handler opens no connection, so TLS costs it nothing. Whoever opens one imports `ssl`, reads the issuers"
    " that are trusted and shakes hands; the least that takes is what one request of `http.client` takes, which stands"
    " beside ours"
)
_HASHES = (
    "a change with one record takes seven keyed or plain hashes over the texts of both items and of the record, which"
    " `weaudit verify` needs; the loop and batch_writer write six plain fields and hash nothing"
)
_FLOOR = (
    "the floor sends the same records and decides nothing: it neither reads the event, nor compares the items, nor"
    " spells and hashes them, and those are most of the work"
)
_CHECKED = (
    "decoding a record and hashing it again, with the mark that shows whose it is, takes most of that; a scan that"
    " checks nothing stands beside it"
)
_ONE_CORE = (
    "nearly all of it is one decoding of the file, on one core; sharp decodes it twice at a time, on both cores, with"
    " half as much CPU again"
)
UNEXPLAINED = "no reason is known; see below how busy the machine was, and measure it again"
_POWERTOOLS, _EMPTY, _LOOP = "boto3 + Powertools", "empty handler", "boto3 put loop"
_ONE_REQUEST = "one request of http.client"
_PILLOW, _SHARP, _BARE = "plain Pillow", "sharp", "bare boto3"

# Measured by turns in one run with the version that read HTTP by itself: 7.3 ms of CPU then, 7.9 now, at best.
_WALL = (
    "it was met when our own code read HTTP; `http.client` takes a tenth more CPU, and the put loop waits for the same "
    "store on a machine that varies twofold."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: ``row`` and ``column`` of a benchmark's results, beside ``reference``, another row of them.

    ``ratio`` names the benchmark's own claim on it; ``limit`` is the most it may be, in its unit, where no
    ratio says so. ``why`` is the reason of a target that is missed.
    """

    what: str
    benchmark: str
    row: str
    column: str
    reference: str = ""
    ratio: str = ""
    limit: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A figure as it was measured, in words. ``met`` is None where nothing was asked."""

    what: str
    benchmark: str
    ours: str
    reference: str
    ratio: str
    target: str
    met: bool | None
    why: str


_COLD = "from process start to the first answer"


def _image(kind: str, why: str = "") -> list[Figure]:
    what, ours, sharp = f"two renditions of 12 MP, {kind}", f"{kind}: ours", f"{kind}: {_SHARP}"
    return [
        Figure(f"{what}, time", "image_cost", ours, "wallMs", sharp, f"{kind}: time of sharp's", why=why),
        Figure(f"{what}, memory", "image_cost", ours, "peakMb", sharp, f"{kind}: memory of sharp's"),
    ]  # fmt: skip


def _route(path: str, compared: bool) -> Figure:
    bare = f"{path} {_BARE}" if compared else ""
    ratio = f"{path}: of bare boto3's p50" if compared else ""
    return Figure(f"`{path}`, eight clients, p50", "api_cost", f"{path} ours", "p50Ms", bare, ratio)


def _started(name: str) -> Figure:
    ratio = f"{name}: faster to the first answer than bare boto3"
    return Figure(f"`{name}`, {_COLD}", "api_cost", f"{name} ours", "coldMs", f"{name} {_BARE}", ratio)


def _cold_starts(function: str, benchmark: str, column: str) -> list[Figure]:
    """Return a function's cold starts over HTTP, and then with TLS, as every Lambda has it."""
    plain, encrypted = f"`{function}`, {_COLD}", f"`{function}`, {_COLD}, with TLS"
    powertools, empty = "faster than boto3 + Powertools", "of the empty handler's time"
    return [
        Figure(plain, benchmark, "ours", column, _POWERTOOLS, powertools),
        Figure(plain, benchmark, "ours", column, _EMPTY, empty, why=_MORE),
        Figure(encrypted, benchmark, "ours", f"{column}Tls", _POWERTOOLS, f"with TLS: {powertools}"),
        Figure(encrypted, benchmark, "ours", f"{column}Tls", _EMPTY, f"with TLS: {empty}", why=_MORE_WITH_TLS),
        Figure(encrypted, benchmark, "ours", f"{column}Tls", _ONE_REQUEST),
    ]


FIGURES = (
    *_cold_starts("audit_producer", "cold_start", "ms"),
    Figure(f"`audit_producer`, {_COLD}", "cold_start", "ours", "ms", "boto3.client"),
    Figure("`audit_producer`, memory", "cold_start", "ours", "peakMb", _POWERTOOLS),
    Figure(
        "`weaudit history` of a small item",
        "command_start",
        "weaudit history",
        "ms",
        "aws dynamodb get-item",
        "history of a small item: of the AWS CLI's get-item",
    ),
    Figure("`weaudit verify` of small items, CPU a change", "verify_cost", "weaudit verify", "usPerChange", limit=150,
           why=_CHECKED),
    Figure("`weaudit verify` of small items, CPU a change", "verify_cost", "weaudit verify", "usPerChange",
           "boto3 scan", "verify of small items: of the CPU of a boto3 scan"),
    Figure("root of a ledger of a million entries, CPU", "ledger_cost", "root of the log", "seconds",
           "hashlib alone, of the same bytes", limit=5),
    Figure("root of a ledger of a million entries, memory", "ledger_cost", "root of the log", "peakMb",
           "root of a tenth of it"),
    Figure("`weaudit verify --ledger`, CPU a record", "ledger_cost", "weaudit verify --ledger", "usPerRecord",
           "decoded, and two SHA-256", limit=100),
    Figure("`ledger_sealer`, CPU a record", "sealing_cost", "ledger_sealer", "usPerRecord",
           "decoded, and hashed once", limit=200),
    Figure("`ledger_sealer`, memory for 100,000 records", "sealing_cost", "ledger_sealer", "peakMb",
           "a tenth of the records"),
    Figure("a million records sealed, in dollars", "sealing_cost", "a million records at once", "dollars", limit=0.07),
    Figure("the ledger of a busy month, in dollars", "sealing_cost", "a month, ten records in each minute", "dollars",
           limit=3.2),
    Figure("the ledger of an idle month, in dollars", "sealing_cost", "a month in which nothing comes", "dollars",
           limit=1.2),
    Figure("`audit_producer`, its zip", "package_size", "audit_producer", "kb", limit=1000),
    Figure("event of 100 changes, CPU", "batch_cost", "ours", "cpuMs@0ms", _LOOP,
           "less CPU than the put loop, one attribute", why=_HASHES),
    Figure("event of 100 changes, CPU, store at 5 ms", "batch_cost", "ours", "cpuMs@5ms", _LOOP,
           "less CPU than the put loop, one attribute, store at 5 ms", why=_HASHES),
    Figure("event of 100 changes of three attributes, CPU", "batch_cost", "ours", "cpuMs3Changed@0ms", _LOOP,
           "less CPU than the put loop, three attributes", why=_HASHES),
    Figure("event of 100 changes, time, store at 5 ms", "batch_cost", "ours", "wallMs@5ms", _LOOP,
           "less wall time than the put loop, store at 5 ms", why=_WALL),
    Figure("event of 100 changes, CPU", "batch_cost", "ours", "cpuMs@0ms", "boto3 batch_writer",
           "less CPU than batch_writer, one attribute", why=_HASHES),
    Figure("event of 100 changes of three attributes, CPU", "batch_cost", "ours", "cpuMs3Changed@0ms",
           "boto3 batch_writer", "less CPU than batch_writer, three attributes", why=_HASHES),
    Figure("event of 100 changes, CPU", "batch_cost", "ours", "cpuMs@0ms", "floor",
           "of the CPU of the floor, one attribute", why=_FLOOR),
    Figure("event of 100 changes of three attributes, CPU", "batch_cost", "ours", "cpuMs3Changed@0ms", "floor",
           "of the CPU of the floor, three attributes", why=_FLOOR),
    Figure("event of 100 changes, as Lambda bills it", "cost_model", "event of 100", "billedMs"),
    Figure(f"`table_update`, logged, {_COLD}", "update_cost", "ours", "coldMs", _BARE,
           "faster to the first answer than bare boto3"),
    Figure(f"`table_update`, logged, {_COLD}, with TLS", "update_cost", "ours", "coldMsTls", _BARE,
           "with TLS: faster to the first answer than bare boto3"),
    Figure("`table_update`, logged, CPU when warm", "update_cost", "ours", "warmCpuMs", _BARE,
           "less CPU a warm call than bare boto3"),
    *_cold_starts("s3_processor", "invocation_cost", "coldMs"),
    Figure("`s3_processor`, one object, CPU", "invocation_cost", "ours", "cpuMs1Records", _LOOP,
           "less CPU than the put loop, 1 record"),
    Figure("`s3_processor`, 100 objects, CPU", "invocation_cost", "ours", "cpuMs100Records", _LOOP,
           "less CPU than the put loop, 100 records",
           why="each row is a conditional call of its own, as a batch would overwrite the rows of an event that comes"
               " again, and each change of a row is a finding of the ledger; S3 sends one object an event"),
    Figure("two renditions of 12 MP, jpeg to jpeg, time", "image_cost", "jpeg to jpeg: ours", "wallMs",
           f"jpeg to jpeg: {_PILLOW}", "jpeg to jpeg: faster than plain Pillow",
           why="ours takes as long as sharp in the same run, which has the same libvips below it; 4.5 times faster than"
               " this Pillow would be 1.7 times faster than sharp"),
    *_image("jpeg to jpeg"),
    *_image("jpeg to webp"),
    *_image("png to jpeg", _ONE_CORE),
    *map(_started, ("list_objects", "read_trail", "read_images", "health")),
    _route("GET /v1/objects", True),
    _route("GET /v1/tables/{table}/history", True),
    _route("GET /v1/tables/{table}/item", False),
    _route("GET /v1/tables/{table}/diff", False),
    _route("GET /v1/tables/{table}/changes", False),
    _route("GET /v1/records/{id}", True),
    _route("POST /v1/updates", False),
    _route("GET /v1/images", True),
    _route("GET /v1/health", True),
    Figure("changes into the trail, through the engine", "engine_rate", "until the last record", "perSecond",
           "put by 4 writers"),
    Figure("`weaudit up`, to a deployed stack", "engine_rate", "up to a deployed stack", "seconds", limit=3,
           why="it was met by runs of 2.9 s in quieter hours; the stack has one table more since, and five runs took"
               " 3.1 to 3.7 s"),
)  # fmt: skip

_UNITS = (
    ("usPer", "µs"),
    ("Ms", "ms"),
    ("ms", "ms"),
    ("Mb", "MB"),
    ("kb", "KB"),
    ("perSecond", "a second"),
    ("seconds", "s"),
)


def kept(folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """Return the results that a folder holds, by the benchmarks' names."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {each["benchmark"]: each for each in found}


def lines(results: Mapping[str, Mapping[str, Any]]) -> list[Line]:
    """Return every figure that these results have; one whose benchmark or reference did not run is left out."""
    return [line for line in (_line(figure, results.get(figure.benchmark)) for figure in FIGURES) if line is not None]


def _line(figure: Figure, result: Mapping[str, Any] | None) -> Line | None:
    if result is None or figure.row not in result["results"]:
        return None
    if figure.reference and figure.reference not in result["results"]:
        return None
    ours = result["results"][figure.row][figure.column]
    reference, ratio, target, met = "", "", "", None
    if figure.reference:
        found = result["results"][figure.reference][figure.column]
        label = figure.reference if figure.reference in _SAME else figure.reference.rpartition(": ")[2]
        label = _BARE if label.endswith(_BARE) else label
        reference, ratio = f"{_amount(found, figure.column)} ({label})", f"{_times(ours, found, figure.column)}x"
    if figure.ratio:
        [claim] = [each for each in result["ratios"] if each["name"] == figure.ratio]
        ratio, met = f"{claim['value']:.2f}x", claim["met"]
        target = f"{claim['target'].replace('>=', '≥').replace('<=', '≤')}x" + (
            ", a gate" if claim["kind"] == "gate" else ""
        )
    elif figure.limit is not None:
        target, met = f"≤ {_amount(figure.limit, figure.column)}", ours <= figure.limit
    why = (figure.why or UNEXPLAINED) if met is False else ""
    return Line(figure.what, figure.benchmark, _amount(ours, figure.column), reference, ratio, target, met, why)


_SAME = frozenset({_POWERTOOLS, _EMPTY, _ONE_REQUEST, _LOOP})


def _times(ours: float, reference: float, column: str) -> str:
    # Without a claim: how many times better ours is.
    better = ours / reference if column == "perSecond" else reference / ours
    return f"{better:.2f}"


def _amount(value: float, column: str) -> str:
    unit = next((unit for end, unit in _UNITS if end in column), "")
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def text(found: list[Line]) -> str:
    """Return the one table as plain text, and below it how many targets are met and why the others are not."""
    head = ("", "ours", "reference", "ratio", "target", "")
    cells = ((line.what, line.ours, line.reference, line.ratio, line.target, verdict(line)) for line in found)
    rows = [head, *(tuple(cell.replace("`", "") for cell in row) for row in cells)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(head))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons = dict.fromkeys(line.why.replace("`", "") for line in found if line.why)
    return "\n".join(("\nAll figures", *shown, "", tally(found), *(f"missed: {reason}." for reason in reasons)))


def verdict(line: Line) -> str:
    """Return met, MISSED, or nothing where nothing was asked."""
    return "" if line.met is None else "met" if line.met else "MISSED"


def tally(found: list[Line]) -> str:
    """Return in a sentence how many of the targets are met."""
    asked = [line for line in found if line.met is not None]
    return f"{sum(1 for line in asked if line.met)} of {len(asked)} targets met."
