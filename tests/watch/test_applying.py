"""Watching any table, on the real engine: records whole, tables apart, nothing left behind, nothing lost."""

import dataclasses
import functools
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests.conftest import RunningEngine
from weaudit.capture.configuration import ALWAYS, in_force, versions_of, watch_item, watch_key
from weaudit.capture.rules import Rules
from weaudit.deploy import change_sets, templates
from weaudit.errors import DeployError, InvalidInputError
from weaudit.installation import stacks
from weaudit.installation.outputs import Installation
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.items.times import iso_time
from weaudit.local import engine as engines
from weaudit.local import process, restarting
from weaudit.values import replaced
from weaudit.watch import applying as watching
from weaudit.watch import plan as watch_plans
from weaudit.watch import watched
from weaudit.watch.applying import Watching
from weaudit.watch.plan import Plan
from weaudit.watch.wishes import Wish

PK: tuple[tuple[str, str], ...] = (("pk", "S"),)
PK_SK: tuple[tuple[str, str], ...] = (("pk", "S"), ("sk", "N"))
names = st.text("ab-_.0f", min_size=3, max_size=20) | st.text("ab-_.0f", min_size=200, max_size=255)


@given(st.lists(names, min_size=2, max_size=8, unique=True), st.sampled_from(["", "blue-", "a" * 15 + "-"]))
def test_stacks_of_two_tables_never_have_one_name(tables: list[str], prefix: str) -> None:
    stacks = [watching.stack_name(table, prefix) for table in tables]
    assert len(set(stacks)) == len(tables)
    for name in stacks:
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,127}", name)


def test_a_hash_in_a_name_is_hashed_again() -> None:
    assert watching.stack_name("orders") == "weaudit-watch-orders"
    dotted = watching.stack_name("a.b")
    assert dotted != watching.stack_name(dotted.removeprefix("weaudit-watch-"))


def test_the_template_is_clean() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(templates.path("watch.yaml"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_mappings_have_the_options_of_the_main_templates() -> None:
    class Session:
        region_name = "us-east-1"

    text = re.sub(r"CodeUri: \S+", "CodeUri: s3://bucket/key", templates.path("template.yaml").read_text())
    main = Translator({}, Parser(), boto_session=Session()).translate(yaml_parse(text), {})["Resources"]
    mappings = [r["Properties"] for r in main.values() if r["Type"] == "AWS::Lambda::EventSourceMapping"]
    streams = [mapping for mapping in mappings if "StartingPosition" in mapping]
    assert len(streams) == 2
    ours = yaml_parse(templates.path("watch.yaml").read_text())["Resources"]["Mapping"]["Properties"]
    apart = {"EventSourceArn", "FunctionName", "DestinationConfig", "Enabled"}
    for theirs in streams:
        assert {k: v for k, v in ours.items() if k not in apart} == {k: v for k, v in theirs.items() if k not in apart}
        assert theirs.keys() | {"Enabled"} == ours.keys()


def test_the_permission_is_for_one_stream_alone() -> None:
    class Loader(yaml.SafeLoader):  # type: ignore[misc]  # untyped library
        """Reads CloudFormation's short forms as their bare value."""

    Loader.add_multi_constructor(
        "!", lambda loader, _, node: loader.construct_object(type(node)("", node.value)) if node.value == "" else node
    )
    policy = yaml.load(templates.path("watch.yaml").read_text(), Loader)["Resources"]["ReadTheStream"]  # noqa: S506 a SafeLoader
    statement = policy["Properties"]["PolicyDocument"]["Statement"][0]
    assert statement["Resource"].value == "StreamArn"
    assert not [action for action in statement["Action"] if "*" in action]


def create(client: Any, table: str, keys: tuple[tuple[str, str], ...] = PK, **options: Any) -> None:
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in keys],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(keys, ("HASH", "RANGE"), strict=False)
        ],
        **options,
    )


def records(client: Any, table: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("scan").paginate(TableName="Audit")
    found = [item for page in pages for item in page["Items"] if item["tableName"]["S"] == table]
    return sorted(found, key=lambda item: (item["changeOrder"]["S"], item.get("updatedAttribute", {"S": ""})["S"]))


@dataclasses.dataclass
class Place:
    """The engine, and tables that go away after the test with their watches."""

    target: Target
    watching: Watching
    tables: list[str]

    @functools.cached_property
    def dynamodb(self) -> Any:
        return self.target.client("dynamodb")

    def table(self, name: str, keys: tuple[tuple[str, str], ...] = PK, **options: Any) -> str:
        create(self.dynamodb, name, keys, **options)
        self.tables.append(name)
        return name

    def plan(self, table: str, actor: str | None = None, fresh: str | None = None, **options: Any) -> Plan:
        return self.watching.plan(table, Wish.of(actor, fresh, **options))

    def watch(self, table: str, actor: str | None = None, fresh: str | None = None, **options: Any) -> watched.Watch:
        self.watching.apply(self.plan(table, actor, fresh, **options), lambda _line: None)
        return self.watching.watch_of(table)

    def rules(self, table: str) -> tuple[Rules, ...]:
        """Return what Configuration holds of the table's rules."""
        found = self.dynamodb.get_item(TableName="Configuration", Key=watch_key(table), ConsistentRead=True)
        return versions_of(found.get("Item"))

    def put(self, table: str, **item: Any) -> None:
        self.dynamodb.put_item(TableName=table, Item=item)


def mapping_ids(target: Target) -> set[str]:
    return {m["UUID"] for m in target.client("lambda").list_event_source_mappings()["EventSourceMappings"]}


@pytest.fixture
def place(engine: RunningEngine) -> Iterator[Place]:
    found = stacks.describe(engine.target, Stage().stack)
    assert found is not None
    before = mapping_ids(engine.target)
    made = Place(engine.target, Watching(Installation(engine.target, found.outputs)), [])
    yield made
    for watch in watched.watches(made.watching.installation):
        if watch.table in made.tables:
            made.watching.remove(watch, lambda _line: None, force=True)
    for table in made.tables:
        made.dynamodb.delete_item(TableName="Configuration", Key=watch_key(table))
        if watched.describe_table(engine.target, table) is not None:
            made.dynamodb.delete_table(TableName=table)
    assert mapping_ids(engine.target) == before


@pytest.mark.engine
def test_a_table_with_items_and_a_composite_key_is_audited_from_now_on(
    place: Place, eventually: Callable[..., Any]
) -> None:
    table = place.table("watch_orders.v2", PK_SK)
    place.put(table, pk={"S": "é"}, sk={"N": "7"}, v={"N": "1"})
    plan = place.plan(table, "by")
    assert len(plan.steps) == 3
    assert any("already" in note for note in plan.notes)
    assert not records(place.dynamodb, table)
    watch = place.watch(table, "by")
    assert (watch.state, watch.actor, watch.turned_stream_on) == ("Enabled", "by", True)
    place.put(table, pk={"S": "é"}, sk={"N": "7"}, v={"N": "2"}, by={"S": "ann"})
    place.put(table, pk={"S": "é"}, sk={"N": "8.50"}, v={"B": b"\x00\xff"})
    place.dynamodb.delete_item(TableName=table, Key={"pk": {"S": "é"}, "sk": {"N": "7"}})
    eventually(lambda: len(records(place.dynamodb, table)) == 4)
    by, value, inserted, deleted = records(place.dynamodb, table)
    key = '{"pk":{"S":"é"},"sk":{"N":"7"}}'
    assert [record["itemKey"]["S"] for record in (by, value, deleted)] == [key] * 3
    assert inserted["itemKey"]["S"] == '{"pk":{"S":"é"},"sk":{"N":"8.5"}}'
    assert (value["oldValue"], value["newValue"]) == ({"N": "1"}, {"N": "2"})
    assert value["actor"] == {"M": {"kind": {"S": "stated"}, "name": {"S": "ann"}}}
    assert "actor" not in inserted
    assert inserted["newValue"]["M"]["v"] == {"B": b"\x00\xff"}
    assert deleted["beforeHash"] == value["afterHash"]
    assert "newValue" not in deleted


@pytest.mark.engine
def test_two_tables_that_share_keys_do_not_mix(place: Place, eventually: Callable[..., Any]) -> None:
    tables = [place.table("watch-left"), place.table("watch-right")]
    for table in tables:
        place.watch(table)
    for number in range(20):
        for table in tables:
            place.put(table, pk={"S": "same"}, v={"S": f"{table} {number}"})
    for table in tables:
        eventually(lambda table=table: len(records(place.dynamodb, table)) == 20)
    left, right = (records(place.dynamodb, table) for table in tables)
    assert not {r["historyKey"]["S"] for r in left} & {r["historyKey"]["S"] for r in right}
    for table, found in zip(tables, (left, right), strict=True):
        assert [record["itemKey"] for record in found] == [{"S": "same"}] * 20
        assert [r["newValue"].get("S") for r in found[1:]] == [f"{table} {n}" for n in range(1, 20)]


@pytest.mark.engine
def test_watching_again_does_nothing_and_another_actor_is_taken(place: Place) -> None:
    table = place.table("watch_again")
    first = place.watch(table)
    assert first.actor == "updatedBy"
    assert place.plan(table).steps == ()
    before = mapping_ids(place.target)
    changed = place.plan(table, "who")
    assert len(changed.steps) == 1
    assert "Configuration" in changed.steps[0]
    began = time.time()
    assert place.watch(table, "who").actor == "who"
    assert place.plan(table, "who").steps == place.plan(table).steps == ()
    assert place.watch(table, "").actor == ""
    assert mapping_ids(place.target) == before
    # Those that were in force stay, for what was changed then: a change that is made now goes by them still.
    always, *later = place.rules(table)
    assert (always, [rules.actor for rules in later]) == (Rules(ALWAYS, "updatedBy"), ["who", ""])
    for rules in later:
        # Twice the cache's minute, and one for clocks (the service's are whole seconds).
        assert iso_time(round(1000 * (began + 179))) <= rules.since <= iso_time(round(1000 * (time.time() + 180)))
    assert in_force(place.rules(table), iso_time(round(1000 * time.time())), Rules()) == always


@pytest.mark.engine
def test_an_attribute_that_confirms_the_actor_tells_writers_who_leave_it(
    place: Place, eventually: Callable[..., Any]
) -> None:
    table = place.table("watch_fresh")
    assert any("confirm it by changing 'at'" in step for step in place.plan(table, "by", "at").steps)
    place.watch(table, "by", "at")
    assert place.rules(table) == (Rules(ALWAYS, "by", "at"),)
    assert place.plan(table, "by", "at").steps == place.plan(table, fresh="at").steps == ()
    for number, at in enumerate("112"):
        place.put(table, pk={"S": "one"}, by={"S": "ann"}, at={"N": at}, v={"N": str(number)})
    eventually(lambda: len(records(place.dynamodb, table)) == 4)
    kinds = {
        (record["sequenceNumber"]["S"], record["actor"]["M"]["kind"]["S"]) for record in records(place.dynamodb, table)
    }
    assert [kind for _, kind in sorted(kinds)] == ["stated", "carried", "stated"]


@pytest.mark.engine
def test_rules_govern_a_table_from_its_first_change_on(place: Place, eventually: Callable[..., Any]) -> None:
    table = place.table("watch_rules")
    rules: dict[str, Any] = {"exclude": ["card"], "redact": ["home.street"], "hash": ["email"], "ignore": ["at"]}
    [_, step, _] = place.plan(table, "by", "at", **rules, requires_reason=True).steps
    assert "'card' is excluded" in step
    assert "must say why" in step
    watch = place.watch(table, "by", "at", **rules, requires_reason=True)
    assert watch.rules == place.rules(table)[-1]
    assert (watch.rules.excluded, watch.rules.requires_reason, watch.faults) == ((("card",),), True, ())
    assert place.plan(table, **rules).steps == ()
    item = {"pk": {"S": "é"}, "by": {"S": "ann"}, "card": {"S": "4111"}, "email": {"S": "a@b"}}
    for number, street in enumerate(("x", "x", "y")):
        home = {"M": {"street": {"S": street}, "city": {"S": "Bern"}}}
        place.put(table, **item, home=home, at={"N": str(number)})
    place.put(table, **{**item, "card": {"S": "5500"}}, home=home, at={"N": "2"})
    eventually(lambda: len(records(place.dynamodb, table)) == 3)
    inserted, ignored, home_changed = records(place.dynamodb, table)
    assert inserted["newValue"]["M"]["home"] == {"M": {"street": {"S": "[REDACTED]"}, "city": {"S": "Bern"}}}
    assert inserted["newValue"]["M"]["email"]["S"].startswith("hmac-sha256:")
    assert inserted["newValue"]["M"].keys() == {"pk", "by", "home", "email", "at"}
    # Of the write that changed what is ignored alone, and of the one that changed what is excluded, there is none.
    assert (ignored["updatedAttribute"], ignored["newValue"]) == ({"S": "at"}, {"N": "2"})
    assert (home_changed["updatedAttribute"], home_changed["masked"]) == ({"S": "home"}, {"L": [{"S": "home.street"}]})
    # The attribute that confirms the actor is ignored, and confirms it all the same.
    assert home_changed["actor"]["M"]["kind"] == {"S": "stated"}


@pytest.mark.engine
def test_rules_that_are_not_valid_leave_everything_as_it_is(place: Place) -> None:
    table = place.table("watch_refused", PK_SK)
    refused: list[dict[str, Any]] = [
        {"exclude": ["sk"]}, {"redact": ["a[0]"]}, {"only": ["a.b"]}, {"hash": ["updatedBy"]},
    ]  # fmt: skip
    for options in refused:
        with pytest.raises(InvalidInputError):
            place.watch(table, **options)
    assert place.rules(table) == ()
    assert not watched.describe_table(place.target, table).get("StreamSpecification")
    with pytest.raises(InvalidInputError, match="is not watched"):
        place.watching.find(table)


@pytest.fixture
def own_rules(place: Place) -> Iterator[None]:
    """No rules of Configuration and Images are left behind."""
    yield
    for table in place.watching.installation.own_streams:
        place.dynamodb.delete_item(TableName="Configuration", Key=watch_key(table))


@pytest.mark.engine
@pytest.mark.usefixtures("own_rules")
@pytest.mark.parametrize("table", ["Configuration", "Images"])
def test_the_rules_of_the_stacks_own_tables_can_be_set_and_nothing_else(place: Place, table: str) -> None:
    before = mapping_ids(place.target)
    with pytest.raises(InvalidInputError, match=f"watched already(.|\n)*weaudit watch {table} --ignore"):
        place.plan(table)
    plan = place.plan(table, ignore=["seenAt"])
    assert (len(plan.steps), plan.deploy, plan.turn_on) == (1, False, False)
    assert any("recorded whole all the same" in note for note in plan.notes) == (table == "Configuration")
    watch = place.watch(table, ignore=["seenAt"])
    assert (watch.table, watch.state, watch.rules) == (table, "Enabled", Rules(ALWAYS, "updatedBy"))
    always, later = place.rules(table)
    assert (always, later.ignored) == (Rules(ALWAYS, "updatedBy"), (("seenAt",),))
    assert mapping_ids(place.target) == before
    with pytest.raises(InvalidInputError, match="part of the key"):
        place.plan(table, exclude=["key" if table == "Configuration" else "imageKey"])
    assert place.watch(table, actor="").actor == ""


@pytest.mark.engine
def test_rules_that_somebody_else_changed_meanwhile_are_not_overwritten(place: Place) -> None:
    table = place.table("watch_meanwhile")
    place.watch(table, "by")
    first, second = place.plan(table, exclude=["card"]), place.plan(table, redact=["pin"])
    place.watching.apply(first, lambda _line: None)
    known = place.rules(table)
    with pytest.raises(DeployError, match=r"changed by somebody else(.|\n)*Run it again"):
        place.watching.apply(second, lambda _line: None)
    assert place.rules(table) == known
    item = watch_item(table, known) | {"versions": {"S": "broken"}}
    place.dynamodb.put_item(TableName="Configuration", Item=item)
    broken = place.plan(table, exclude=["card"])
    place.dynamodb.put_item(TableName="Configuration", Item=watch_key(table))
    with pytest.raises(DeployError, match="changed by somebody else"):
        place.watching.apply(broken, lambda _line: None)
    place.watching.apply(place.plan(table, exclude=["card"]), lambda _line: None)
    assert [rules.excluded for rules in place.rules(table)] == [(("card",),)]


@pytest.mark.engine
def test_rules_that_were_thought_about_for_long_are_in_force_later_than_was_planned(place: Place) -> None:
    table = place.table("watch_slow")
    place.watch(table, "by")
    plan = place.plan(table, exclude=["card"])
    # As if the question had waited for its answer since then.
    *others, last = plan.versions
    planned = replaced(last, since=iso_time(round(1000 * time.time()) + 100_000))
    said: list[str] = []
    began = time.time()
    place.watching.apply(dataclasses.replace(plan, versions=(*others, planned)), said.append)
    written = place.rules(table)[-1]
    assert (written.excluded, said) == (
        last.excluded, [f"the rules are in force from {written.since} on, since the answer took its time"],
    )  # fmt: skip
    assert written.since >= iso_time(round(1000 * (began + 179)))


@pytest.mark.engine
def test_a_stream_that_was_on_is_kept_on_and_its_past_is_audited(place: Place, eventually: Callable[..., Any]) -> None:
    table = place.table("watch-on", StreamSpecification={"StreamEnabled": True, "StreamViewType": watch_plans.VIEW})
    place.put(table, pk={"S": "before"})
    assert any("24 hours" in note for note in place.plan(table).notes)
    watch = place.watch(table)
    assert not watch.turned_stream_on
    eventually(lambda: [record["itemKey"]["S"] for record in records(place.dynamodb, table)] == ["before"])


@pytest.mark.engine
def test_a_stream_that_was_replaced_is_attached_to_again(place: Place, eventually: Callable[..., Any]) -> None:
    table = place.table("watch-replaced")
    first = place.watch(table)
    place.put(table, pk={"S": "one"})
    eventually(lambda: len(records(place.dynamodb, table)) == 1)
    place.watching.turn_off(table)
    assert place.watching.find(table).state == "stream off"
    place.dynamodb.update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": watch_plans.VIEW}
    )
    assert place.watching.find(table).state == "stream replaced"
    again = place.watch(table)
    assert (again.state, again.turned_stream_on) == ("Enabled", False)
    assert (again.stream != first.stream, again.mapping != first.mapping) == (True, True)
    place.put(table, pk={"S": "two"})
    eventually(lambda: [r["itemKey"]["S"] for r in records(place.dynamodb, table)] == ["one", "two"])


@pytest.mark.engine
def test_a_mapping_that_was_switched_off_is_switched_on(place: Place, eventually: Callable[..., Any]) -> None:
    table = place.table("watch-off")
    watch = place.watch(table)
    client = place.target.client("lambda")
    client.update_event_source_mapping(UUID=watch.mapping, Enabled=False)
    eventually(lambda: place.watching.find(table).state == "Disabled")
    place.put(table, pk={"S": "meanwhile"})
    with pytest.raises(DeployError, match="still waiting"):
        place.watching.remove(place.watching.find(table), lambda _line: None)
    assert len(place.plan(table).steps) == 1
    assert place.watch(table).state == "Enabled"
    eventually(lambda: len(records(place.dynamodb, table)) == 1)
    client.delete_event_source_mapping(UUID=watch.mapping)
    eventually(lambda: place.watching.find(table).state == "mapping gone")
    with pytest.raises(DeployError, match="deleted by hand"):
        place.plan(table)
    place.watching.remove(place.watching.find(table), lambda _line: None, force=True)
    assert place.watch(table).state == "Enabled"


@pytest.mark.engine
def test_unwatching_drains_first_and_leaves_nothing_but_the_records_and_the_rules(place: Place) -> None:
    table = place.table("watch-left-behind")
    before, role = mapping_ids(place.target), place.watching.installation.outputs["AuditProducerRoleName"]
    watch = place.watch(table, "who")
    policies = place.target.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    assert watch.stack in policies
    for number in range(300):
        place.put(table, pk={"S": str(number)})
    place.watching.remove(watch, lambda _line: None)
    assert len(records(place.dynamodb, table)) == 300
    assert mapping_ids(place.target) == before
    assert watch.stack not in place.target.client("iam").list_role_policies(RoleName=role)["PolicyNames"]
    assert stacks.describe(place.target, watch.stack) is None
    # A change that is replayed later is recorded by the rules of its time.
    assert place.rules(table) == (Rules(ALWAYS, "who"),)
    with pytest.raises(InvalidInputError, match="is not watched"):
        place.watching.find(table)
    place.put(table, pk={"S": "later"})
    client = place.target.client("cloudformation")
    for changed in ([{"ParameterKey": "LogRetentionDays", "ParameterValue": "60"}], []):
        client.update_stack(
            StackName=Stage().stack,
            UsePreviousTemplate=True,
            Capabilities=change_sets.CAPABILITIES,
            Parameters=[{"ParameterKey": "Retain", "ParameterValue": "false"}, *changed],
        )
        client.get_waiter("stack_update_complete").wait(StackName=Stage().stack, WaiterConfig={"Delay": 1})
    assert mapping_ids(place.target) == before
    assert len(records(place.dynamodb, table)) == 300
    # Watched once more, it goes on by them, and by other ones later only.
    assert not [step for step in place.plan(table).steps if "Configuration" in step]
    always, later = place.plan(table, "another").versions
    assert (always, later.actor, later.since > ALWAYS) == (Rules(ALWAYS, "who"), "another", True)


@pytest.mark.engine
def test_a_table_that_is_gone_can_be_unwatched(place: Place) -> None:
    table = place.table("watch-gone")
    watch = place.watch(table)
    place.dynamodb.delete_table(TableName=table)
    assert place.watching.find(table).state == "table gone"
    with pytest.raises(InvalidInputError, match="there is no table"):
        place.plan(table)
    place.watching.remove(watch, lambda _line: None)
    assert stacks.describe(place.target, watch.stack) is None


@pytest.mark.engine
def test_tables_that_must_not_be_watched_are_refused_with_the_reason(place: Place) -> None:
    other_view = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    keys_only = place.table("watch-keys-only", StreamSpecification=other_view)
    place.table("watch-somebodys-audit", (("historyKey", "S"), ("changesKey", "S")))
    mapped = place.table("watch-by-hand", StreamSpecification={**other_view, "StreamViewType": watch_plans.VIEW})
    client = place.target.client("lambda")
    by_hand = client.create_event_source_mapping(
        FunctionName=place.watching.installation.audit_producer,
        EventSourceArn=watched.describe_table(place.target, mapped)["LatestStreamArn"],
        StartingPosition="TRIM_HORIZON",
    )
    try:
        reasons = {
            "Audit": "WeAudit's own",
            "watch-somebodys-audit": "WeAudit's own",
            "Configuration": "watched already",
            "watch-nowhere": "there is no table",
            "a b": "no table's name",
            "ab": "no table's name",
            keys_only: r"shows KEYS_ONLY(.|\n)*cannot change a stream in place",
            mapped: "made by hand",
        }
        for table, reason in reasons.items():
            with pytest.raises(InvalidInputError, match=reason):
                place.plan(table)
    finally:
        client.delete_event_source_mapping(UUID=by_hand["UUID"])
    with pytest.raises(InvalidInputError, match="own stack"):
        place.watching.find("Configuration")


@pytest.mark.engine
def test_a_stack_of_that_name_that_is_somebody_elses_is_left_alone(place: Place) -> None:
    table = place.table("watch-clash")
    client = place.target.client("cloudformation")
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}}})
    client.create_stack(StackName=watching.stack_name(table), TemplateBody=body)
    try:
        with pytest.raises(InvalidInputError, match="is there already"):
            place.plan(table)
    finally:
        client.delete_stack(StackName=watching.stack_name(table))


@pytest.mark.engine
def test_a_stack_that_fails_turns_the_stream_off_again(place: Place) -> None:
    table = place.table("watch-fails")
    plan = place.plan(table)
    broken = dataclasses.replace(plan, parameters={**plan.parameters, "RoleName": "no-such-role"})
    with pytest.raises(DeployError):
        place.watching.apply(broken, lambda _line: None)
    assert not (watched.describe_table(place.target, table).get("StreamSpecification") or {}).get("StreamEnabled")
    assert place.watch(table).turned_stream_on


@pytest.mark.engine
def test_a_global_table_is_watched_in_one_region(place: Place) -> None:
    table = place.table("watch-global", StreamSpecification={"StreamEnabled": True, "StreamViewType": watch_plans.VIEW})
    place.dynamodb.update_table(TableName=table, ReplicaUpdates=[{"Create": {"RegionName": "eu-central-1"}}])
    assert any("eu-central-1" in note and "this region alone" in note for note in place.plan(table).notes)


@pytest.mark.engine
def test_a_watch_that_was_broken_off_while_it_was_planned_is_made_by_the_next(place: Place) -> None:
    """Stopped between the two calls of a deployment, it leaves a stack that holds nothing yet, on AWS no parameters."""
    table = place.table("watch-broken-off")
    name, client = watching.stack_name(table), place.target.client("cloudformation")
    description = watched.describe_table(place.target, table)
    parameters = place.watching._parameters(description, f"{description['TableArn']}/stream/1", turned_on=True)
    change_sets.create(
        client, name, creates=True, template={"TemplateBody": templates.path("watch.yaml").read_text()},
        parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()], tags={},
    )  # fmt: skip
    [left] = client.describe_stacks(StackName=name)["Stacks"]
    assert left["StackStatus"] == "REVIEW_IN_PROGRESS"
    with pytest.raises(InvalidInputError, match="is not watched"):
        place.watching.find(table)
    place.watch(table)
    assert place.watching.find(table).state == "Enabled"


@pytest.mark.engine
@pytest.mark.parametrize("auth", [False, True], ids=["open", "permissions enforced"])
def test_restarts_lose_no_change_of_a_watched_table(tmp_path: Path, auth: bool) -> None:
    directory = tmp_path / "state"
    expected: list[str] = []
    try:
        for tag in ("a", "b", "c"):
            engine = engines.up(port=process.free_port(), state_dir=directory, auth=auth)
            target = Target.of(engine)
            client = target.client("dynamodb")
            found = stacks.describe(target, Stage().stack)
            assert found is not None
            place = Place(target, Watching(Installation(target, found.outputs)), [])
            if not expected:
                create(client, "orders")
                place.watch(
                    "orders", "by", ignore=["seenAt"]
                )  # the text of the rules is kept, which takes a permission
            assert place.plan("orders").steps == ()
            for number in range(120):
                place.put("orders", pk={"S": f"{tag}{number}"}, by={"S": tag})
            place.put("Configuration", key={"S": tag})
            expected += [f"{tag}{number}" for number in range(120)]
            assert engines.down(state_dir=directory)
        engine = engines.up(port=process.free_port(), state_dir=directory, auth=auth)
        client = Target.of(engine).client("dynamodb")
        found_records = records(client, "orders")
        assert sorted(record["itemKey"]["S"] for record in found_records) == sorted(expected)
        assert {r["actor"]["M"]["name"]["S"] for r in found_records} == {"a", "b", "c"}
        # A table that goes while it is watched must not keep the engine from stopping, not even after a restart.
        client.delete_table(TableName="orders")
        assert restarting.drain(engine) == []
        assert engines.down(state_dir=directory)
        engine = engines.up(port=process.free_port(), state_dir=directory, auth=auth)
        assert restarting.drain(engine) == []
    finally:
        engines.down(state_dir=directory, force=True)
