"""The embedded metric format, as its specification has it: what CloudWatch would take from a log line, or refuse.

Source: AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html and, for lengths and
characters, AmazonCloudWatch/latest/APIReference/API_PutMetricData.html.
"""

import json
import math
import time
from typing import Any

_SIZES = [f"{many}{what}" for what in ("bytes", "bits") for many in ("Kilo", "Mega", "Giga", "Tera")] + [
    "Bytes",
    "Bits",
]
_UNITS = {
    *("Seconds", "Microseconds", "Milliseconds", "Percent", "Count", "Count/Second", "None"),
    *_SIZES,
    *(f"{size}/Second" for size in _SIZES),
}
_DAY_MS = 86_400_000

Found = dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]


def metrics_of(text: str) -> Found:
    """Return the values of every metric of a line, by its name and dimensions; AssertionError where it is invalid."""
    assert len(text.encode()) <= 256 * 1024, "CloudWatch Logs cut longer events for many years"
    root = json.loads(text)
    about = root["_aws"]
    assert set(about) == {"Timestamp", "CloudWatchMetrics"}
    at_ms, now_ms = about["Timestamp"], time.time() * 1000
    assert type(at_ms) is int
    assert now_ms - 14 * _DAY_MS < at_ms < now_ms + _DAY_MS / 12
    assert about["CloudWatchMetrics"], "it measures nothing"
    found: Found = {}
    for directive in about["CloudWatchMetrics"]:
        assert set(directive) == {"Namespace", "Dimensions", "Metrics"}
        assert 1 <= len(directive["Namespace"]) <= 255
        assert not directive["Namespace"].startswith("AWS/")
        assert 1 <= len(directive["Metrics"]) <= 100
        names = [metric["Name"] for metric in directive["Metrics"]]
        assert len(set(names)) == len(names)
        assert directive["Dimensions"]
        for dimensions in directive["Dimensions"]:
            assert len(set(dimensions)) == len(dimensions) <= 30
            named = tuple((name, _dimension(name, root)) for name in dimensions)
            for metric in directive["Metrics"]:
                assert (metric["Name"], named) not in found, "counted twice"
                found[metric["Name"], named] = _values(metric, root)
    return found


def _dimension(name: str, root: dict[str, Any]) -> str:
    value = root[name]
    assert isinstance(value, str), "a dimension is text"
    for text, longest in ((name, 255), (value, 1024)):
        assert 1 <= len(text) <= longest
        assert text.strip()
        assert text.isascii()
        assert text.isprintable()
        assert not text.startswith(":")
    return value


def _values(metric: dict[str, Any], root: dict[str, Any]) -> list[float]:
    assert {"Name", "Unit"} <= set(metric) <= {"Name", "Unit", "StorageResolution"}
    assert 1 <= len(metric["Name"]) <= 255
    assert metric["Unit"] in _UNITS
    assert metric.get("StorageResolution", 60) in (1, 60)
    value = root[metric["Name"]]
    values = value if isinstance(value, list) else [value]
    assert 1 <= len(values) <= 100
    for number in values:
        assert type(number) in (int, float)
        assert math.isfinite(number)
        assert abs(number) <= 2**360
    return values
