"""`weaudit rules`: what it shows, tries and refuses."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cli.test_watch import run
from tests.conftest import RunningEngine
from tests.watch.test_applying import create
from weaudit.capture.configuration import ALWAYS, watch_item, watch_key
from weaudit.capture.rules import Rules, place_of, with_places
from weaudit.cli.printing import output

pytestmark = pytest.mark.engine
TABLE = "cli_rules"
PAST, FUTURE = "2025-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z"


@pytest.fixture(scope="module")
def table(engine: RunningEngine) -> Iterator[str]:
    """A watched table with three changes in its trail."""
    client = engine.client("dynamodb")
    create(client, TABLE)
    assert run(engine, "watch", TABLE, "--actor", "by", "--yes").exit_code == 0
    for number in range(3):
        item = {
            "pk": {"S": "é"},
            "by": {"S": "ann"},
            "at": {"N": str(number)},
            "card": {"M": {"number": {"S": "4111"}}},
        }
        client.put_item(TableName=TABLE, Item=item)
    yield TABLE
    run(engine, "unwatch", TABLE, "--yes", "--force")
    client.delete_item(TableName="Configuration", Key=watch_key(TABLE))
    client.delete_table(TableName=TABLE)


def put(engine: RunningEngine, *versions: Rules, broken: Any = None) -> None:
    item = watch_item(TABLE, versions)
    item["versions"]["L"] += [] if broken is None else [broken]
    engine.client("dynamodb").put_item(TableName="Configuration", Item=item)


def rules(since: str, **places: list[str]) -> Rules:
    return with_places(Rules(since, "by"), **{name: list(map(place_of, texts)) for name, texts in places.items()})


def shown(engine: RunningEngine, *options: str) -> Any:
    found = run(engine, "rules", TABLE, *options, "--json")
    return json.loads(found.stdout)


@pytest.fixture
def trail(engine: RunningEngine, table: str, eventually: Callable[..., Any]) -> str:
    eventually(lambda: shown(engine, "--try")["changes"] == 3)
    return table


def test_all_versions_are_shown_with_their_state(engine: RunningEngine, table: str) -> None:
    put(engine, Rules(ALWAYS, "by"), rules(PAST, exclude=[r"a\.b", "é"], ignore=["at"]), rules(FUTURE, only=["by"]))
    document = shown(engine)
    assert [(one["from"], one["state"]) for one in document["versions"]] == [
        (ALWAYS, "past"), (PAST, "in force"), (FUTURE, "pending"),
    ]  # fmt: skip
    assert document["versions"][1] == {
        "from": PAST, "actor": "by", "fresh": "", "subject": "", "requireReason": False, "state": "in force",
        "exclude": [r"a\.b", "é"], "hash": [], "ignore": ["at"], "only": [], "redact": [],
    }  # fmt: skip
    text = run(engine, "rules", table)
    assert text.exit_code == output.EXIT_FINE
    assert rf"{PAST}  in force  by     -      -        -       exclude a\.b, é; ignore at" in text.stdout


def test_what_is_not_valid_is_said_and_is_the_exit_code(engine: RunningEngine, table: str) -> None:
    key = {"M": {"from": {"S": PAST}, "redact": {"SS": ["pk"]}}}
    put(engine, Rules(ALWAYS, "by"), broken=key)
    text = run(engine, "rules", table)
    assert (text.exit_code, "Not valid: the version from" in text.stdout) == (output.EXIT_FAILED, True)
    assert '"pk" cannot be under redact' in text.stdout
    assert f"`weaudit watch {TABLE}`" in text.stderr
    assert [one["state"] for one in shown(engine)["versions"]] == ["in force"]
    put(engine, broken={"S": "?"})
    assert "has no valid rules, and so its changes wait" in run(engine, "rules", table).stdout
    assert shown(engine)["versions"] == []


def test_what_is_older_than_a_rule_is_shown_with_where_it_is(engine: RunningEngine, trail: str) -> None:
    put(engine, Rules(ALWAYS, "by"), rules(FUTURE, redact=["card.number"], exclude=["absent"]))
    absent, number = shown(engine)["older"]
    latest = number.pop("latest")
    assert number == {"place": "card.number", "rule": "redact", "since": FUTURE, "lookedAt": 3, "inTheClear": 1}
    assert absent == {"place": "absent", "rule": "exclude", "since": FUTURE, "lookedAt": 3, "inTheClear": 0}
    text = run(engine, "rules", trail).stdout
    assert f"absent (exclude): of the last 3 changes before {FUTURE}, none holds it in the clear." in text
    assert f"1 holds it in the clear, the latest at {latest}. `weaudit changes --table {TABLE} --until" in text


def test_rules_are_tried_and_nothing_is_written(engine: RunningEngine, trail: str) -> None:
    put(engine, Rules(ALWAYS, "by"))
    before = engine.client("dynamodb").get_item(TableName="Configuration", Key=watch_key(trail))["Item"]
    document = shown(engine, "--try", "--ignore", "at", "--redact", "card.number")
    counts = {name: document[name] for name in ("changes", "silent", "records", "recordsThen", "incomplete")}
    assert counts == {"changes": 3, "silent": 2, "records": 3, "recordsThen": 1, "incomplete": 0}
    assert document["places"] == [
        {"place": "at", "rule": "ignore", "changes": 3}, {"place": "card.number", "rule": "redact", "changes": 1},
    ]  # fmt: skip
    assert (document["rules"]["ignore"], document["rules"]["actor"]) == (["at"], "by")
    text = run(engine, "rules", trail, "--try", "--exclude", "card", "--last", "2")
    assert "The last 2 changes of cli_rules in the trail" in text.stdout
    assert "0 would make no record at all" in text.stdout
    ignored = run(engine, "rules", trail, "--try", "--ignore", "at").stdout
    assert "2 would make no record at all" in ignored
    assert "would make 1 record(s); they made 3, which is 2 more" in ignored
    # The latest version, though it is not in force yet.
    put(engine, Rules(ALWAYS, "by"), rules(FUTURE, only=["by"]))
    assert {one["rule"] for one in shown(engine, "--try")["places"]} == {"only"}
    put(engine, Rules(ALWAYS, "by"))
    assert engine.client("dynamodb").get_item(TableName="Configuration", Key=watch_key(trail))["Item"] == before


def test_a_table_without_rules_is_recorded_by_the_stacks(engine: RunningEngine) -> None:
    found = run(engine, "rules", "Images")
    assert (found.exit_code, "has no rules of its own" in found.stdout) == (output.EXIT_FINE, True)
    assert "'updatedBy'" in found.stdout
    assert json.loads(run(engine, "rules", "Images", "--json").stdout) == {
        "table": "Images", "versions": [], "faults": [], "older": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere",), "there is no table 'nowhere'"),
        (("nowhere", "--ignore", "at"), "Add --try to see"),
        (("Configuration", "--try", "--exclude", "key"), "part of the key"),
        (("Configuration", "--try", "--redact", "a[0]"), "leads into a list"),
        (("Configuration", "--last", "0"), "--last"),
    ],
)
def test_refusals_say_why(engine: RunningEngine, arguments: tuple[str, ...], reason: str) -> None:
    found = run(engine, "rules", *arguments)
    assert found.exit_code == output.EXIT_USAGE
    assert reason in found.stderr
    assert "Traceback" not in found.stderr
