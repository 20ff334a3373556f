"""What the functions' log lines measure: lines that CloudWatch's embedded metric format takes, on Lambda only."""

import json
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.embedded_metrics import metrics_of
from tests.fakes import PolicingDynamoDB, PolicingS3, producer_stores
from tests.image_fakes import PNG, Bench, created, one_rendition
from tests.strategies import stream_record
from weaudit.handlers import audit_producer, image_processor
from weaudit.runtime import event, http, logs, metrics, stream

CONTEXT = SimpleNamespace(aws_request_id="r-1", function_name="f-1", get_remaining_time_in_millis=lambda: 29_000)


@pytest.fixture(autouse=True)
def _on_lambda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f-1")
    logs.begin()


def handler(handle: Any, **stores: Any) -> Any:
    module = ModuleType("handler")
    module.__dict__.update({"connect": lambda _environment: stores, "handle": handle})
    return module


def measured(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """Return the values of the one line that was printed, by name, and by name and text where two dimensions count."""
    [line] = capsys.readouterr().out.splitlines()
    found = metrics_of(line)
    assert {dimensions[0] for _name, dimensions in found} == {("function", "f-1")}
    return {" ".join((name, *(text for _, text in rest))): values for (name, (_, *rest)), values in found.items()}


def test_a_batch_measures_changes_records_lag_and_what_went_aside(capsys: pytest.CaptureFixture[str]) -> None:
    now_s = int(time.time())
    records = [
        stream_record(None, {"key": {"S": "a"}}, SequenceNumber="1", ApproximateCreationDateTime=now_s - 60),
        {"not": "a record"},
        stream_record(
            {"key": {"S": "b"}, "v": {"S": "a" * 399_000}},
            {"key": {"S": "b"}, "v": {"S": "b" * 399_000}},
            SequenceNumber="2",
            ApproximateCreationDateTime=now_s - 30,
        ),
    ]
    stores = producer_stores(PolicingDynamoDB(), PolicingS3(), "")
    stream.entry_point(handler(audit_producer.handle, **stores))({"Records": records}, CONTEXT)
    found = measured(capsys)
    [lag_ms] = found.pop("lagMs")
    assert 30_000 <= lag_ms < 90_000
    assert found == {
        "changes": [3], "records": [2], "batches": [1], "quarantined": [1], "spilled": [2], "badRules": [0],
    }  # fmt: skip


@pytest.mark.parametrize("last", [{}, {"dynamodb": {}}, {"dynamodb": {"ApproximateCreationDateTime": float("nan")}}, 1])
def test_a_batch_that_does_not_say_when_has_no_lag(last: Any, capsys: pytest.CaptureFixture[str]) -> None:
    stream.entry_point(handler(lambda _event: {"changes": 1}))({"Records": [last]}, CONTEXT)
    assert measured(capsys) == {"changes": [1], "batches": [1]}


def test_clocks_that_differ_make_no_negative_lag(capsys: pytest.CaptureFixture[str]) -> None:
    ahead = {"dynamodb": {"ApproximateCreationDateTime": time.time() + 60}}
    stream.entry_point(handler(lambda _event: {}))({"Records": [ahead]}, CONTEXT)
    assert measured(capsys)["lagMs"] == [0]


def test_an_event_measures_what_was_logged(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"status": 500, "logged": 3, "quarantined": 2}
    event.entry_point(handler(lambda _event, _invocation: ({}, fields)))({}, CONTEXT)
    assert measured(capsys) == {"logged": [3], "quarantined": [2]}


def test_an_image_measures_its_steps_and_is_counted_by_its_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.configure(**one_rendition())
    bench.upload("a.png", PNG)
    entry = event.entry_point(handler(image_processor.handle, **bench.stores))
    queued = {"eventSource": "aws:sqs", "messageId": "m", "body": json.dumps(created("a.png", PNG, "1"))}
    assert entry({"Records": [queued]}, CONTEXT)["images"][0]["ms"] == {
        "read": 0,
        "measure": 1,
        "render": 2,
        "write": 0,
    }
    assert measured(capsys) == {
        "quarantined": [0],
        "imageMs": [3],
        "readMs": [0],
        "measureMs": [1],
        "renderMs": [2],
        "writeMs": [0],
        "images processed": [1],
    }
    entry({"Records": [{**queued, "body": "{}"}]}, CONTEXT)
    assert measured(capsys) == {"quarantined": [1], "images quarantined": [1]}
    # By hand only: one line of many images says what went aside, and what became of each without measuring it.
    entry({"Records": [queued, {**queued, "body": "{}"}]}, CONTEXT)
    assert measured(capsys) == {"quarantined": [1]}


@pytest.mark.parametrize("status", [200, 304, 404, 500])
def test_answers_are_counted_by_the_class_of_their_status(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    http.entry_point(handler(lambda _event: (status, {})))({"requestContext": {}}, CONTEXT)
    assert measured(capsys) == {f"answers {status // 100}xx": [1]}


def test_a_line_that_measures_is_printed_whatever_the_level(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Or the alarm for quarantine would never ring again.
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    metrics.write("batch done", quarantined=1)
    assert measured(capsys) == {"quarantined": [1]}
    metrics.write("nothing measured", quarantined=True, images=1, other=2)
    assert capsys.readouterr().out == ""


def test_where_there_is_no_function_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    metrics.write("batch done", changes=1)
    assert json.loads(capsys.readouterr().out) == {"level": "INFO", "message": "batch done", "changes": 1}


def test_a_line_with_every_metric_is_valid(capsys: pytest.CaptureFixture[str]) -> None:
    fields: dict[str, Any] = {name: number for number, name in enumerate([*metrics.UNITS, *metrics.COUNTED_BY])}
    fields |= dict.fromkeys(metrics.COUNTED_BY.values(), "a text")
    metrics.write("all of it", **fields)
    assert len(measured(capsys)) == len(metrics.UNITS) + len(metrics.COUNTED_BY)


@pytest.mark.parametrize(
    "fault",
    [
        {"CloudWatchMetrics": []},
        {"Timestamp": 1},
        {"Timestamp": "1"},
        {"CloudWatchMetrics": [{"Namespace": "AWS/X", "Dimensions": [[]], "Metrics": [{"Name": "n", "Unit": "None"}]}]},
        {"CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["n"]], "Metrics": [{"Name": "n", "Unit": "None"}]}]},
        {"CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [[]], "Metrics": [{"Name": "n", "Unit": "ms"}]}]},
        {"CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [[]], "Metrics": [{"Name": "t", "Unit": "None"}]}]},
    ],
)  # fmt: skip
def test_what_cloudwatch_refuses_is_found(fault: dict[str, Any]) -> None:
    good = {"Namespace": "N", "Dimensions": [["t"]], "Metrics": [{"Name": "n", "Unit": "None"}]}
    about = {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [good]}
    assert metrics_of(json.dumps({"n": 1, "t": "text", "_aws": about})) == {("n", (("t", "text"),)): [1]}
    with pytest.raises(AssertionError):
        metrics_of(json.dumps({"n": 1, "t": "text", "_aws": {**about, **fault}}))
