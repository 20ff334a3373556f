"""The trail over the API: every change on one page, values whole, answers that never change marked so."""

import itertools
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.api_events import REQUEST_ID, Api, first, second
from tests.aws.moto_relay import moto_environment
from tests.ledger.keys import signer
from tests.ledger.logs import ORIGIN, Log, seal, sealed
from tests.strategies import change
from tests.trails import EVIDENCE, changed, make_audit_table, one_by_one, read_by_id, unwire, write
from weaudit.api import paging, queries
from weaudit.capture.changes import Change
from weaudit.errors import StoreRefusedError, StoreUnavailableError
from weaudit.handlers import read_trail
from weaudit.installation.targets import wire
from weaudit.items.texts import compact
from weaudit.ledger import policies
from weaudit.trail import documents, receipts
from weaudit.trail.reader import AuditHistory
from weaudit.trail.store_callers import AuditLogs
from weaudit.updates.log import log_entry
from weaudit.updates.requests import Caller, UpdateRequest

START_MS = 1_704_067_200_000  # 2024-01-01T00:00:00Z
NOW_MS = START_MS + 6 * 24 * 3_600_000
RECORD = "/v1/records/{id}"
HISTORY, ITEM, DIFF, CHANGES = (f"/v1/tables/{{table}}/{name}" for name in ("history", "item", "diff", "changes"))
TABLE = {"table": "Configuration"}
DIGITS = "0.10000000000000000000000000000000000001"


class Stores:
    """An Audit table in moto, log entries in memory, and what was asked of both."""

    def __init__(self) -> None:
        self.client = boto3.client("dynamodb", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="s")
        make_audit_table(self.client)
        self.asked: list[dict[str, Any]] = []
        self.entries: dict[str, Any] = {}
        self.objects: dict[str, bytes] = {}
        self.fault: Exception | None = None
        self.log_fault: Exception | None = None
        self.trail = AuditHistory(
            self.query,
            one_by_one(self.query),
            read_by_id(self.client),
            "Audit",
            lambda _bucket, key: self.objects.get(key),
        )
        self.log = Log([])
        self.api = self.api_with(self.logs)

    def api_with(self, logs: Any) -> Api:
        ledger = (lambda path: self.log.fetch(path), lambda *asked: self.log.part(*asked))
        audit_logs = AuditLogs(logs, "audit_logs")
        return Api(read_trail, trail=self.trail, audit_logs=audit_logs, ledger=ledger, now_ms=lambda: NOW_MS)

    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.fault:
            raise self.fault
        self.asked.append(request)
        found: dict[str, Any] = wire(self.client.query(**unwire(request)))
        return found

    def logs(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        assert operation == "BatchGetItem"
        if self.log_fault:
            raise self.log_fault
        keys = [key["log_id"]["S"] for key in body["RequestItems"]["audit_logs"]["Keys"]]
        return {"Responses": {"audit_logs": [self.entries[key] for key in keys if key in self.entries]}}

    def write(self, *changes: Change, **rules: Any) -> list[Any]:
        return write(self.client, changes, objects=self.objects, **rules)

    def scan(self) -> list[Any]:
        found: list[Any] = wire(self.client.scan(TableName="Audit")["Items"])
        return found


@pytest.fixture
def stores() -> Iterator[Stores]:
    with mock_aws():
        yield Stores()


def counting(key: str, count: int, **fields: Any) -> Iterator[Change]:
    images = [None, *({"v": {"N": str(number)}} for number in range(count))]
    return changed(key, images, at_ms=START_MS, **fields)


def pages(api: Api, route: str, **query: str | list[str]) -> Iterator[list[Any]]:
    for page in whole_pages(api, route, **query):
        yield page["changes"]


def whole_pages(api: Api, route: str, **query: str | list[str]) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        found = api.get(route, TABLE, **query, **({"cursor": cursor} if cursor else {}))
        yield found
        cursor = found["cursor"]


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_history_comes_page_by_page_each_change_once(stores: Stores, order: str) -> None:
    key = "a/b?c=d&é +"
    stores.write(*counting(key, 23), *counting("other", 5, first=100))
    found = list(pages(stores.api, HISTORY, key=key, limit="5", order=order))
    assert [len(page) for page in found] == [5, 5, 5, 5, 3]
    told = [one["sequenceNumber"] for one in itertools.chain(*found)]
    assert told == sorted(set(told), reverse=order == "desc")
    assert len(told) == 23
    assert {one["itemKey"] for one in itertools.chain(*found)} == {key}


def test_a_page_of_a_history_is_one_read(stores: Stores) -> None:
    stores.write(*counting("k", 40))
    for order in ("asc", "desc"):
        stores.asked.clear()
        stores.api.answer(second(f"GET {HISTORY}", TABLE, key="k", limit="10", order=order))
        assert [request["Limit"] for request in stores.asked] == [12]


def test_a_last_page_that_is_full_has_no_cursor(stores: Stores) -> None:
    stores.write(*counting("k", 4))
    assert [len(page) for page in pages(stores.api, HISTORY, key="k", limit="2")] == [2, 2]
    assert stores.api.get(HISTORY, TABLE, key="nobody") == {
        "tableName": "Configuration",
        "itemKey": "nobody",
        "changes": [],
        "cursor": None,
    }


def test_a_history_is_narrowed_to_a_range_and_an_attribute(stores: Stores) -> None:
    rest = ({"v": {"N": str(n)}, "w": {"N": str(n // 10)}} for n in range(40))
    stores.write(*changed("k", [None, *rest], at_ms=START_MS))
    found = list(itertools.chain(*pages(stores.api, HISTORY, key="k", attribute="w", limit="2")))
    assert [part["newValue"] for one in found for part in one["attributes"]] == [0, 1, 2, 3]
    query = {"since": "2024-01-01T00:00:05Z", "until": "2024-01-01T00:00:07Z"}
    found = stores.api.get(HISTORY, TABLE, key="k", **query)["changes"]
    assert [one["modificationTime"][17:19] for one in found] == ["05", "06", "07"]


def test_a_search_for_an_attribute_ends_a_page_before_it_has_read_everything(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaudit.trail.pages.MOST_READ", 10)
    stores.write(*counting("k", 25))
    found = list(pages(stores.api, HISTORY, key="k", attribute="nothing"))
    assert found == [[], [], []]


def test_a_tables_changes_come_page_by_page_also_those_of_one_instant(stores: Stores) -> None:
    several = [counting(f"k{number}", 7, every_ms=1000, first=100 * number) for number in range(12)]
    stores.write(*itertools.chain(*several))
    found = list(pages(stores.api, CHANGES, limit="10", since="2024-01-01"))
    assert [len(page) for page in found] == [10] * 8 + [4]
    told = [(one["modificationTime"], one["sequenceNumber"]) for one in itertools.chain(*found)]
    assert told == sorted(told)
    named = {(one["itemKey"], one["sequenceNumber"]) for one in itertools.chain(*found)}
    assert len(named) == 84


def test_a_tables_changes_come_newest_first_page_by_page_also_those_of_one_instant(stores: Stores) -> None:
    several = [counting(f"k{number}", 5, every_ms=500, first=100 * number) for number in range(4)]
    # In the month before, and at the very same place of the order, but of another stream.
    several.append(changed("old", [None, {"v": {"N": "1"}}], at_ms=START_MS - 1000, first=9000))
    several.append(changed("twin", [None, {}], at_ms=START_MS, first=300, stream_label="2023-01-01T00:00:00.000"))
    stores.write(*itertools.chain(*several))
    whole = list(itertools.chain(*pages(stores.api, CHANGES, since="2023-12-31", limit="1000")))
    assert len(whole) == 22
    for limit in ("5", "21"):
        found = list(pages(stores.api, CHANGES, limit=limit, since="2023-12-31", order="desc"))
        assert [len(page) for page in found[:-1]] == [int(limit)] * (len(found) - 1)
        told = [one["attributes"][0]["recordId"] for one in itertools.chain(*found)]
        assert len(set(told)) == 22
        times = [(one["modificationTime"], one["sequenceNumber"].zfill(40)) for one in itertools.chain(*found)]
        assert times == sorted(times, reverse=True)
    newest = stores.api.get(CHANGES, TABLE, since="2023-12-31", order="desc", limit="3")
    assert [one["sequenceNumber"] for one in newest["changes"]] == [one["sequenceNumber"] for one in whole[:-4:-1]]
    assert list(pages(stores.api, CHANGES, since="2023-12-31", limit="1000", order="asc")) == [whole]
    status, refused = stores.api.refused(CHANGES, TABLE, since="2023-12-31", limit="3", cursor=newest["cursor"])
    assert (status, refused["details"]) == (400, {"parameter": "cursor"})


def test_what_is_written_while_somebody_reads_backwards_moves_no_page(stores: Stores) -> None:
    stores.write(*counting("k", 5))
    page = stores.api.get(CHANGES, TABLE, limit="2", order="desc")
    told = [one["sequenceNumber"] for one in page["changes"]]
    stores.write(*changed("late", [None, {}], at_ms=NOW_MS - 1000, first=50))
    while page["cursor"]:
        page = stores.api.get(CHANGES, TABLE, limit="2", order="desc", cursor=page["cursor"])
        told += [one["sequenceNumber"] for one in page["changes"]]
    assert told == [str(10**21 + number) for number in (5, 4, 3, 2, 1)]


def heartbeats(key: str, count: int, **fields: Any) -> Iterator[Change]:
    """Yield changes of v and updatedAt: of updatedAt alone but for every tenth."""
    items = [{"v": {"N": str(n // 10)}, "updatedAt": {"N": str(n)}} for n in range(count)]
    return changed(key, [None, *items, None], at_ms=START_MS, **fields)


@pytest.mark.parametrize(("route", "query"), [(HISTORY, {"key": "k"}), (CHANGES, {"since": "2024-01-01"})])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_an_attribute_is_left_out_and_changes_of_nothing_else_are_counted(
    stores: Stores, route: str, query: dict[str, Any], order: str
) -> None:
    stores.write(*heartbeats("k", 40))
    for limit in ("2", "50"):
        asked = {**query, "order": order, "limit": limit, "without": ["updatedAt"]}
        found = list(whole_pages(stores.api, route, **asked))
        assert sum(page["folded"] for page in found) == 36
        told = list(itertools.chain(*(page["changes"] for page in found)))
        told = told if order == "asc" else told[::-1]
        assert [part for one in told for part in one["attributes"] if part.pop("recordId")] == [
            {"newValue": {"key": "k", "v": 0}},
            *({"updatedAttribute": "v", "oldValue": n, "newValue": n + 1} for n in range(3)),
            {"oldValue": {"key": "k", "v": 3}},
        ]
        assert all(len(page["changes"]) <= int(limit) for page in found)
    # Whatever their order, and however often they are named.
    [page] = whole_pages(stores.api, route, **query, order=order, without=["v", "updatedAt", "v"])
    events = [one["eventName"] for one in page["changes"]]
    assert (events, page["folded"]) == (["INSERT", "REMOVE"] if order == "asc" else ["REMOVE", "INSERT"], 39)
    assert "folded" not in stores.api.get(route, TABLE, **query)


@pytest.mark.parametrize(("route", "query"), [(HISTORY, {"key": "k"}), (CHANGES, {"since": "2024-01-01"})])
def test_a_page_of_nothing_but_noise_ends_and_leads_on(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, route: str, query: dict[str, Any]
) -> None:
    monkeypatch.setattr("weaudit.trail.pages.MOST_READ", 10)
    stores.write(*heartbeats("k", 34))
    found = list(whole_pages(stores.api, route, **query, without=["updatedAt", "v"]))
    assert [(len(page["changes"]), page["folded"]) for page in found] == [(1, 9), (0, 10), (0, 10), (1, 4)]
    status, refused = stores.api.refused(route, TABLE, **query, without="v", cursor=found[0]["cursor"])
    assert (status, refused["details"]) == (400, {"parameter": "cursor"})


def test_a_value_that_is_left_out_is_not_read_from_the_evidence_bucket(stores: Stores) -> None:
    texts = [{"blob": {"S": letter * 5000}, "v": {"N": str(ord(letter) // 2)}} for letter in "abcdef"]
    stores.write(*changed("k", [None, *texts], at_ms=START_MS))
    read: list[str] = []
    stores.objects = Watched(stores.objects, read)
    for route, query in ((HISTORY, {"key": "k"}), (CHANGES, {})):
        found = stores.api.get(route, TABLE, **query, without=["blob"])
        assert (found["folded"], len(found["changes"]), read) == (2, 4, [])
        assert '"blob"' not in json.dumps(found)
        assert "newValueRef" not in json.dumps(found)
    stores.api.get(HISTORY, TABLE, key="k", without=["v"])
    assert len(set(read)) == 6


class Watched(dict[str, bytes]):
    """Objects of the evidence bucket, and which of them were read."""

    def __init__(self, objects: dict[str, bytes], read: list[str]) -> None:
        super().__init__(objects)
        self._read = read

    def get(self, key: str, default: Any = None) -> Any:
        self._read.append(key)
        return super().get(key, default)


def test_the_caller_of_a_change_is_known_from_what_is_left_out_of_it_as_well(stores: Stores) -> None:
    old, mark = {"v": {"N": "1"}, "blob": {"S": "x" * 5000}}, {"_weaudit": {"S": "log-1"}}
    asked = {"v": {"N": "2"}, "blob": {"S": "y" * 5000}}
    alone = {**old, **asked, **mark, "w": {"N": "1"}}
    steps = [old, {**old, **asked, **mark}, alone, {**alone, "w": {"N": "2"}, "_weaudit": {"S": "log-2"}}]
    stores.write(*changed("k", steps, at_ms=START_MS))
    stores.entries["log-1"] = logged("k", asked, "log-1", START_MS + 300)
    stores.entries["log-2"] = logged("k", {"w": {"N": "2"}}, "log-2", START_MS + 2000)
    looked_up: list[str] = []
    logs = stores.logs

    def watched(operation: str, body: dict[str, Any]) -> dict[str, Any]:
        looked_up.extend(key["log_id"]["S"] for key in body["RequestItems"]["audit_logs"]["Keys"])
        return logs(operation, body)

    stores.api = stores.api_with(watched)
    for route, query in ((HISTORY, {"key": "k"}), (CHANGES, {})):
        [only] = stores.api.get(route, TABLE, **query, without=["blob", "w"])["changes"]
        assert only["actor"] == {"kind": "logged", "name": "ada"}
        assert [part["updatedAttribute"] for part in only["attributes"]] == ["v"]
    # Nobody asks who made a change that nobody sees.
    assert set(looked_up) == {"log-1"}


def test_an_attribute_that_is_asked_for_cannot_be_left_out(stores: Stores) -> None:
    stores.write(*heartbeats("k", 12))
    status, refused = stores.api.refused(HISTORY, TABLE, key="k", attribute="v", without=["w", "v"])
    assert (status, refused["details"]) == (400, {"parameter": "without"})
    assert stores.asked == []
    found = stores.api.get(HISTORY, TABLE, key="k", attribute="v", without=["updatedAt"])
    assert [len(one["attributes"]) for one in found["changes"]] == [1, 1, 1]
    assert found["folded"] == 0


def test_a_range_that_ends_now_ends_where_the_first_page_said(stores: Stores) -> None:
    stores.write(*counting("k", 3))
    page = stores.api.get(CHANGES, TABLE, limit="1")
    late = changed("k2", [None, {"v": {"N": "9"}}], at_ms=NOW_MS + 1000, first=50)
    stores.write(*late)
    told = [page["changes"][0]["itemKey"]]
    while page["cursor"]:
        page = stores.api.get(CHANGES, TABLE, limit="1", cursor=page["cursor"])
        told += [one["itemKey"] for one in page["changes"]]
    assert told == ["k", "k", "k"]


def test_values_keep_every_digit_and_type(stores: Stores) -> None:
    image = {
        "key": {"S": "k"},
        "n": {"N": DIGITS},
        "s": {"SS": ["b", "a"]},
        "z": {"NULL": True},
        "c": {"S": "\x9b\x1b"},
    }
    stores.write(change(None, image))
    body = stores.api.answer(second(f"GET {HISTORY}", TABLE, key="k"))["body"]
    assert f'"n":{DIGITS},' in body
    assert "\\u009b\\u001b" in body
    assert stores.api.get(ITEM, TABLE, key="k", at="2024-01-02")["item"]["s"] == {"SS": ["b", "a"]}


def test_a_page_of_large_changes_ends_by_its_bytes(stores: Stores) -> None:
    images = [None, *({"v": {"S": letter * 150_000}} for letter in "abcdefghijklmnopqrstuvwxyz")]
    stores.write(*changed("k", images, at_ms=START_MS))
    found = list(pages(stores.api, HISTORY, key="k", limit="1000"))
    assert len(found) > 1
    assert all(len(page) > 10 for page in found[:-1])
    assert sum(map(len, found)) == 26


def test_a_change_larger_than_an_answer_comes_without_its_values(stores: Stores) -> None:
    worst = [{f"a{n}": {"S": "\x01" * 39_000 + letter} for n in range(9)} for letter in "ab"]
    stores.write(*changed("k", worst, at_ms=START_MS))  # in the evidence bucket
    stores.write(*changed("l", worst, at_ms=START_MS, first=9), inline_bytes=10**6)  # in the records
    for key, kept in (("k", ("oldValueRef", "newValueRef")), ("l", ("oldValueOmitted", "newValueOmitted"))):
        [modified] = stores.api.get(HISTORY, TABLE, key=key)["changes"]
        assert all(part.keys() == {"updatedAttribute", "recordId", *kept} for part in modified["attributes"])
        assert all(part[name] for part in modified["attributes"] for name in kept)
        record = stores.api.get("/v1/records/{id}", {"id": modified["attributes"][0]["recordId"]})
        assert record["newValue"] == "\x01" * 39_000 + "b"


def test_a_record_has_both_values_whatever_they_take_in_json_and_lambda_answers_it() -> None:
    worst = {"id": "i", "oldValue": "\x01" * 409_000, "newValue": "\x02" * 409_000}
    body = compact(documents.fitting(worst))
    assert json.loads(body) == worst
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    assert len(json.dumps({"statusCode": 200, "headers": {"x-request-id": "r" * 1000}, "body": body})) < 6 * 1024 * 1024
    more = worst | {"oldValue": "\x01" * 500_000}
    assert json.loads(compact(documents.fitting(more))) == {
        "id": "i",
        "oldValueOmitted": True,
        "newValueOmitted": True,
    }


def test_an_item_as_of_then(stores: Stores) -> None:
    stores.write(*counting("k", 5))
    at = stores.api.answer(second(f"GET {ITEM}", TABLE, key="k", at="2024-01-01T00:00:02Z"))
    document = json.loads(at["body"])
    assert (document["exists"], document["complete"], document["item"]) == (True, True, {"key": "k", "v": 2})
    assert document["nextChange"]["modificationTime"] == "2024-01-01T00:00:03.000Z"
    assert at["headers"]["cache-control"] == "no-store"
    gone = stores.api.get(ITEM, TABLE, key="k", at="2023-12-31")
    assert (gone["exists"], gone["complete"], gone["item"]) == (None, False, None)
    assert gone["problems"][0]["code"] == "BeforeFirstRecord"


def test_what_never_changes_may_be_kept(stores: Stores) -> None:
    stores.write(*counting("k", 5))
    sequence = str(10**21 + 3)
    for event in (
        second(f"GET {ITEM}", TABLE, key="k", sequence=sequence),
        first(f"GET {ITEM}", TABLE, key="k", sequence=sequence),
    ):
        answer = stores.api.answer(event)
        assert answer["headers"]["cache-control"] == "private, max-age=31536000, immutable"
        assert json.loads(answer["body"])["item"] == {"key": "k", "v": 2}
        again = stores.api.answer({**event, "headers": {"If-None-Match": f'"other", W/{answer["headers"]["etag"]}'}})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["etag"] == answer["headers"]["etag"]
        assert stores.api.answer({**event, "headers": {"if-none-match": '"other"'}})["statusCode"] == 200
    newest = stores.api.answer(second(f"GET {ITEM}", TABLE, key="k", sequence=str(10**21 + 5)))
    stores.write(*changed("k", [{"v": {"N": "4"}}, {"v": {"N": "5"}}], at_ms=START_MS + 9000, first=9))
    later = stores.api.answer(second(f"GET {ITEM}", TABLE, key="k", sequence=str(10**21 + 5)))
    assert newest == later
    between = stores.api.answer(second(f"GET {ITEM}", TABLE, key="k", sequence=str(10**21 + 7)))
    assert between["headers"]["cache-control"] == "no-store"
    assert "etag" not in between["headers"]


def test_a_record_by_its_id(stores: Stores) -> None:
    stores.write(*counting("k", 2))
    [inserted, modified] = stores.api.get(HISTORY, TABLE, key="k")["changes"]
    record_id = modified["attributes"][0]["recordId"]
    record = stores.api.get("/v1/records/{id}", {"id": record_id})
    assert record == {
        "id": record_id,
        "tableName": "Configuration",
        "itemKey": "k",
        "modificationTime": "2024-01-01T00:00:01.000Z",
        "eventName": "MODIFY",
        "sequenceNumber": str(10**21 + 2),
        "beforeHash": inserted["afterHash"],
        "afterHash": modified["afterHash"],
        "updatedAttribute": "v",
        "oldValue": 0,
        "newValue": 1,
    }
    kept = stores.api.answer(second("GET /v1/records/{id}", {"id": record_id}))
    assert kept["headers"]["cache-control"].endswith("immutable")
    status, refused = stores.api.refused("/v1/records/{id}", {"id": record_id.replace("a", "b").replace("1", "2")})
    assert (status, refused["error"]) == (404, "RecordNotFoundError")


PROOF = "GET /v1/records/{id}/proof"


def test_a_proof_of_a_record_is_a_file_of_its_own(stores: Stores) -> None:
    old = {"key": {"S": "k"}, "v": {"S": "x"}}
    [record] = stores.write(change(old, {**old, "v": {"S": "y" * 5000}}))
    event = second(PROOF, {"id": record["id"]["S"]})
    assert stores.api.answer(event)["statusCode"] == 404, "an empty log"
    found = stores.trail.record(record["id"]["S"], values=False)
    assert found is not None
    shown = receipts.record_of(found)
    entries = [sealed("x"), sealed(record["id"]["S"], row_hash=receipts.hash_of(shown)), seal(2)]
    stores.log = Log(entries)
    answer = stores.api.answer(event)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert answer["headers"]["content-type"] == "text/plain; charset=utf-8"
    assert answer["headers"]["cache-control"] == "no-store"
    opened = receipts.opened(answer["body"].encode(), policies.of_log(signer(ORIGIN).key))
    assert (opened.index, opened.record) == (1, shown)
    stores.log = Log([sealed("x"), sealed(record["id"]["S"]), seal(2)])
    bare = receipts.opened(stores.api.answer(event)["body"].encode(), policies.of_log(signer(ORIGIN).key))
    assert (bare.index, bare.record) == (1, None), "the record is not the one that was sealed"


def test_a_record_without_a_proof_is_not_found(stores: Stores) -> None:
    [record] = stores.write(change(None, {"key": {"S": "k"}}))
    stores.log = Log([sealed("x"), sealed(record["id"]["S"], "foreign"), seal(2)])
    status, refused = stores.api.refused("/v1/records/{id}/proof", {"id": record["id"]["S"]})
    assert (status, refused["error"], refused["details"]) == (404, "RecordNotFoundError", {"sealed": False})
    status, refused = stores.api.refused("/v1/records/{id}/proof", {"id": "00000000-0000-4000-8000-000000000000"})
    assert (status, refused["error"], refused["details"]) == (404, "RecordNotFoundError", {})
    status, refused = stores.api.refused("/v1/records/{id}/proof", {"id": "x"})
    assert (status, refused["error"]) == (400, "InvalidInputError")
    del stores.log.objects["tile/0/000.p/3"]
    status, refused = stores.api.refused("/v1/records/{id}/proof", {"id": record["id"]["S"]})
    assert (status, refused["error"]) == (500, "DatabaseError")


def test_the_objects_of_a_ledger_are_read_with_the_functions_client() -> None:
    with moto_environment() as environment:
        s3 = boto3.client("s3", environment["AWS_REGION"], endpoint_url=environment["AWS_ENDPOINT_URL"])
        s3.create_bucket(Bucket="ledger")
        s3.put_object(Bucket="ledger", Key="lookup/0", Body=b"0123456789")
        fetch, part = read_trail.connect({**environment, "LEDGER_BUCKET": "ledger"})["ledger"]
        assert (fetch("lookup/0"), fetch("lookup/1")) == (b"0123456789", None)
        assert (part("lookup/0", 2, 3), part("lookup/0", 8, 30)) == ((b"234", 10), (b"89", 10))
        assert part("lookup/1", 0, 3) is None
        fetch, part = read_trail.connect(environment)["ledger"]
        assert (fetch("lookup/0"), part("lookup/0", 0, 1)) == (None, None)


def test_a_record_whose_large_value_is_lost_says_so_and_may_not_be_kept(stores: Stores) -> None:
    old = {"key": {"S": "k"}, "v": {"S": "x"}}
    [record] = stores.write(change(old, {**old, "v": {"S": "y" * 5000}}))
    [(key, body)] = stores.objects.items()
    event = second("GET /v1/records/{id}", {"id": record["id"]["S"]})
    for altered in (b'{"S":"y"}', body[:-1], None):
        stores.objects.clear()
        stores.objects.update({} if altered is None else {key: altered})
        answer = stores.api.answer(event)
        document = json.loads(answer["body"])
        assert "newValue" not in document
        assert document["oldValue"] == "x"
        commitment = key.rpartition("/")[2]
        assert document["newValueRef"] == {"bucket": EVIDENCE, "key": key, "commitment": commitment, "bytes": 5008}
        assert answer["headers"]["cache-control"] == "no-store"
    stores.objects[key] = body
    answer = stores.api.answer(event)
    assert json.loads(answer["body"])["newValue"] == "y" * 5000
    assert answer["headers"]["cache-control"].endswith("immutable")


def test_an_item_whose_large_value_is_lost_is_shown_without_it(stores: Stores) -> None:
    image = {"key": {"S": "k"}, "a": {"S": "a" * 5000}, "b": {"S": "b" * 5000}, "n": {"N": "1"}}
    stores.write(change(None, image))
    stores.objects.pop(min(stores.objects))
    [made] = stores.api.get(HISTORY, TABLE, key="k")["changes"]
    [part] = made["attributes"]
    [lost] = {"a", "b"} - part["newValue"].keys()
    assert part["newValue"].keys() == {"a", "b", "key", "n"} - {lost}
    assert part["newValueRefs"].keys() == {"a", "b"}
    found = stores.api.get(ITEM, TABLE, key="k", at="2024-01-02")
    assert (found["complete"], found["unknown"]) == (False, [lost])
    assert [problem["code"] for problem in found["problems"]] == ["ValueLost"]
    assert found["item"] == part["newValue"]


def test_masked_places_are_redacted_everywhere_also_within_a_large_value(stores: Stores) -> None:
    def image(pin: str, number: int) -> dict[str, Any]:
        card = {"M": {"pin": {"S": pin}, "text": {"S": "x" * 5000}}}
        return {"email": {"S": f"{pin}@example.org"}, "card": card, "n": {"N": str(number)}}

    rules = {"redact": (("email",), ("card", "pin"))}
    stores.write(*changed("k", [None, image("1234", 1), image("9876", 2), None], at_ms=START_MS), **rules)
    card = {"pin": "[REDACTED]", "text": "x" * 5000}
    shown = {"key": "k", "email": "[REDACTED]", "card": card}
    created, modified, deleted = stores.api.get(HISTORY, TABLE, key="k")["changes"]
    assert created["attributes"][0]["newValue"] == {**shown, "n": 1}
    assert created["attributes"][0]["masked"] == ["card.pin", "email"]
    parts = {part["updatedAttribute"]: part for part in modified["attributes"]}
    assert (parts["email"]["oldValue"], parts["email"]["newValue"]) == ("[REDACTED]", "[REDACTED]")
    assert (parts["card"]["oldValue"], parts["card"]["newValue"]) == (card, card)
    assert [parts[name].get("masked") for name in ("card", "email", "n")] == [["card.pin"], ["email"], None]
    assert deleted["attributes"][0]["oldValue"] == {**shown, "n": 2}
    state = stores.api.get(ITEM, TABLE, key="k", at="2024-01-01T00:00:01Z")
    assert (state["complete"], state["item"]) == (True, {**shown, "n": 2})
    found = stores.api.get(DIFF, TABLE, key="k", from_="2024-01-01T00:00:00Z", to="2024-01-01T00:00:01Z")
    assert (found["complete"], found["differences"]) == (True, [{"path": ["n"], "oldValue": 1, "newValue": 2}])
    found = stores.api.get(DIFF, TABLE, key="k", from_="2024-01-01T00:00:01Z", to="2024-01-01T00:00:02Z")
    assert {tuple(place["path"]): place["oldValue"] for place in found["differences"]}[("email",)] == "[REDACTED]"
    for record in stores.scan():
        assert "1234" not in json.dumps(record, default=str)
        assert "9876" not in json.dumps(record, default=str)


def test_a_carried_actor_has_the_kind_carried(stores: Stores) -> None:
    stores.write(
        *changed("k", [None, *({"v": {"N": n}, "by": {"S": "ada"}} for n in "12")], at_ms=START_MS), actor="by"
    )
    created, modified = stores.api.get(HISTORY, TABLE, key="k")["changes"]
    assert created["actor"] == {"kind": "stated", "name": "ada"}
    assert modified["actor"] == {"kind": "carried", "name": "ada"}
    record = stores.api.get("/v1/records/{id}", {"id": modified["attributes"][0]["recordId"]})
    assert record["actor"] == {"kind": "carried", "name": "ada"}


def test_what_changed_between_two_times(stores: Stores) -> None:
    stores.write(*counting("k", 5))
    found = stores.api.get(DIFF, TABLE, key="k", from_="2024-01-01T00:00:01Z", to="2024-01-01T00:00:04Z")
    assert found["complete"] is True
    assert found["differences"] == [{"path": ["v"], "oldValue": 1, "newValue": 4}]


def test_a_comparison_larger_than_an_answer_counts_what_it_leaves_out(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaudit.trail.documents.PAGE_BYTES", 1000)
    sets = [{"v": {"SS": [f"{letter}{number}" for number in range(40)]}} for letter in "ab"]
    stores.write(*changed("k", [None, *sets], at_ms=START_MS))
    found = stores.api.get(DIFF, TABLE, key="k", from_="2024-01-01T00:00:00Z", to="2024-01-01T00:00:01Z")
    assert 10 < len(found["differences"]) < 25
    assert len(found["differences"]) + found["differencesOmitted"] == 80


def logged(key: str, asked: dict[str, Any], log_id: str, at_ms: int) -> Any:
    request = UpdateRequest(key, asked, "Configuration", logged=True)
    return log_entry(request, key, Caller("ada"), "success", at_ms, log_id, ())


def test_a_log_id_that_is_brought_back_borrows_no_caller_on_any_page(stores: Stores) -> None:
    mark = {"_weaudit": {"S": "log-1"}}
    old, asked = {"v": {"N": "1"}, "w": {"N": "0"}}, {"v": {"N": "2"}}
    # The update; undone by hand; done again by hand with its id; undone; and other values with its id.
    steps = [
        old,
        {**old, **asked, **mark},
        old,
        {**old, **asked, **mark},
        old,
        {"v": {"N": "9"}, "w": asked["v"], **mark},
    ]
    stores.write(*changed("k", steps, at_ms=START_MS))
    # One and the same id on an item that no update touched.
    stores.write(*changed("other", steps[:2], at_ms=START_MS + 10_000, first=100))
    stores.entries["log-1"] = logged("k", asked, "log-1", START_MS + 300)
    first = str(10**21 + 1)
    for limit in ("1", "2", "100"):
        doors = [pages(stores.api, HISTORY, key="k", limit=limit, order=order) for order in ("asc", "desc")]
        doors += [pages(stores.api, HISTORY, key="k", limit=limit, attribute="v")]
        doors += [pages(stores.api, HISTORY, key="k", limit=limit, since="2024-01-01T00:00:00Z")]
        doors += [pages(stores.api, CHANGES, limit=limit, since="2024-01-01")]
        for door in doors:
            told = list(itertools.chain(*door))
            assert len(told) >= 5
            assert [one["sequenceNumber"] for one in told if "actor" in one] == [first]
    # An attribute that the borrower changed beside those of the entry: what is shown of the change is not all of it.
    [only] = itertools.chain(*pages(stores.api, HISTORY, key="k", attribute="w"))
    assert "actor" not in only
    # A range that begins after the update does not make the second use of its id the first.
    later = itertools.chain(*pages(stores.api, HISTORY, key="k", since="2024-01-01T00:00:01Z"))
    assert [one for one in later if "actor" in one] == []
    # A record is what was recorded: its caller is not looked up.
    assert all("actor" not in stores.api.get(RECORD, {"id": record["id"]["S"]}) for record in stores.scan())


def test_a_logged_update_names_its_caller(stores: Stores, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{"key": {"S": "k"}, "v": {"N": "1"}}, {"key": {"S": "k"}, "v": {"N": "2"}, "_weaudit": {"S": "log-1"}}]
    stores.write(change(None, images[0]), change(*images, sequence="100000000000000000002"))
    stores.entries["log-1"] = logged("k", {"v": {"N": "2"}}, "log-1", START_MS - 500)
    assert stores.api.get(HISTORY, TABLE, key="k")["changes"][1]["actor"] == {"kind": "logged", "name": "ada"}
    capsys.readouterr()
    stores.log_fault = StoreRefusedError("BatchGetItem: AccessDeniedException (HTTP 400)")
    assert "actor" not in stores.api.get(HISTORY, TABLE, key="k")["changes"][1]
    assert "the callers of logged updates cannot be read" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault", [StoreUnavailableError("Query: no answer"), StoreRefusedError("secret"), KeyError("v")]
)
def test_a_failing_store_is_told_to_the_log_alone(
    stores: Stores, fault: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    stores.fault = fault
    status, document = stores.api.refused(HISTORY, TABLE, key="k")
    assert (status, document["error"]) == (500, "DatabaseError")
    assert document["message"] == "The request could not be answered"
    failed, answered = map(json.loads, capsys.readouterr().out.splitlines())
    assert failed["requestId"] == answered["requestId"] == REQUEST_ID
    assert (failed["level"], answered["status"], answered["apiRequestId"]) == ("ERROR", 500, "gateway-1")
    assert failed["why"].startswith(type(fault).__name__ if isinstance(fault, KeyError) else str(fault))


@pytest.mark.parametrize(
    "event", [{}, {"key": "k"}, [], None, {"requestContext": {}}, {"requestContext": {}, "routeKey": 7}]
)
def test_what_is_no_request_of_a_route_is_refused(stores: Stores, event: Any) -> None:
    found = stores.api.answer(event)
    document = found if "error" in found else json.loads(found["body"])
    assert document["error"] == "RecordNotFoundError"


def forged(route: str, place: list[str], **query: str) -> str:
    """Return a cursor of this place, which anybody can make: it is not signed."""
    lists = {name: [value] for name, value in query.items()}
    return paging.cursor(queries.asked(f"GET {route}", TABLE, lists, "read_trail"), place)


T1, T2, ZEROS = "2024-01-01T00:00:00.000Z", "2024-01-02T00:00:00.000Z", "0" * 40
IN_JANUARY = {"since": "2024-01-01", "until": "2024-01-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("route", "query", "place"),
    [
        # A hundred and twenty thousand months, sixteen queries each.
        (CHANGES, {}, ["9999-12-31T00:00:00.000Z", f"0001-01-01T00:00:00.000Z#{ZEROS}", "x"]),
        (CHANGES, {"since": "2024-01-01"}, ["9999-12-31T00:00:00.000Z", f"{T1}#{ZEROS}", "x"]),
        # Beyond the range that the query says, at either end.
        (CHANGES, IN_JANUARY, ["2024-01-03T00:00:00.000Z", f"{T1}#{ZEROS}", "x"]),
        (CHANGES, IN_JANUARY, [T2, f"2023-12-31T23:59:59.999Z#{ZEROS}", "x"]),
        (CHANGES, IN_JANUARY, [T2, f"2024-01-02T00:00:00.001Z#{ZEROS}", "x"]),
        (CHANGES, {}, [T2, "2023-12-25T23:59:59.999Z", "x"]),
        # No times, or not as records spell them; no sequence number.
        (CHANGES, {}, ["zzzz", "aaaa", "x"]),
        (CHANGES, {}, [T2, "2024-01-01", "x"]),
        (CHANGES, {}, ["2024-01-02T01:00:00.000+01:00", f"{T1}#{ZEROS}", "x"]),
        (CHANGES, {}, [T2, f"{T1}#", "x"]),
        (CHANGES, {}, [T2, f"{T1}#{ZEROS}1", "x"]),
        (CHANGES, {}, [T2, f"{T1}#{'x' * 40}", "x"]),
        (CHANGES, {}, [T2, f"{T1}#{ZEROS}"]),
        # Backwards as forwards.
        (CHANGES, {"order": "desc"}, ["9999-12-31T00:00:00.000Z", f"0001-01-01T00:00:00.000Z#{ZEROS}", "x"]),
        (CHANGES, {"order": "desc"}, [T2, f"2024-01-02T00:00:00.001Z#{ZEROS}", "x"]),
        (CHANGES, {"order": "desc"}, [T2, f"2023-12-25T23:59:59.999Z#{ZEROS}", "x"]),
        (CHANGES, {"order": "desc", **IN_JANUARY}, [T2, f"2023-12-31T23:59:59.999Z#{ZEROS}", "x"]),
        (CHANGES, {}, [T2, "", "x"]),
        (HISTORY, {"key": "k"}, [""]),
        # An index has no such key, and DynamoDB refuses to be asked for one.
        (HISTORY, {"key": "k"}, ["x" * 1025]),
        (HISTORY, {"key": "k"}, ["\ud800"]),
        (HISTORY, {"key": "k"}, [f"2024#{ZEROS}", "more"]),
    ],
)
def test_a_forged_cursor_is_refused_before_anything_is_read(
    stores: Stores, route: str, query: dict[str, str], place: list[str]
) -> None:
    stores.write(*counting("k", 3))
    status, document = stores.api.refused(route, TABLE, **query, cursor=forged(route, place, **query))
    assert (status, document["error"]) == (400, "InvalidInputError")
    assert stores.asked == []


@pytest.mark.parametrize("sequence", ["x" * 2000 + "#1", "\ud800#1", f"{'x' * 984}#1"])
def test_a_stream_that_no_index_can_name_is_refused(stores: Stores, sequence: str) -> None:
    event = first(f"GET {ITEM}", TABLE, key="k", sequence=sequence)
    answer = stores.api.answer(event)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["details"] == {"parameter": "sequence"}
    assert stores.asked == []


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("stated", ["2024-01-01T00:00:00.000Z", "2024-01-01T00:00:04.000Z", "zzzz"])
def test_the_time_that_a_forged_record_states_moves_no_page(stores: Stores, order: str, stated: str) -> None:
    """Pages follow the index, in which it lies between others: they skip no change, and repeat none."""
    [*rest, last] = stores.write(*counting("k", 5))
    place = {"S": "2024-01-01T00:00:02.500Z#" + ZEROS}
    forged = {**last, "id": {"S": "by-hand"}, "modificationTime": {"S": stated}, "changesOrder": place}
    stores.client.put_item(TableName="Audit", Item=unwire(forged))
    found = itertools.chain(*pages(stores.api, CHANGES, limit="1", order=order))
    ids = sorted(part["recordId"] for one in found for part in one["attributes"])
    assert ids == sorted([*(record["id"]["S"] for record in [*rest, last]), "by-hand"])


def test_a_record_that_someone_wrote_by_hand_ends_no_page_early(stores: Stores) -> None:
    [*rest, last] = stores.write(*counting("k", 5))
    # In the index between others; what the record itself says of its time and its number is another thing.
    texts = {"modificationTime": "zzzz", "sequenceNumber": "9" * 50, "changeOrder": "y", "id": "by-hand"}
    order = {"changesOrder": {"S": "2024-01-01T00:00:01.500Z#" + ZEROS}}
    hand_made = {**last, **{name: {"S": text} for name, text in texts.items()}, **order}
    stores.client.put_item(TableName="Audit", Item=unwire(hand_made))
    for limit, way in itertools.product(("1", "2", "4"), ("asc", "desc")):
        found = list(itertools.chain(*pages(stores.api, CHANGES, limit=limit, order=way)))
        ids = sorted(part["recordId"] for one in found for part in one["attributes"])
        assert ids == sorted([*(record["id"]["S"] for record in [*rest, last]), "by-hand"])
    found = list(itertools.chain(*pages(stores.api, HISTORY, key="k", limit="1")))
    assert len(found) == 6


@pytest.mark.parametrize(
    ("route", "path", "query", "parameter"),
    [
        (HISTORY, TABLE, {"key": "k", "order": "up"}, "order"),
        (HISTORY, TABLE, {"key": "k", "since": "2024-02-01", "until": "2024-01-01"}, "since"),
        (HISTORY, {"table": "no table"}, {"key": "k"}, "table"),
        (ITEM, TABLE, {"key": "k", "at": "then"}, "at"),
        (DIFF, TABLE, {"key": "k", "from": "2024-01-02", "to": "2024-01-01"}, "from"),
        (CHANGES, TABLE, {"order": "newest"}, "order"),
        (CHANGES, TABLE, {"without": ""}, "without"),
        (CHANGES, TABLE, {"cursor": "x"}, "cursor"),
        (CHANGES, TABLE, {"key": "k"}, "key"),
    ],
)
def test_a_bad_parameter_is_named(stores: Stores, route: str, path: Any, query: Any, parameter: str) -> None:
    status, document = stores.api.refused(route, path, **query)
    assert (status, document["error"]) == (400, "InvalidInputError")
    assert document["details"]["parameter"] == parameter
