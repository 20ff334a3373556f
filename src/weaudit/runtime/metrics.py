"""Measurements of the functions: members of the log line that is written anyway, told to CloudWatch by the line itself.

Source: AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import time

from weaudit.runtime import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMESPACE = "WeAudit"
# What a line may measure, and in what. A metric has the name of the line's member.
UNITS = {
    "changes": "Count",
    "records": "Count",
    "batches": "Count",
    "lagMs": "Milliseconds",
    "quarantined": "Count",
    "spilled": "Count",
    "logged": "Count",
    "imageMs": "Milliseconds",
    "readMs": "Milliseconds",
    "measureMs": "Milliseconds",
    "renderMs": "Milliseconds",
    "analyseMs": "Milliseconds",
    "writeMs": "Milliseconds",
}
# What is counted by one more member of the line, which is text.
COUNTED_BY = {"images": "outcome", "answers": "statusClass"}


def write(message: str, /, **fields: Any) -> None:
    """Print one INFO line; on Lambda, what it measures becomes metrics of the dimension ``function``.

    A line that measures is printed whatever LOG_LEVEL says: alarms, dashboards and draining count on it. Metrics are
    read from members that are numbers, by name (see UNITS); of COUNTED_BY also by that member's text.
    """
    line = logs.line("INFO", message, fields)
    directives = _directives(line) if "function" in line else []
    if not directives:
        logs.write("INFO", message, **fields)
        return
    line["_aws"] = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": directives}
    logs.emit(line)


def _directives(line: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        _directive(["function"], [{"Name": name, "Unit": unit} for name, unit in UNITS.items() if _counts(line, name)])
    ]
    found += [
        _directive(["function", by], [{"Name": name, "Unit": "Count"}])
        for name, by in COUNTED_BY.items()
        if _counts(line, name) and isinstance(line.get(by), str)
    ]
    return [each for each in found if each["Metrics"]]


def _directive(dimensions: list[str], metrics: list[dict[str, str]]) -> dict[str, Any]:
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}


def _counts(line: dict[str, Any], name: str) -> bool:
    return isinstance(line.get(name), int | float) and not isinstance(line[name], bool)
