"""Every parser of what comes from outside: how it is called, a sound input, and the errors that it may answer with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.adapters.trickling import Trickling
from tests.api_events import first, second
from tests.image_fakes import created, deleted, one_rendition
from tests.notifications import object_record
from tests.strategies import stream_record
from weaudit.adapters.http1 import HttpConnection, UnreadableAnswerError
from weaudit.domain import api_queries, image_pipelines, paging, plain_values
from weaudit.domain.conditions import condition_of
from weaudit.domain.update_requests import Settings, key_of, read_request
from weaudit.errors import MalformedEventError, PipelineRefusedError, RequestError, WeauditError
from weaudit.events import dynamodb_stream, http_request, object_created, s3_notification
from weaudit.imaging import sniffing


@dataclass(frozen=True)
class Parser:
    """``call`` takes one input; ``sound`` ones are taken without an error. ``texts`` says that inputs are texts."""

    call: Callable[[Any], Any]
    sound: tuple[Any, ...]
    errors: tuple[type[WeauditError] | type[UnreadableAnswerError] | type[ConnectionResetError], ...]
    texts: bool = False


def _asked(event: Any) -> Any:
    """Read a request of the API as the functions do, its cursor and its parameters as well."""
    request = http_request.parse(event)
    found = api_queries.asked(request.route, request.path, request.query, "read_trail")
    api_queries.table(found)
    api_queries.limit(found)
    api_queries.newest_first(found)
    api_queries.sequence(found)
    for name in ("since", "until", "at", "from", "to"):
        api_queries.moment(found, name)
    return paging.place_of(found, 1)


def _cursor(text: str) -> Any:
    event = first("GET /v1/tables/{table}/history", {"table": "Configuration"})
    return _asked({**event, "multiValueQueryStringParameters": {"key": ["k"], "cursor": [text]}})


def _updated(document: Any) -> Any:
    request = read_request(document, Settings("Configuration"))
    return key_of(request.id, {"pk": "S", "sk": "N"}), condition_of("a = 1")


def _stream(event: Any) -> Any:
    return [dynamodb_stream.parse(record) for record in dynamodb_stream.records(event)]


def _notified(event: Any) -> Any:
    return s3_notification.is_test(event) or [s3_notification.parse(one) for one in s3_notification.records(event)]


def _imaged(event: Any) -> Any:
    return [object_created.parse(record) for record in object_created.records(event)]


def _answered(text: str) -> Any:
    """Read an HTTP answer; a line feed of the text stands for a whole line break."""
    content = text.replace("\n", "\r\n").encode("latin-1", "replace")
    connection = HttpConnection(Trickling(content, [7, 1000]))  # type: ignore[arg-type]
    return connection.body("GET", *connection.head())


_SQS = {"Records": [{"eventSource": "aws:sqs", "body": json.dumps(created("a.png", b"x", "0A"))}]}
_POST = {**second("POST /v1/updates"), "body": '{"id": "k", "attributes": {"n": 1.50}}'}
_DOCUMENT = {
    "id": {"pk": "a", "sk": 7},
    "attributes": {"n": 1, "deep": {"B": "AAE="}, "list": [None, True, "x"]},
    "condition_expression": "#n < :v AND size(tags) > 2",
    "condition_names": {"#n": "n"},
    "condition_values": {":v": 9},
    "enable_logging": True,
    "request_id": "r-1",
    "user_agent": "me",
}
_TRAIL = second("GET /v1/tables/{table}/history", {"table": "Configuration"}, key="k", limit="5", since="2024-01-01")
_PIPELINE = {
    "key": {"S": "IMAGE_PIPELINE"},
    **one_rendition(),
    "algorithms": {"L": [{"M": {"name": {"S": "a"}, "size": {"N": "8"}}}]},
    "keep_metadata": {"BOOL": True},
}

PARSERS: dict[str, Parser] = {
    "stream": Parser(
        _stream,
        ({"Records": [stream_record({"key": {"S": "k"}, "n": {"N": "1"}}, {"key": {"S": "k"}, "m": {"L": []}})]},),
        (MalformedEventError,),
    ),
    "s3": Parser(_notified, ({"Records": [object_record("a b+c.txt")]},), (MalformedEventError,)),
    "eventbridge": Parser(
        _imaged, (created("a.png", b"x", "0A"), deleted("a.png", "0B"), _SQS), (MalformedEventError,)
    ),
    "http": Parser(http_request.document_of, (_POST, _TRAIL), (RequestError,)),
    "queries": Parser(_asked, (_TRAIL,), (RequestError,)),
    "updates": Parser(_updated, (_DOCUMENT,), (RequestError,)),
    "pipelines": Parser(image_pipelines.parse, (_PIPELINE,), (PipelineRefusedError,)),
    "conditions": Parser(
        condition_of,
        ("a.b[2] <> 1.50 AND (NOT attribute_exists(`x-y`) OR size(t) BETWEEN -1 AND 2E2)", r"s = 'it\'s \u00e9'"),
        (RequestError,),
        texts=True,
    ),
    "answers": Parser(
        _answered,
        (
            "HTTP/1.1 200 OK\nContent-Length: 2\nConnection: keep-alive\n\n{}",
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\n{}\n0\n\n",
        ),
        (UnreadableAnswerError, ConnectionResetError),
        texts=True,
    ),
    "json": Parser(plain_values.parse, ('{"a": [1.50, "x", null, {"b": true}]}',), (RequestError,), texts=True),
    "cursors": Parser(_cursor, (), (RequestError,), texts=True),
    "keys": Parser(s3_notification.decoded_key, ("a+b%2Bc%C3%A9.txt",), (MalformedEventError,), texts=True),
    "signatures": Parser(lambda text: sniffing.sniff(text.encode("latin-1", "replace")), ("RIFF....WEBP",), (), True),
}
