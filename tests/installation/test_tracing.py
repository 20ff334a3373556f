"""Which ids of a line are followed, which logs are read, and how a line is summarised."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from weaudit.errors import InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.installation import tracing
from weaudit.installation.tracing import Line, follow, groups, id_of, joined_ids, summary

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
REQUEST, OTHER, CHANGE = (f"{n}f3c2d7e-5b1a-4c0e-9d57-6f2a8e1b4c33" for n in range(3))


class Logs:
    """Log groups in memory, searched as FilterLogEvents searches for a quoted term."""

    class exceptions:  # noqa: N801  as boto3 has it
        class ResourceNotFoundException(Exception):  # noqa: N818  as boto3 has it
            """There is no such group."""

    def __init__(self, held: dict[str, list[Any]]) -> None:
        self.held = held
        self.asked: list[tuple[str, str]] = []

    def get_paginator(self, name: str) -> "Logs":
        assert name == "filter_log_events"
        return self

    def paginate(self, **request: Any) -> Iterator[Any]:
        group, term = request["logGroupName"], json.loads(request["filterPattern"])
        self.asked.append((group, term))
        if group not in self.held:
            raise self.exceptions.ResourceNotFoundException
        lines = [row if isinstance(row, str) else json.dumps(row) for row in self.held[group]]
        yield {"events": [{"timestamp": n, "message": text + "\n"} for n, text in enumerate(lines) if term in text]}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (ROOT, ROOT),
        (f"Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1", ROOT),
        (f" {REQUEST} ", REQUEST),
        ("JKJaXmPLvHcESHA=", "JKJaXmPLvHcESHA="),
    ],
)
def test_an_id_is_taken_as_lines_have_it(given: str, found: str) -> None:
    assert id_of(given) == found


@pytest.mark.parametrize("given", ["", "short", 'a" | "b" and more', "x" * 129, "two words here", "grün-grün-grün"])
def test_what_is_no_id_is_refused(given: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a valid id"):
        id_of(given)


def test_the_ids_of_a_line_are_followed_and_those_of_others_in_its_batch_are_not() -> None:
    line = {"requestId": REQUEST, "traceId": f"Root={ROOT};Sampled=0", "changeIds": [CHANGE], "apiRequestId": "-"}
    assert list(joined_ids(line)) == [REQUEST, ROOT]
    assert list(joined_ids({"type": "platform.report", "record": {"requestId": REQUEST}})) == [REQUEST]
    assert list(joined_ids({"requestId": 7, "record": "text"})) == []


def test_a_request_leads_to_the_batch_that_audits_its_change() -> None:
    held: dict[str, list[Any]] = {
        "api": [{"requestId": "gateway-1", "functionRequestId": REQUEST}],
        "update": [
            {"message": "answered", "requestId": REQUEST, "apiRequestId": "gateway-1", "changeId": CHANGE},
            {"message": "answered", "requestId": OTHER},
        ],
        "producer": [{"message": "batch done", "requestId": "b-0000001", "changeIds": [CHANGE, OTHER]}],
    }
    logs = Logs(held)
    found = follow(logs, {"api": "API Gateway", "update": "table_update", "producer": "audit_producer", "none": "x"},
                   "gateway-1", 0)  # fmt: skip
    assert [line.source for line in found.lines] == ["API Gateway", "table_update", "audit_producer"]
    assert set(found.ids) == {"gateway-1", REQUEST, CHANGE, "b-0000001"}
    assert found.changes[0] == CHANGE
    assert not found.cut
    # Each id is looked for once in each group.
    assert len(logs.asked) == len(set(logs.asked)) == 4 * len(found.ids)


def test_what_leads_on_without_end_is_cut_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [{"requestId": f"id-{n:08}", "logId": f"id-{n + 1:08}"} for n in range(50)]
    found = follow(Logs({"g": chain}), {"g": "g"}, "id-00000000", 0)
    assert found.cut
    assert len(found.ids) < 20
    monkeypatch.setattr(tracing, "_LINES", 3)
    assert follow(Logs({"g": ["id-00000000"] * 5}), {"g": "g"}, "id-00000000", 0).cut


def test_every_function_is_read_and_the_gateway() -> None:
    found = groups("blue-", "prod")
    assert found["/aws/lambda/blue-s3-processor-prod"] == "s3_processor"
    assert found["/aws/vendedlogs/blue-weaudit-api-prod"] == "API Gateway"
    assert len(found) == len(FUNCTIONS) + 1


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("f", "START RequestId: 1", "START RequestId: 1"),
        ("f", '{"level":"INFO","message":"batch done","requestId":"1","changes":2}', "batch done changes=2"),
        ("f", '{"level":"ERROR","message":"failed","why":"it is"}', "ERROR failed why=it is"),
        ("f", '{"message":"m","changeIds":["1","2","3","4"]}', "m changeIds=4 of them"),
        ("f", '{"type":"platform.report","record":{"metrics":{"durationMs":1.5}}}', "platform.report after 1.5 ms"),
        ("f", '{"type":"platform.start","record":{}}', "platform.start"),
        ("API Gateway", '{"routeKey":"GET /v1/health","status":"200","latencyMs":"5"}', "GET /v1/health 200 in 5 ms"),
        ("f", "[1]", "[1]"),
    ],
)
def test_a_line_is_summarised(source: str, text: str, expected: str) -> None:
    try:
        fields = json.loads(text)
    except ValueError:
        fields = {}
    assert summary(Line(0, source, "g", text, fields if isinstance(fields, dict) else {})) == expected
