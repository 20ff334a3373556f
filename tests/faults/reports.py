"""What a fault was answered with: one line a kind, a table of all, and the same as JSON."""

import dataclasses
import json
from collections.abc import Iterable
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Count:
    """Events that were checked against what is kept: how many are missing, and how many stand there more than once."""

    checked: int = 0
    lost: int = 0
    doubled: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(self.checked + other.checked, self.lost + other.lost, self.doubled + other.doubled)


@dataclasses.dataclass(frozen=True, slots=True)
class Line:
    """One kind of fault. ``whole`` is what `weaudit verify` said; ``problems`` is what else was not as it has to be."""

    kind: str
    injected: int
    count: Count
    whole: bool
    seconds: float
    problems: tuple[str, ...] = ()
    again: bool = False  # looks once more at what other lines have counted

    @property
    def good(self) -> bool:
        """Whether the fault happened, events were looked at, and nothing is wrong with any of them."""
        found = self.count
        quiet = not (found.lost or found.doubled or self.problems)
        return bool((self.injected or self.again) and found.checked and quiet and self.whole)


def table(lines: Iterable[Line]) -> str:
    """Return the lines as a table, the sum below them."""
    lines = list(lines)
    heads = ("fault", "injected", "events checked", "lost", "doubled", "verify", "seconds")
    rows = [_row(line) for line in lines]
    total = sum((line.count for line in lines if not line.again), Count())
    bad = sum(not line.good for line in lines)
    injected, seconds = sum(line.injected for line in lines), sum(line.seconds for line in lines)
    everything = ("in all", injected, total.checked, total.lost, total.doubled, f"{bad} bad" if bad else "good")
    rows.append([*map(_text, everything), f"{seconds:.0f}"])
    widths = [max(len(row[place]) for row in (heads, *rows)) for place in range(len(heads))]
    shown = [_spaced(row, widths) for row in (heads, *rows)]
    told = [f"{line.kind}: {problem}" for line in lines for problem in line.problems]
    return "\n".join([shown[0], "-" * len(shown[0]), *shown[1:-1], "-" * len(shown[0]), shown[-1], *told])


def _row(line: Line) -> list[str]:
    found = line.count
    cells = (line.kind, line.injected, found.checked, found.lost, found.doubled, "whole" if line.whole else "FAULTS")
    return [*map(_text, cells), f"{line.seconds:.1f}"]


def _text(cell: Any) -> str:
    return f"{cell:,}" if isinstance(cell, int) else str(cell)


def _spaced(row: Iterable[str], widths: list[int]) -> str:
    cells = [
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join(cells).rstrip()


def document(lines: Iterable[Line], seed: int) -> str:
    """Return the lines and their sum as one JSON document, with the seed of what was left to chance."""
    lines = list(lines)
    total = sum((line.count for line in lines if not line.again), Count())
    shown = [{**dataclasses.asdict(line), "good": line.good} for line in lines]
    found = {"seed": seed, "good": all(line.good for line in lines), "injected": sum(line.injected for line in lines)}
    return json.dumps({**found, "count": dataclasses.asdict(total), "faults": shown}, indent=2)
