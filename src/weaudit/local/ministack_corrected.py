"""MiniStack with corrections: `weaudit up` starts this module instead of MiniStack itself.

Gaps that can be worked around outside the engine are worked around there (`weaudit.local.restarting`,
`weaudit.deploy.engine_gaps`). This file corrects the rest: writes that never reach a table's stream, and wrong results.

Each correction names the version it is for and depends on private names of that version, so no other one is started.
To move to a new version, change `VERSION` here and the pin in pyproject.toml, then run
tests/local/test_ministack_corrected.py. It also starts the engine without corrections and fails for each fault that is
gone: remove that correction.
"""

import copy
import decimal
import functools
import importlib.metadata
import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

VERSION = "1.5.33"
PROCESS_HEADER = "x-weaudit-process"
"""A ready response names the process that sent it in this header."""

_TTL_THREAD = "dynamodb-ttl-reaper"
_TTL_OLDEST_SECONDS = 5 * 365 * 86_400
_TTL_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
# The exact sum of two numbers that DynamoDB accepts has at most 256 digits.
_EXACT = decimal.Context(prec=300)
_SETS = ("SS", "NS", "BS")

_Item = dict[str, Any]
_Path = tuple[str | int, ...]
_Write = tuple[Any, _Item | None, _Item | None]  # table, item before, item after


class _UnderWay(threading.local):
    """The state of what this thread is processing."""

    writes: list[_Write] | None = None
    """The writes of the current PartiQL request."""
    expiring: str | None = None
    """The ARN of the table whose expired item is being deleted."""
    before: _Item | None = None
    """The item before the current update expression."""
    removals: set[_Path]
    """The paths that the current update expression removes."""


_under_way = _UnderWay()


def main() -> None:
    """Apply the corrections and run the engine until SIGTERM."""
    try:
        found = importlib.metadata.version("ministack")
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit("the embedded engine is not installed: pip install 'weaudit[local]'") from None
    if found != VERSION:
        raise SystemExit(
            f"WeAudit's corrections are for MiniStack {VERSION}, and {found} is installed:"
            f" pip install ministack=={VERSION}"
        )
    from ministack import app
    from ministack.core import iam_actions, iam_evaluator, responses
    from ministack.services import dynamodb, dynamodb_streams, s3
    from ministack.services.cloudformation import provisioners

    _name_the_process(app)
    _record_partiql_writes(dynamodb)
    _record_expired_items(app, responses, dynamodb, dynamodb_streams)
    _take_sets_as_sets(dynamodb)
    _apply_updates_to_the_item_before(dynamodb)
    _read_partiql_values(dynamodb)
    _refuse_foreign_authorization(app, iam_evaluator)
    _authorize_stream_readers(iam_actions, dynamodb_streams)
    _read_form_names_as_utf8(s3)
    _keep_object_locks(s3)
    _deploy_what_the_template_has(provisioners)
    app.main()


def _in_place_of(module: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace `module.name` with the decorated function, which gets the original as its first argument."""
    original = getattr(module, name)

    def place(correction: Callable[..., Any]) -> None:
        setattr(module, name, functools.wraps(original)(functools.partial(correction, original)))

    return place


def _name_the_process(app: Any) -> None:
    """1.5.33: a ready response does not say which engine sent it.

    Where another engine has the port, that one answers while the new process is still on its way to exit.
    """

    @_in_place_of(app, "_handle_ready_request")
    def ready(original: Any, *request: Any) -> Any:
        answer = original(*request)
        if answer is not None:
            answer[1][PROCESS_HEADER] = str(os.getpid())
        return answer


def _record_partiql_writes(dynamodb: Any) -> None:
    """1.5.33: PartiQL's INSERT, UPDATE and DELETE reach neither the table's stream nor its replicas.

    Records are emitted after the request, because a transaction that fails puts the items back.
    """

    @_in_place_of(dynamodb, "_set_item")
    def set_item(original: Any, table: Any, pk: Any, sk: Any, item: _Item) -> Any:
        old = original(table, pk, sk, item)
        if _under_way.writes is not None:
            _under_way.writes.append((table, old, item))
        return old

    @_in_place_of(dynamodb, "_remove_item")
    def remove_item(original: Any, table: Any, pk: Any, sk: Any) -> Any:
        old = original(table, pk, sk)
        if _under_way.writes is not None and old is not None:
            _under_way.writes.append((table, old, None))
        return old

    def request(original: Any, data: Any) -> Any:
        written: list[_Write] = []
        _under_way.writes = written
        undone = False
        try:
            answer = original(data)
            undone = answer[0] != 200
            return answer
        finally:
            _under_way.writes = None
            for table, old, new in () if undone else written:
                kind = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
                dynamodb._emit_stream_event(table["TableName"], kind, old, new)

    # BatchExecuteStatement calls the first of these for each of its statements.
    _in_place_of(dynamodb, "_execute_statement")(request)
    _in_place_of(dynamodb, "_execute_transaction")(request)


def _record_expired_items(app: Any, responses: Any, dynamodb: Any, dynamodb_streams: Any) -> None:
    """1.5.33: Time to Live deletes items without a stream record.

    As on DynamoDB, the record names the service as the actor, but only in the region where the item expired: a replica
    gets a plain REMOVE. DynamoDB ignores a time that is text or more than five years ago; MiniStack deletes that item.
    """

    @_in_place_of(dynamodb, "_remove_item")
    def remove_item(original: Any, table: Any, pk: Any, sk: Any) -> Any:
        if threading.current_thread().name != _TTL_THREAD:
            return original(table, pk, sk)
        # On the thread that serves requests: no write can come between the removal and its record.
        app._MAIN_LOOP.call_soon_threadsafe(expire, table, pk, sk)
        return None

    def expire(table: Any, pk: Any, sk: Any) -> None:
        name, (region, account) = table["TableName"], table["TableArn"].split(":")[3:5]
        setting = dynamodb._ttl_settings.get_scoped(account, region, name) or {}
        item = table["items"].get(pk, {}).get(sk)
        # Check again: a request may have renewed or deleted the item in the meantime.
        if item is None or not _expired(item.get(setting.get("AttributeName"))):
            return
        _under_way.expiring = table["TableArn"]
        try:
            with responses.request_scope(account, region):
                dynamodb._remove_item(table, pk, sk)
                dynamodb._emit_stream_event(name, "REMOVE", item, None)
        finally:
            _under_way.expiring = None

    @_in_place_of(dynamodb, "_build_change_record")
    def record(original: Any, table: Any, *change: Any) -> Any:
        built = original(table, *change)
        if _under_way.expiring == table["TableArn"]:
            built["userIdentity"] = dict(_TTL_IDENTITY)
        return built

    # GetRecords spells these members Type and PrincipalId; a function's event spells them as above.
    @_in_place_of(dynamodb_streams, "_cap_page_bytes")
    def page(original: Any, records: list[_Item]) -> Any:
        return original([_spelled_for_get_records(record) for record in records])


def _expired(value: Any) -> bool:
    if not isinstance(value, dict) or "N" not in value:
        return False
    return 0 <= time.time() - float(value["N"]) <= _TTL_OLDEST_SECONDS


def _spelled_for_get_records(record: _Item) -> _Item:
    identity = record.get("userIdentity")
    if identity is None:
        return record
    return {**record, "userIdentity": {name[0].upper() + name[1:]: value for name, value in identity.items()}}


def _take_sets_as_sets(dynamodb: Any) -> None:
    """1.5.33: a set written in another order makes a stream record, although a set has no order."""

    @_in_place_of(dynamodb, "_emit_stream_event")
    def emit(
        original: Any, name: str, kind: str, old: _Item | None, new: _Item | None, *rest: Any, **named: Any
    ) -> Any:
        same = kind == "MODIFY" and _same(old, new)
        return original(name, kind, old, old if same else new, *rest, **named)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            # Only the type SS has a list under this name; an attribute that is named SS has a value.
            sorted(value) == sorted(other[name])
            if name in _SETS and isinstance(value, list)
            else _same(value, other[name])
            for name, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _apply_updates_to_the_item_before(dynamodb: Any) -> None:
    """1.5.33: each part of an update sees the effects of the parts before it, and sums are cut to 28 digits.

    On DynamoDB an index means the list before the update: `REMOVE l[1], l[2]` of [a b c d] leaves [a d], but MiniStack
    leaves [a c]. Elements that SET appends are ordered by their indices. Numbers have 38 digits, and in a set of
    numbers 1.0 is 1.
    """

    @_in_place_of(dynamodb, "_apply_update_expression")
    def apply(original: Any, item: _Item, text: str, values: Any, *rest: Any) -> Any:
        values = {name: _canonical_set(dynamodb, value) for name, value in (values or {}).items()}
        _under_way.before, _under_way.removals = item, set()
        try:
            with decimal.localcontext(_EXACT):
                updated = original(item, text, values, *rest)
        finally:
            _under_way.before = None
        changed, paths = updated
        # From the end of each list to its beginning, so that a removal does not shift the ones that follow it.
        for path in sorted(_under_way.removals, key=_place, reverse=True):
            dynamodb._remove_at_path(changed, list(path))
        # A transaction would store the result unchecked.
        for name in {path[0] for path in paths} & changed.keys():
            wrong = dynamodb._attribute_value_error(changed[name])
            if wrong is not None:
                raise ValueError(wrong)
            dynamodb._validate_attribute_value(name, changed[name])  # makes its numbers canonical
        return updated

    @_in_place_of(dynamodb, "_remove_at_path")
    def remove_at_path(original: Any, item: _Item, path: list[str | int]) -> None:
        if _under_way.before is None:
            original(item, path)
        elif dynamodb._get_at_path(_under_way.before, path) is not None:
            _under_way.removals.add(tuple(path))

    @_in_place_of(dynamodb, "_apply_set")
    def apply_set(original: Any, item: _Item, tokens: Any, values: Any, names: Any, updated: Any) -> None:
        parts = dynamodb._split_by_comma(tokens)
        parts.sort(key=lambda part: _place(dynamodb._parse_path_from_tokens(part, names)))
        original(item, [token for part in parts for token in (*part, ("COMMA", ","))], values, names, updated)

    @_in_place_of(dynamodb, "_partiql_update")
    def partiql_update(original: Any, table: Any, parsed: Any, *rest: Any) -> Any:
        ordered = {
            "assignments": sorted(parsed.get("assignments") or [], key=lambda assignment: _place(assignment[0])),
            "removes": sorted(parsed.get("removes") or [], key=_place, reverse=True),
        }
        return original(table, {**parsed, **ordered}, *rest)

    def exactly(original: Any, *request: Any) -> Any:
        with decimal.localcontext(_EXACT):
            return original(*request)

    # In a PartiQL statement, literal numbers are cut too.
    for name in ("_apply_attribute_updates", "_execute_statement", "_execute_transaction"):
        _in_place_of(dynamodb, name)(exactly)


def _read_partiql_values(dynamodb: Any) -> None:
    """1.5.33: parameters of a PartiQL statement are stored as they came: `1.0` instead of 1, and empty sets."""

    @_in_place_of(dynamodb, "_parse_partiql")
    def parse(original: Any, statement: str, parameters: Any) -> Any:
        # A copy: the engine compares a repeated transaction with the request as it came.
        parameters = copy.deepcopy(parameters or [])
        for value in parameters:
            refused = dynamodb._validate_attribute_value("", value)
            if refused is not None:
                raise ValueError(json.loads(refused[2])["message"])
        return original(statement, parameters)


def _place(path: Any) -> list[tuple[bool, Any]]:
    """Return a sort key that orders the elements of a list by index."""
    return [(isinstance(part, int), part) for part in path]


def _canonical_set(dynamodb: Any, value: Any) -> Any:
    if not isinstance(value, dict) or not isinstance(value.get("NS"), list):
        return value
    return {"NS": [dynamodb._ddb_canonicalize_number(number) or number for number in value["NS"]]}


def _refuse_foreign_authorization(app: Any, iam_evaluator: Any) -> None:
    """1.5.33: a request with an Authorization header that is not an AWS signature passes as the root user's.

    With AUTH=true, `Authorization: Bearer x` may do anything in every service. A route of an HTTP API with AWS_IAM
    lets it pass without AUTH, too.
    """

    @_in_place_of(iam_evaluator, "enforce")
    def enforce(original: Any, access_key: str, *rest: Any, **named: Any) -> Any:
        if not access_key and iam_evaluator._signed_request.get() is None:
            iam_evaluator._anonymous.set(True)
        return original(access_key, *rest, **named)

    @_in_place_of(app, "_enforce_execute_api")
    def enforce_execute_api(
        original: Any, api: str, stage: str, method: str, path: str, headers: dict[str, str], *rest: Any, **named: Any
    ) -> Any:
        header = headers.get("authorization", "")
        if header and not header.startswith("AWS4-"):
            routes = app._get_module("apigateway")
            if routes.route_authorization_type(api, stage, method, path) == "AWS_IAM":
                return routes._jwt_forbidden()
        return original(api, stage, method, path, headers, *rest, **named)


def _authorize_stream_readers(iam_actions: Any, dynamodb_streams: Any) -> None:
    """1.5.33: with AUTH=true, reading a stream takes a permission on `*`; one on the stream's ARN is not enough."""

    @_in_place_of(iam_actions, "extract_resource_arn")
    def resource_arn(
        original: Any, service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any, **named: Any
    ) -> Any:
        if service == "dynamodbstreams":
            try:
                data = json.loads(body or b"{}")
                stream = data.get("StreamArn") or dynamodb_streams._decode_iterator(data["ShardIterator"])["arn"]
            except (ValueError, LookupError, TypeError, AttributeError):
                stream = None
            if isinstance(stream, str):
                return stream
        return original(service, method, path, headers, body, *rest, **named)


def _read_form_names_as_utf8(s3: Any) -> None:
    """1.5.33: file names in a browser's POST are read as Latin-1: `é.jpg` is stored as `Ã©.jpg`."""

    def utf8(name: str | None) -> str | None:
        try:
            return name and name.encode("latin-1").decode()
        except UnicodeDecodeError:
            return name

    @_in_place_of(s3, "_parse_multipart_form")
    def parse(original: Any, *form: Any) -> list[Any]:
        return [(utf8(name), utf8(file), headers, value) for name, file, headers, value in original(*form)]


def _keep_object_locks(s3: Any) -> None:
    """1.5.33: a restart loses the retention and legal hold of each object; a locked version can then be deleted."""
    s3._PERSISTED_BUCKET_DICTS.update(object_retention=s3._object_retention, object_legal_hold=s3._object_legal_hold)


def _deploy_what_the_template_has(provisioners: Any) -> None:
    """1.5.33: CloudFormation refuses an alarm of metric math, and a stack with a saved query.

    Of a rate of failures their number stands for it; a saved query is a name and nothing else.
    """

    @_in_place_of(provisioners, "_cw_metric_alarm_record")
    def record(original: Any, name: str, props: _Item) -> Any:
        counted = next((part["MetricStat"] for part in props.get("Metrics") or () if "MetricStat" in part), None)
        if counted is not None:
            rest = {name: value for name, value in props.items() if name != "Metrics"}
            props = {**rest, **counted["Metric"], "Statistic": counted["Stat"], "Period": counted["Period"]}
        return original(name, props)

    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {
        "create": lambda logical_id, _props, stack: (f"{stack}-{logical_id}", {}),
        "update": lambda physical_id, *_: (physical_id, {}),
        "delete": lambda *_: None,
    }


if __name__ == "__main__":
    main()
