"""What CloudWatch makes of an alarm's definition and of metrics: whether it rings, minute by minute.

As AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html has it (M of N datapoints, missing data), but for one
thing: where data is missing CloudWatch may also look at older datapoints, and does not say how far back.
"""

import ast
import operator
from collections.abc import Mapping, Sequence
from typing import Any

# A value a minute; None where there is none.
Series = Sequence[float | None]

_OPERATORS: dict[type, Any] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
}
_BREACHES = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
}


def states(alarm: Mapping[str, Any], recorded: Mapping[str, Series]) -> list[str]:
    """Return the alarm's state after each of its periods, for the metrics that ``recorded`` has by their names."""
    found = datapoints(alarm, recorded)
    window, wanted = alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]
    breaches = _BREACHES[alarm["ComparisonOperator"]]
    state, told = "INSUFFICIENT_DATA", []
    for end in range(1, len(found) + 1):
        last: list[float | None] = [*[None] * (window - end), *found[max(0, end - window) : end]]
        there = [value for value in last if value is not None]
        missing, treat = len(last) - len(there), alarm["TreatMissingData"]
        breaching = sum(breaches(value, float(alarm["Threshold"])) for value in there)
        breaching += missing if treat == "breaching" else 0
        if treat in ("ignore", "missing") and not there:
            state = state if treat == "ignore" else "INSUFFICIENT_DATA"
        else:
            state = "ALARM" if breaching >= wanted else "OK"
        told.append(state)
    return told


def datapoints(alarm: Mapping[str, Any], recorded: Mapping[str, Series]) -> list[float | None]:
    """Return what the alarm compares with its threshold, a value a period."""
    if "Metrics" not in alarm:
        return _by_period(recorded[alarm["MetricName"]], alarm["Statistic"], alarm["Period"])
    columns: dict[str, list[float | None]] = {}
    [expression] = [row for row in alarm["Metrics"] if row["ReturnData"]]
    for row in alarm["Metrics"]:
        if row is not expression:
            stat = row["MetricStat"]
            columns[row["Id"]] = _by_period(recorded[stat["Metric"]["MetricName"]], stat["Stat"], stat["Period"])
    tree = ast.parse(expression["Expression"], mode="eval").body
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [None if None in row.values() else _value(tree, row) for row in rows]


def _by_period(series: Series, statistic: str, period_s: int) -> list[float | None]:
    minutes = period_s // 60
    found: list[float | None] = []
    for start in range(0, len(series), minutes):
        values = [value for value in series[start : start + minutes] if value is not None]
        match statistic:
            case "Sum":
                found.append(sum(values) if values else None)
            case "SampleCount":  # a value a minute is one sample
                found.append(len(values) or None)
            case "Maximum":
                found.append(max(values) if values else None)
            case "Average":
                found.append(sum(values) / len(values) if values else None)
            case _:
                raise AssertionError(f"{statistic} is not known here")
    return found


def _value(node: ast.expr, row: Mapping[str, float | None]) -> Any:
    match node:
        case ast.Constant(value=number):
            return number
        case ast.Name(id=name):
            return row[name]
        case ast.BinOp(left=left, op=sign, right=right):
            return _OPERATORS[type(sign)](_value(left, row), _value(right, row))
        case ast.Compare(left=left, ops=[sign], comparators=[right]):
            return _OPERATORS[type(sign)](_value(left, row), _value(right, row))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, so, otherwise]):
            return _value(so if _value(condition, row) else otherwise, row)
    raise AssertionError(f"{ast.dump(node)} is not known here")
