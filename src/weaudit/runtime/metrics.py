"""Writes the functions' metrics into their log lines, in the embedded metric format that CloudWatch reads.

Source: AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import time

from weaudit.runtime import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMESPACE = "WeAudit"
# The fields of a line that are metrics, by name, and their units.
UNITS = {
    "changes": "Count",
    "records": "Count",
    "batches": "Count",
    "lagMs": "Milliseconds",
    "quarantined": "Count",
    "spilled": "Count",
    "badRules": "Count",
    "logged": "Count",
    "sealed": "Count",
    "findings": "Count",
    "size": "Count",
    "imageMs": "Milliseconds",
    "readMs": "Milliseconds",
    "measureMs": "Milliseconds",
    "renderMs": "Milliseconds",
    "analyseMs": "Milliseconds",
    "writeMs": "Milliseconds",
}
# Metrics with a second dimension: the text of another field of the line.
COUNTED_BY = {"images": "outcome", "answers": "statusClass"}


def write(message: str, /, **fields: Any) -> None:
    """Print one INFO line; on Lambda, its numbers become metrics with the dimension ``function``.

    A line with metrics is printed whatever LOG_LEVEL is: alarms, dashboards and draining depend on it. Fields named in
    UNITS are metrics if they are numbers; so are those named in COUNTED_BY, with that field's text as second dimension.
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
        _directive(
            ["function"], [{"Name": name, "Unit": unit} for name, unit in UNITS.items() if _is_number(line, name)]
        )
    ]
    found += [
        _directive(["function", by], [{"Name": name, "Unit": "Count"}])
        for name, by in COUNTED_BY.items()
        if _is_number(line, name) and isinstance(line.get(by), str)
    ]
    return [each for each in found if each["Metrics"]]


def _directive(dimensions: list[str], metrics: list[dict[str, str]]) -> dict[str, Any]:
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}


def _is_number(line: dict[str, Any], name: str) -> bool:
    return isinstance(line.get(name), int | float) and not isinstance(line[name], bool)
