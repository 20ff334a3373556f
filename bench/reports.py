"""What a benchmark found: medians, ratios against their targets, and the machine that it ran on."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from weaudit import __version__


@dataclasses.dataclass(frozen=True, slots=True)
class Ratio:
    """One claim: ``value`` is at least (``at_least``) or at most ``target``. A missed ``gate`` fails the run."""

    name: str
    value: float
    target: float
    at_least: bool = True
    gate: bool = False

    @property
    def met(self) -> bool:
        """Whether the claim holds."""
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclasses.dataclass(slots=True)
class Report:
    """The result of one benchmark. ``results`` has a row a variant: figures by name, units in the names."""

    benchmark: str
    question: str
    settings: dict[str, Any]
    results: dict[str, dict[str, float]]
    ratios: list[Ratio]
    load_before: float

    def json(self) -> str:
        """Return the report as one JSON document, with the machine and the versions in it."""
        document = {
            "benchmark": self.benchmark,
            "question": self.question,
            "machine": {**machine(), "loadBefore": round(self.load_before, 2), "loadAfter": round(load(), 2)},
            "versions": {"weaudit": __version__}
            | versions(
                ("boto3", "botocore", "aws-lambda-powertools", "awslambdaric", "ministack", "pyvips-binary", "pillow")
            ),
            "settings": self.settings,
            "results": self.results,
            "ratios": [
                {
                    "name": ratio.name,
                    "value": round(ratio.value, 2),
                    "target": f"{'>=' if ratio.at_least else '<='} {ratio.target:g}",
                    "kind": "gate" if ratio.gate else "aim",
                    "met": ratio.met,
                }
                for ratio in self.ratios
            ],
        }
        return json.dumps(document, indent=2) + "\n"

    def table(self) -> str:
        """Return the report as text: a row a variant, a column a figure, a line a ratio."""
        columns = list(dict.fromkeys(name for row in self.results.values() for name in row))
        rows = [["", *columns]]
        rows += [[name, *(_figure(row.get(column)) for column in columns)] for name, row in self.results.items()]
        widths = [max(len(row[index]) for row in rows) for index in range(len(columns) + 1)]
        lines = [f"\n{self.benchmark}: {self.question}"]
        for row in rows:
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append("  " + "  ".join(cells).rstrip())
        for ratio in self.ratios:
            sign = ">=" if ratio.at_least else "<="
            verdict = "met" if ratio.met else "MISSED"
            kind = "gate" if ratio.gate else "aim"
            lines.append(f"  {ratio.name}: {ratio.value:.1f}x  ({kind} {sign} {ratio.target:g}x: {verdict})")
        return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.2f}" if value < 1000 else f"{value:,.0f}"


def spread(values: Iterable[float]) -> tuple[float, float, float]:
    """Return median, lower and upper quartile, rounded to 0.01."""
    found = sorted(values)
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    return round(middle, 2), round(low, 2), round(high, 2)


def load() -> float:
    """Return the machine's load average of the last minute: well over 0 before a run means a disturbed run."""
    return os.getloadavg()[0]


def machine() -> dict[str, Any]:
    """Return what of the machine bears on speed; nothing that tells whose it is."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = models[0] if models else ""
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the installed version of each package, "" where it is not installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = ""
    return found
