"""What `weaudit verify` makes of items that are written while it looks, and of a range of their changes."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest

from tests.aws.moto_relay import moto_environment
from tests.fakes import SECRETS
from tests.strategies import change
from tests.trail.test_erased import erased
from tests.trails import changed, decide, make_audit_table, unwire, write
from weaudit.capture.changes import Change
from weaudit.installation import clients
from weaudit.installation.audited_tables import AuditedTable
from weaudit.installation.checking import Checker
from weaudit.installation.readers import open_trail
from weaudit.installation.targets import Target
from weaudit.items.times import iso_time

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
