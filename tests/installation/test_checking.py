"""What `weaudit verify` reads, and makes of items that are written while it looks, or of a range of their changes."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from typing import Any, cast

import boto3
import pytest

from tests.aws.moto_relay import moto_environment
from tests.fakes import SECRETS, Asked
from tests.strategies import change
from tests.trail.test_erased import erased
from tests.trails import EVIDENCE, changed, decide, make_audit_table, unwire, write
from weaudit.aws.client import DynamoDB, Pending
from weaudit.capture.changes import Change
from weaudit.installation import clients, first_looks
from weaudit.installation.audited_tables import AuditedTable, ErasedItem
from weaudit.installation.checking import Checker
from weaudit.installation.readers import open_trail
from weaudit.installation.targets import Target
from weaudit.items.keys import history_key
from weaudit.items.times import iso_time
from weaudit.trail.store_partitions import Partitions

START_MS = 1_711_922_395_000
ARN = "arn:aws:dynamodb:eu-west-1:111122223333:table/Configuration"


@pytest.fixture
def client() -> Iterator[Any]:
    with moto_environment() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        found = boto3.client("dynamodb", environment["AWS_REGION"])
        make_audit_table(found)
        found.create_table(
            TableName="Configuration",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        )
        yield found


class Spying(DynamoDB):
    """Counts the operations; ``unprocessed`` of the next BatchGetItem calls leave out all keys but one."""

    def __init__(self, dynamodb: DynamoDB) -> None:
        super().__init__(dynamodb._connection)
        self.seen = Counter[str]()
        self.unprocessed = 0

    def begin(self, operation: str, body: dict[str, Any]) -> Pending:
        self.seen[operation] += 1
        if operation != "BatchGetItem" or not self.unprocessed:
            return super().begin(operation, body)
        self.unprocessed -= 1
        ((table, asked),) = body["RequestItems"].items()
        pending = super().begin(operation, {"RequestItems": {table: {**asked, "Keys": asked["Keys"][:1]}}})
        left = {table: {**asked, "Keys": asked["Keys"][1:]}} if asked["Keys"][1:] else {}
        return cast("Pending", Asked(lambda: {**pending.result(), "UnprocessedKeys": left}, []))


def in_one_pass(*tables: str, **of_checker: Any) -> list[Checker]:
    """Return checkers as `weaudit verify` makes them, which share one pass over the trail."""
    target = Target.resolve()
    dynamodb = Spying(clients.dynamodb(target))
    trail, partitions = open_trail(target, "Audit", dynamodb), Partitions(dynamodb, "Audit")
    given = {"secrets": SECRETS, "sleep": lambda _: None, **of_checker}
    return [
        Checker(
            dynamodb,
            trail,
            AuditedTable(name, f"{ARN.rpartition('/')[0]}/{name}", {"key": "S"}, audited_from_birth=True),
            partitions=partitions,
            **given,
        )
        for name in tables or ("Configuration",)
    ]


def checked(checks: Checker) -> dict[str, tuple[int, list[str]]]:
    """Return the number of changes of each item, in the order of verdicts, and what is wrong with it."""
    keys = checks.item_keys(lambda _count: None)
    verdicts = list(checks.verdicts(keys))
    assert [key for key, _ in verdicts] == keys
    return {key: (verdict.changes, [kind for kind, _ in found(verdict)]) for key, verdict in verdicts}


def asked(checks: Checker) -> Counter[str]:
    return cast("Spying", checks.dynamodb).seen


def life(key: str, steps: int, *, gone: bool = False, first: int = 1, **fields: Any) -> list[Change]:
    """Return the changes of an item that counts to ``steps``, and is then there or gone."""
    images = [None, *({"v": {"N": str(number)}} for number in range(steps)), *([None] if gone else [])]
    return list(changed(key, images, at_ms=START_MS, first=first, **fields))


def checker(sleep: Callable[[float], None] = lambda _: None, since: str | None = None) -> Checker:
    target = Target.resolve()
    table = AuditedTable("Configuration", ARN, {"key": "S"}, audited_from_birth=True)
    dynamodb = clients.dynamodb(target)
    return Checker(dynamodb, open_trail(target, "Audit", dynamodb), table, since, SECRETS, sleep)


def counted(count: int) -> list[Change]:
    return list(changed("k", [None, *({"v": {"N": str(number)}} for number in range(count))], at_ms=START_MS))


def put(client: Any, made: Change) -> None:
    client.put_item(TableName="Configuration", Item=made.new_image)


def found(verdict: Any) -> list[tuple[str, str]]:
    return [(finding.kind, finding.sequence) for finding in verdict.findings]


class Busy:
    """An item that is written whenever the check waits, and whose trail is two changes behind."""

    def __init__(self, client: Any, changes: list[Change], unaudited: int | None = None) -> None:
        self.client, self.changes, self.unaudited = client, changes, unaudited
        self.place = 2
        write(client, changes[:1])
        put(client, changes[2])

    def __call__(self, _seconds: float) -> None:
        self.place += 1
        put(self.client, self.changes[self.place])
        if self.place - 2 != self.unaudited:
            write(self.client, self.changes[self.place - 2 : self.place - 1])


def test_an_item_that_is_written_all_the_time_is_whole_once_its_trail_gets_to_what_it_was(client: Any) -> None:
    assert found(checker(Busy(client, counted(9))).verdict("k")) == []


def test_a_write_that_nobody_audited_is_found_in_an_item_that_is_written_all_the_time(client: Any) -> None:
    changes = counted(9)
    assert ("gap", changes[3].sequence) in found(checker(Busy(client, changes, unaudited=2)).verdict("k"))


def test_an_item_that_its_trail_never_gets_to_is_found(client: Any) -> None:
    changes = counted(3)
    write(client, changes[:2])
    put(client, changes[2])
    assert found(checker().verdict("k")) == [("unaudited", "")]


def test_times_out_of_order_at_the_beginning_of_a_range_are_no_gap(client: Any) -> None:
    changes = counted(4)
    late = changes[2]
    changes[2] = change(
        late.old_image, late.new_image, sequence=late.sequence, keys=late.keys, created_at_ms=START_MS - 3000
    )
    write(client, changes)
    put(client, changes[-1])
    assert found(checker(since=iso_time(START_MS + 1000)).verdict("k")) == []
    assert checker(since=iso_time(START_MS + 1000)).verdict("k").changes == 3
    assert checker(since=iso_time(START_MS + 60_000)).verdict("k").changes == 0


def test_erased_items_are_checked_by_the_partition_of_their_records(client: Any) -> None:
    for key, first in (("k", 1), ("l", 50), ("m", 90)):
        life = changed(key, [None, {"v": {"N": "1"}}, {"v": {"N": "2"}}, None], at_ms=START_MS, first=first)
        for record in (record for made in life for record in decide(made)):
            kept = record if key == "m" else erased(record)
            client.put_item(TableName="Audit", Item=unwire(kept))
    checks = checker(since=iso_time(START_MS))
    keys = checks.item_keys(lambda _count: None)
    assert (len(keys), keys[0]) == (3, "m")
    assert [verdict.changes for _, verdict in checks.verdicts(keys)] == [3, 3, 3]
    assert [found(verdict) for _, verdict in checks.verdicts(keys)] == [[], [], []]
    # One record of an erased item is taken away.
    records = client.scan(TableName="Audit")["Items"]
    victim = next(one for one in records if "erased" in one and one["eventName"]["S"] == "MODIFY")
    client.delete_item(TableName="Audit", Key={"id": victim["id"]})
    (faults,) = (faults for _, verdict in checks.verdicts(keys) if (faults := found(verdict)))
    assert [kind for kind, _ in faults] == ["gap"]


def test_an_item_whose_key_is_the_partition_of_an_erased_one_is_another_item(client: Any) -> None:
    life = changed("k", [None, {"v": {"N": "1"}}, None], at_ms=START_MS)
    records = [erased(record) for made in life for record in decide(made)]
    write(client, changed(records[0]["historyKey"]["S"], [None, {}, None], at_ms=START_MS, first=50))
    for record in records:
        client.put_item(TableName="Audit", Item=unwire(record))
    checks = checker(since=iso_time(START_MS))
    keys = checks.item_keys(lambda _count: None)
    assert len(keys) == 2
    assert [found(verdict) for _, verdict in checks.verdicts(keys)] == [[], []]


def test_a_whole_trail_is_read_once_without_a_query(client: Any) -> None:
    for number in range(30):
        steps = life(f"k{number}", 4, gone=number % 3 == 0, first=100 * number)
        write(client, steps)
        if number % 3:
            put(client, steps[-1])
    (checks,) = in_one_pass()
    assert checked(checks) == {
        key: (4 + (number % 3 == 0), []) for key, number in sorted((f"k{number}", number) for number in range(30))
    }
    # A key of each of the ten deleted items, the 130 records, and the 20 live items.
    assert asked(checks) == {"Scan": 2, "BatchGetItem": 1 + 2 + 1}


def test_what_the_one_pass_finds_wrong_is_named_as_ever(client: Any) -> None:
    whole, gapped, deleted, unaudited = (life(key, 4, first=100 * at) for at, key in enumerate("wgdu", 1))
    deleted = life("d", 4, gone=True, first=300)
    for steps in (whole, gapped, deleted):
        write(client, steps)
    for steps in (whole, gapped, unaudited):
        put(client, steps[-1])
    for steps in (gapped, deleted):
        client.delete_item(TableName="Audit", Key={"id": {"S": decide(steps[2])[0]["id"]["S"]}})
    (checks,) = in_one_pass()
    assert checked(checks) == {"d": (4, ["gap"]), "g": (3, ["gap"]), "u": (0, ["unaudited"]), "w": (4, [])}


def test_each_of_two_tables_has_its_own_items_even_where_they_have_the_same_keys(client: Any) -> None:
    here = life("k", 3)
    put(client, here[-1])
    write(client, here)
    write(client, life("k", 5, gone=True, table="Other"))
    write(client, life("l", 2, gone=True, first=50, table="Other"))
    write(client, life("m", 1, gone=True, first=90))
    ours, others = in_one_pass("Configuration", "Other")
    others = dataclasses.replace(others, table=dataclasses.replace(others.table, key_types={}))  # it is gone
    assert checked(ours) == {"k": (3, []), "m": (2, [])}
    assert checked(others) == {"k": (6, []), "l": (3, [])}
    assert asked(ours)["Query"] == 0


def test_an_erased_item_is_found_by_the_one_pass_and_checked_by_it(client: Any) -> None:
    for key, first in (("k", 1), ("l", 50)):
        for record in (record for made in life(key, 3, gone=True, first=first) for record in decide(made)):
            client.put_item(TableName="Audit", Item=unwire(erased(record)))
    partition = erased(decide(life("k", 1)[0])[0])["historyKey"]["S"]
    # Another item has this text as its key.
    steps = life(partition, 2, first=90)
    write(client, steps)
    put(client, steps[-1])
    (checks,) = in_one_pass()
    keys = checks.item_keys(lambda _count: None)
    assert [isinstance(key, ErasedItem) for key in keys] == [False, True, True]
    assert [verdict.changes for _, verdict in checks.verdicts(keys)] == [2, 4, 4]
    assert asked(checks)["Query"] == 0
    # One record of an erased item is taken away.
    client.delete_item(TableName="Audit", Key={"id": {"S": decide(life("l", 3, first=50)[1])[0]["id"]["S"]}})
    (checks,) = in_one_pass()
    verdicts = [verdict for _, verdict in checks.verdicts(checks.item_keys(lambda _count: None))]
    assert sorted((verdict.changes, found(verdict) != []) for verdict in verdicts) == [
        (2, False),
        (3, True),
        (4, False),
    ]


@pytest.mark.parametrize("name", ["0", "forged by hand", "AAAAAAAA-0000-4000-8000-000000000000", "ünïcode"])
def test_a_forged_record_is_found_whatever_its_id(client: Any, name: str) -> None:
    steps = life("k", 4, gone=True)
    write(client, steps)
    client.put_item(TableName="Audit", Item=unwire({**decide(steps[2])[0], "id": {"S": name}}))
    (checks,) = in_one_pass()
    assert ("leftover", steps[2].sequence) in found(dict(checks.verdicts(checks.item_keys(lambda _: None)))["k"])


@pytest.mark.parametrize("other", [{"tableName": {"S": "Other"}}, {"tableName": {"S": "Other"}, "itemKey": {"S": "x"}}])
def test_a_forged_record_of_another_table_does_not_hide_those_of_a_deleted_item(
    client: Any, other: dict[str, Any]
) -> None:
    steps = life("k", 4, gone=True)
    write(client, steps)
    forged = {**decide(steps[0])[0], **other, "changesKey": {"S": "Other#2024-03#0"}, "changeOrder": {"S": "0#0"}}
    client.put_item(TableName="Audit", Item=unwire({**forged, "id": {"S": "00000000-0000-4000-8000-000000000000"}}))
    (checks,) = in_one_pass()
    changes, kinds = checked(checks)["k"]
    assert changes == 6
    assert {"leftover", "edited"} <= set(kinds)


def test_a_deleted_item_is_found_although_its_records_say_that_it_is_of_another_table(client: Any) -> None:
    for made in life("k", 2, gone=True):
        for record in decide(made):
            client.put_item(TableName="Audit", Item=unwire({**record, "tableName": {"S": "Other"}}))
    (checks,) = in_one_pass()
    assert set(checked(checks)["k"][1]) == {"edited"}


def test_an_item_that_changes_after_the_one_pass_is_read_again_with_its_new_records(client: Any) -> None:
    steps, deleted = life("k", 9), life("l", 3, gone=True, first=100)
    write(client, steps[:4])
    put(client, steps[3])
    write(client, deleted[:2])
    put(client, deleted[1])
    (checks,) = in_one_pass()
    keys = checks.item_keys(lambda _count: None)
    write(client, [*steps[4:], *deleted[2:]])
    put(client, steps[-1])
    client.delete_item(TableName="Configuration", Key={"key": {"S": "l"}})
    assert {key: (verdict.changes, verdict.findings) for key, verdict in checks.verdicts(keys)} == {
        "k": (9, ()),
        "l": (4, ()),
    }


def test_an_item_may_have_more_records_than_a_call_or_a_group_takes(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_looks, "_RECORDS", 110)
    many, more, few = life("a", 105), life("b", 115, first=1000), life("c", 5, first=2000)
    for steps in (many, more, few):
        write(client, steps)
        put(client, steps[-1])
    (checks,) = in_one_pass()
    assert checked(checks) == {"a": (105, []), "b": (115, []), "c": (5, [])}
    assert asked(checks)["Query"] == 2  # both for the one that has more records than a group
    # The last record of each, which the next one does not follow, is taken away.
    for steps in (many, more):
        client.delete_item(TableName="Audit", Key={"id": {"S": decide(steps[-1])[0]["id"]["S"]}})
    assert [kinds for _, kinds in checked(in_one_pass()[0]).values()] == [["unaudited"], ["unaudited"], []]


def test_more_items_than_a_call_takes_are_all_compared_with_their_trails(client: Any) -> None:
    steps = [life(f"{number:03}", 1, first=10 * number)[0] for number in range(110)]
    for start in range(0, len(steps), 25):
        puts = [{"PutRequest": {"Item": made.new_image}} for made in steps[start : start + 25]]
        client.batch_write_item(RequestItems={"Configuration": puts})
    write(client, [made for number, made in enumerate(steps) if number not in (50, 105)])
    verdicts = checked(in_one_pass()[0])
    assert len(verdicts) == 110
    assert [key for key, (_, kinds) in verdicts.items() if kinds] == ["050", "105"]


def test_what_a_throttled_table_leaves_unprocessed_is_asked_for_again(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weaudit.aws.unprocessed.time.sleep", lambda _seconds: None)
    for at, key in enumerate("abc", 1):
        steps = life(key, 6, first=100 * at)
        write(client, steps)
        put(client, steps[-1])
    (checks,) = in_one_pass()
    cast("Spying", checks.dynamodb).unprocessed = 4
    assert checked(checks) == dict.fromkeys("abc", (6, []))
    assert asked(checks)["Query"] == 0
    assert asked(checks)["BatchGetItem"] > 4


def test_an_item_with_a_large_value_is_read_by_itself_with_the_value(client: Any) -> None:
    store = boto3.client("s3")
    store.create_bucket(Bucket=EVIDENCE)
    objects: dict[str, bytes] = {}
    steps = list(changed("k", [None, {"v": {"S": "x" * 9000}}, {"v": {"S": "y"}}], at_ms=START_MS))
    write(client, steps, objects=objects)
    put(client, steps[-1])
    for name, body in objects.items():
        store.put_object(Bucket=EVIDENCE, Key=name, Body=body)
    assert checked(in_one_pass()[0]) == {"k": (2, [])}
    store.delete_object(Bucket=EVIDENCE, Key=next(iter(objects)))
    assert set(checked(in_one_pass()[0])["k"][1]) == {"lost"}


def test_a_range_is_read_item_by_item(client: Any) -> None:
    steps = life("k", 4)
    write(client, steps)
    put(client, steps[-1])
    (checks,) = in_one_pass(since=iso_time(START_MS + 2000))
    assert checked(checks) == {"k": (2, [])}


def test_the_ids_of_a_partition_are_kept_as_they_are_and_each_once(client: Any) -> None:
    steps = life("k", 3)
    ids = [record["id"]["S"] for record in write(client, steps)]
    odd = ["x", ids[0].upper(), ids[0].replace("-", ""), f"{ids[0]}\n", f"{{{ids[1]}}}"]
    for name in odd:
        client.put_item(TableName="Audit", Item=unwire({**decide(steps[0])[0], "id": {"S": name}}))
    partitions = Partitions(clients.dynamodb(Target.resolve()), "Audit")
    assert list(partitions.read()) == [1]
    assert sorted(partitions.ids(history_key("Configuration", "k"))) == sorted({*ids, *odd})


def test_who_wants_no_more_verdicts_leaves_nothing_on_its_way(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_looks, "_RECORDS", 4)
    for at, key in enumerate("abc", 1):
        write(client, life(key, 3, gone=True, first=100 * at))
    under_way: list[Asked] = []

    class Slow(Spying):
        def begin(self, operation: str, body: dict[str, Any]) -> Pending:
            pending = super().begin(operation, body)
            return cast("Pending", Asked(pending.result, under_way)) if operation == "BatchGetItem" else pending

    (checks,) = in_one_pass()
    slow = Slow(checks.dynamodb)
    checks = dataclasses.replace(checks, dynamodb=slow, partitions=Partitions(slow, "Audit"))
    verdicts = checks.verdicts(checks.item_keys(lambda _count: None))
    assert next(iter(verdicts))[0] == "a"
    assert under_way
    cast("Generator[Any, None, None]", verdicts).close()
    assert under_way == []
