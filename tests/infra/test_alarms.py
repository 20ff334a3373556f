"""Every alarm: quiet in healthy times and in a blip, ringing in an outage until it ends, and one can act upon it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from tests.infra.intrinsics import Resolver
from tests.infra.metric_alarms import Series, datapoints, states
from tests.infra.test_template import PLAIN, RESOURCES, statements
from weaudit.functions import FUNCTIONS, Function
from weaudit.runtime import metrics

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
RESOLVE = Resolver(PLAIN, {"Prefix": "p-", "EnvironmentSuffix": "dev"})
ALARMS: dict[str, dict[str, Any]] = {
    alarm["AlarmName"].removeprefix("p-weaudit-dev-"): alarm
    for row in RESOURCES.values()
    if row["Type"] == "AWS::CloudWatch::Alarm"
    for alarm in [RESOLVE(row["Properties"])]
}
NAMES = {function.name: function.deployed_as("p-") for function in FUNCTIONS}
KINDS = ("errors", "duration", "throttles", "concurrency")


def quiet(*pieces: tuple[int, float | None]) -> list[float | None]:
    """Return minutes: so many of this value, then so many of that."""
    return [value for minutes, value in pieces for _ in range(minutes)]


def around(healthy: float | None, bad: float, minutes: int) -> list[float | None]:
    return quiet((30, healthy), (minutes, bad), (30, healthy))


# What each kind's metrics look like, a value a minute: in a healthy hour, in a blip, and in an outage.
Scenario = dict[str, Series]
RATES: dict[str, tuple[Scenario, Scenario, Scenario]] = {
    kind: (
        {failed: [0, 1, 0, 0, 2, 0] * 10, calls: [400] * 60},
        {failed: around(0, 80, 2), calls: [100] * 62},
        {failed: around(0, 3, 20), calls: [100] * 80},
    )
    for kind, failed, calls in (("errors", "Errors", "Invocations"), ("api-errors", "5xx", "Count"))
}
SCENARIOS: dict[str, tuple[Scenario, Scenario, Scenario]] = {
    **RATES,
    "duration": (
        {"Duration": [40, 55, None, 990, 61] * 12},
        {"Duration": around(60, 9_000, 2)},
        {"Duration": around(60, 1_100, 20)},
    ),
    "image_processor-duration": (
        {"Duration": [900, 4_000, None, 14_000, 1_100] * 12},
        {"Duration": around(2_000, 60_000, 2)},
        {"Duration": around(2_000, 16_000, 20)},
    ),
    "ledger_sealer-duration": (
        {"Duration": [400, 2_000, None, 25_000, 900] * 12},
        {"Duration": around(800, 200_000, 2)},
        {"Duration": around(800, 31_000, 20)},
    ),
    "throttles": ({"Throttles": [0, None] * 30}, {"Throttles": around(0, 50, 2)}, {"Throttles": around(0, 1, 20)}),
    "concurrency": (
        {"ConcurrentExecutions": [3, 100, 40] * 20},
        {"ConcurrentExecutions": around(10, 400, 2)},
        {"ConcurrentExecutions": around(10, 101, 20)},
    ),
    "api-latency": ({"Latency": [30, 990] * 30}, {"Latency": around(40, 5_000, 2)}, {"Latency": around(40, 1_200, 20)}),
    "stream-age": (
        {"IteratorAge": [900, 4_000, None, 250_000] * 15},
        {"IteratorAge": around(900, 400_000, 2)},
        {"IteratorAge": [60_000.0 * minute for minute in range(30)] + [900] * 30},
    ),
    "images-waiting": (
        {"ApproximateAgeOfOldestMessage": [0, 20, 899, None] * 15},
        {"ApproximateAgeOfOldestMessage": around(0, 1_000, 2)},
        {"ApproximateAgeOfOldestMessage": around(0, 901, 20)},
    ),
    # What is kept stays: one minute of it is no blip.
    "failed-events": (
        {"ApproximateNumberOfMessagesVisible": [0, None] * 30},
        {"ApproximateNumberOfMessagesVisible": quiet((60, None))},
        {"ApproximateNumberOfMessagesVisible": around(0, 1, 20)},
    ),
    "undelivered": (
        {"ApproximateNumberOfMessagesVisible": [0, None] * 30},
        {"ApproximateNumberOfMessagesVisible": quiet((60, None))},
        {"ApproximateNumberOfMessagesVisible": around(0, 1, 20)},
    ),
    # What is lost is lost: one event is no blip. Neither service sends these metrics while they are 0.
    **{
        name: ({metric: [None] * 120}, {metric: quiet((90, None))}, {metric: quiet((30, None), (1, 1), (100, None))})
        for name, metric in (
            ("audit_producer-lost", "DestinationDeliveryFailures"),
            ("s3_processor-lost", "DestinationDeliveryFailures"),
            ("images-rule", "FailedInvocations"),
            ("given-up-rule", "FailedInvocations"),
            ("seal-rule", "FailedInvocations"),
            ("findings-rule", "FailedInvocations"),
        )
    },
    "quarantine": (
        {"p-quarantinedRecords-dev": [0, None] * 60},
        {"p-quarantinedRecords-dev": quiet((90, None))},
        {"p-quarantinedRecords-dev": quiet((30, 0), (1, 1), (100, None))},
    ),
    # One finding is no blip.
    "ledger-findings": (
        {"findings": [0, None] * 60},
        {"findings": quiet((90, 0))},
        {"findings": quiet((30, 0), (1, 1), (100, 0))},
    ),
    "ledger-silent": (
        {"sealed": [0, 3, 2_000, None] * 30},
        {"sealed": quiet((30, 0), (9, None), (30, 0))},
        {"sealed": quiet((30, 0), (20, None), (30, 0))},
    ),
}


def scenario(name: str) -> tuple[Scenario, Scenario, Scenario]:
    return SCENARIOS.get(name) or SCENARIOS[name.rpartition("-")[2]]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_it_is_quiet_in_healthy_times_and_in_a_blip_and_rings_in_an_outage_until_it_ends(name: str) -> None:
    healthy, blip, outage = scenario(name)
    assert set(states(ALARMS[name], healthy)[5:]) <= {"OK", "INSUFFICIENT_DATA"}
    assert "ALARM" not in states(ALARMS[name], blip)
    told = states(ALARMS[name], outage)
    assert told[0] != "ALARM"
    assert told[-1] == "OK"
    rang = told.index("ALARM")
    # A blip is two minutes; an outage of twenty has rung before ten of them are over, and rings once.
    assert rang * ALARMS[name].get("Period", 60) < 40 * 60
    changes = [one for one, before in zip(told[1:], told, strict=False) if one != before and "ALARM" in (one, before)]
    assert changes == ["ALARM", "OK"]


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_where_there_is_no_traffic_nothing_rings_but_the_alarm_of_a_clock_that_stands_still(name: str) -> None:
    _, _, outage = scenario(name)
    silence = states(ALARMS[name], {metric: [None] * 60 for metric in outage})
    assert ("ALARM" in silence) is (name == "ledger-silent")


def test_one_finding_rings_within_its_minute_and_for_an_hour() -> None:
    told = states(ALARMS["ledger-findings"], {"findings": quiet((30, 0), (1, 1), (120, 0))})
    assert told[30] == "ALARM"
    assert told.count("ALARM") == 60


def test_a_queue_that_sqs_no_longer_tells_of_stays_as_it_was() -> None:
    series = quiet((5, 0), (360, 1), (600, None), (2, 0))
    told = states(ALARMS["failed-events"], {"ApproximateNumberOfMessagesVisible": series})
    assert set(told[5:-2]) == {"ALARM"}
    assert told[-1] == "OK"


def test_one_quarantined_record_rings_for_an_hour() -> None:
    told = states(ALARMS["quarantine"], {"p-quarantinedRecords-dev": quiet((30, 0), (1, 1), (120, None))})
    assert told.count("ALARM") * ALARMS["quarantine"]["Period"] == 3600


@pytest.mark.parametrize("name", ["audit_producer-lost", "s3_processor-lost", "images-rule", "findings-rule"])
def test_so_does_one_event_that_is_lost(name: str) -> None:
    told = states(ALARMS[name], {ALARMS[name]["MetricName"]: quiet((30, None), (1, 1), (120, None))})
    assert told.count("ALARM") * ALARMS[name]["Period"] == 3600


# ---- deliveries: whatever hands events on and may fail to


def of(kind: str) -> dict[str, dict[str, Any]]:
    return {name: RESOLVE(row["Properties"]) for name, row in RESOURCES.items() if row["Type"] == kind}


def alarmed(namespace: str, metric: str) -> set[str]:
    """Return what the alarms on a metric look at, each by the value of its one dimension."""
    alarms = [row for row in ALARMS.values() if (row.get("Namespace"), row.get("MetricName")) == (namespace, metric)]
    return {row["Dimensions"][0]["Value"].removesuffix(".QueueName") for row in alarms}


def test_every_function_with_a_failure_destination_is_watched_for_failing_it() -> None:
    aliases = {
        RESOLVE({"Ref": name}): RESOLVE(row["Properties"]["FunctionName"])
        for name, row in RESOURCES.items()
        if row["Type"] == "AWS::Lambda::Alias"
    }
    mappings, invocations = of("AWS::Lambda::EventSourceMapping"), of("AWS::Lambda::EventInvokeConfig")
    destined = {
        aliases.get(row["FunctionName"], row["FunctionName"])
        for row in (*mappings.values(), *invocations.values())
        if "OnFailure" in row.get("DestinationConfig", {})
    }
    assert destined == {NAMES["audit_producer"], "p-s3-processor-dev"}
    assert alarmed("AWS/Lambda", "DestinationDeliveryFailures") == destined
    # Without one of these Lambda gives up in silence: a stream's mapping, an asynchronous call, a queue's message.
    assert all("DestinationConfig" in row for row in mappings.values() if "StartingPosition" in row)
    queues = of("AWS::SQS::Queue")
    read = {row["EventSourceArn"].rpartition(":")[2] for row in mappings.values() if "StartingPosition" not in row}
    assert all("RedrivePolicy" in row for row in queues.values() if row["QueueName"] in read)


def test_every_rule_is_watched_and_keeps_what_it_cannot_deliver() -> None:
    rules = of("AWS::Events::Rule")
    assert alarmed("AWS/Events", "FailedInvocations") == {row["Name"] for row in rules.values()}
    queue = RESOLVE({"Fn::GetAtt": ["UndeliveredQueue", "Arn"]})
    for row in rules.values():
        if "EventPattern" not in row:
            continue  # a clock: what it does not deliver, the next minute makes good
        for target in row["Targets"]:
            # The rule whose target is that queue has nowhere else to put what the queue refuses.
            assert queue in (target["Arn"], target.get("DeadLetterConfig", {}).get("Arn"))


def test_every_queue_of_what_was_given_up_is_watched() -> None:
    queues = of("AWS::SQS::Queue")
    ends = {row["RedrivePolicy"]["deadLetterTargetArn"] for row in queues.values() if "RedrivePolicy" in row}
    ends |= {
        row["DestinationConfig"]["OnFailure"]["Destination"]
        for row in of("AWS::Lambda::EventInvokeConfig").values()
        if "DestinationConfig" in row
    }
    ends |= {
        target["DeadLetterConfig"]["Arn"]
        for row in of("AWS::Events::Rule").values()
        for target in row["Targets"]
        if "DeadLetterConfig" in target
    }
    assert {arn.rpartition(":")[2] for arn in ends} <= alarmed("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    assert all(row["MessageRetentionPeriod"] == 1_209_600 for row in queues.values())


def test_records_that_lambda_gave_up_on_are_told_of() -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html: the key is aws/lambda/<mapping>/….
    rule = of("AWS::Events::Rule")["GivenUpRule"]
    [target] = rule["Targets"]
    assert target["Arn"].endswith(":p-weaudit-undelivered-dev")
    bucket = RESOURCES["EvidenceBucket"]["Properties"]
    assert bucket["NotificationConfiguration"] == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}
    assert rule["EventPattern"]["detail"] == {
        "bucket": {"name": [RESOLVE({"Ref": "EvidenceBucket"})]},
        "object": {"key": [{"prefix": "aws/lambda/"}]},
    }


def test_a_rate_is_of_calls_and_no_calls_are_no_failures() -> None:
    recorded: Scenario = {"Errors": [0, 1, 5, 0, None], "Invocations": [10, 100, 100, 0, 10]}
    assert datapoints(ALARMS["audit_producer-errors"], recorded) == [0, 1, 5, 0, None]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.name)
def test_every_function_has_the_alarms_and_limits_of_the_contract(function: Function) -> None:
    slow = {"image_processor": 15_000, "ledger_sealer": 30_000}.get(function.name, 1_000)
    for kind, limit in zip(KINDS, (1, slow, 0, 100), strict=True):
        alarm = ALARMS[f"{function.name}-{kind}"]
        assert float(alarm["Threshold"]) == limit
        assert (alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (5, 3)
        of = [row["MetricStat"]["Metric"] for row in alarm.get("Metrics", []) if "MetricStat" in row] or [alarm]
        for metric in of:
            assert metric["Namespace"] == "AWS/Lambda"
            assert [row["Name"] for row in metric["Dimensions"]] == ["FunctionName"]
            [logical] = {
                key
                for key, row in RESOURCES.items()
                if row["Type"] == "AWS::Lambda::Function" and RESOLVE({"Ref": key}) == metric["Dimensions"][0]["Value"]
            }
            assert RESOLVE(RESOURCES[logical]["Properties"]["FunctionName"]) == NAMES[function.name]


def test_there_are_no_other_alarms_than_these() -> None:
    own = {f"{function.name}-{kind}" for function in FUNCTIONS for kind in KINDS}
    assert ALARMS.keys() - own == set(SCENARIOS) - set(KINDS) - own


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_its_message_says_what_it_means_what_to_do_and_where_more_is(name: str) -> None:
    text = ALARMS[name]["AlarmDescription"]
    means, _, rest = text.partition(" What to do: ")
    todo, _, where = rest.partition(" More: ")
    assert len(text) <= 1024
    assert len(means) > 40
    assert len(todo) > 30
    page, _, anchor = where.partition("#")
    assert page == "docs/operating.md"
    headings = {found.lower().replace(" ", "-") for found in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}
    assert anchor in headings
    # Commands that a message names exist, and so does their argument.
    commands = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for words in re.findall(r"\(weaudit ([a-z_ -]+)\)", text):
        command = " ".join(word for word in words.split() if word not in NAMES)
        assert f"## weaudit {command}\n" in commands, command


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_it_says_when_it_begins_and_when_it_is_over(name: str) -> None:
    topic = RESOLVE({"Ref": "AlarmsTopic"})
    assert ALARMS[name]["AlarmActions"] == ALARMS[name]["OKActions"] == [topic]
    assert ALARMS[name].get("ActionsEnabled", True)


def test_what_alarms_cost_is_reckoned_with_all_of_them() -> None:
    metrics_looked_at = sum(
        len([row for row in alarm["Metrics"] if "MetricStat" in row]) if "Metrics" in alarm else 1
        for alarm in ALARMS.values()
    )
    assert f"({metrics_looked_at} for the {len(ALARMS)} alarms)" in re.sub(r"\s+", " ", PAGE)


def test_every_section_of_an_alarm_says_what_to_do_and_how_that_was_tried() -> None:
    anchors = {alarm["AlarmDescription"].rpartition("#")[2] for alarm in ALARMS.values()}
    for section in PAGE.split("\n## ")[1:]:
        if section.splitlines()[0].lower().replace(" ", "-") in anchors:
            for part in ("**Means**", "**Look**", "**do**", "**Tried**"):
                assert part.lower() in section.lower(), section.splitlines()[0]


# ---- from the logs


def test_the_filter_counts_what_the_lines_say_of_every_function_that_quarantines() -> None:
    filters = [row["Properties"] for row in RESOURCES.values() if row["Type"] == "AWS::Logs::MetricFilter"]
    quarantining = {function.name for function in FUNCTIONS if "evidence bucket" in function.stores} - {"read_trail"}
    assert {RESOLVE(row["LogGroupName"]) for row in filters} == {f"/aws/lambda/{NAMES[name]}" for name in quarantining}
    for row in filters:
        assert row["FilterPattern"] == "{ $.quarantined > 0 }"
        [transformation] = RESOLVE(row["MetricTransformations"])
        assert transformation["MetricValue"] == "$.quarantined"
        assert transformation["MetricName"] == ALARMS["quarantine"]["MetricName"]
        assert transformation["MetricNamespace"] == ALARMS["quarantine"]["Namespace"] == metrics.NAMESPACE
    assert "quarantined" in metrics.UNITS


# ---- where they are sent


def test_only_this_stacks_alarms_may_send_and_rules_where_findings_are_wanted() -> None:
    [policy] = [row for row in RESOURCES.values() if row["Type"] == "AWS::SNS::TopicPolicy"]
    found = {statement["Sid"]: statement for statement in RESOLVE(policy["Properties"]["PolicyDocument"])["Statement"]}
    allowed = found["AlarmsOfThisStack"]
    assert (allowed["Principal"], allowed["Action"]) == ({"Service": "cloudwatch.amazonaws.com"}, "sns:Publish")
    assert allowed["Condition"]["ArnLike"]["aws:SourceArn"].endswith(":alarm:p-weaudit-dev-*")
    assert all(alarm["AlarmName"].startswith("p-weaudit-dev-") for alarm in ALARMS.values())
    assert found["TlsOnly"]["Effect"] == "Deny"
    assert set(found) == {"AlarmsOfThisStack", "TlsOnly"}
    hearing = Resolver(PLAIN, {"GuardDuty": "existing"})(policy["Properties"]["PolicyDocument"])["Statement"]
    assert {statement["Sid"] for statement in hearing} == {*found, "Findings"}


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, set()),
        ({"AlarmEmail": "a@example.com"}, {"AlarmsByEmail"}),
        ({"SlackChannelId": "C1"}, {"ChatRole", "SlackChannel"}),
        ({"TeamsChannelId": "19%3a"}, {"ChatRole", "TeamsChannel"}),
    ],
)
def test_who_is_not_named_is_not_called(given: dict[str, str], made: set[str]) -> None:
    resolve = Resolver(PLAIN, given)
    optional = ("AlarmsByEmail", "ChatRole", "SlackChannel", "TeamsChannel")
    assert {name for name in optional if resolve.holds(RESOURCES[name]["Condition"])} == made


def test_a_chat_may_look_and_no_more() -> None:
    [statement] = statements(RESOURCES["ChatRole"]["Properties"]["Policies"])
    assert all(re.match(r"cloudwatch:(Describe|Get|List)", action) for action in statement["Action"])
    for name in ("SlackChannel", "TeamsChannel"):
        channel = RESOLVE(RESOURCES[name]["Properties"])
        assert channel["GuardrailPolicies"] == ["arn:aws:iam::aws:policy/CloudWatchReadOnlyAccess"]
        assert channel["IamRoleArn"] == RESOLVE({"Fn::GetAtt": ["ChatRole", "Arn"]})
        assert channel["SnsTopicArns"] == [RESOLVE({"Ref": "AlarmsTopic"})]


def test_messages_are_encrypted_by_a_key_that_lets_cloudwatch_use_it_only() -> None:
    key = RESOURCES["AlarmsTopic"]["Properties"]["KmsMasterKeyId"]["Fn::If"]
    assert key[:2] == ["MakesKmsKey", {"Fn::GetAtt": ["DataKey", "Arn"]}]
    assert key[2] == {"Fn::If": ["HasAlarmsKey", {"Ref": "AlarmsKmsKeyArn"}, {"Ref": "AWS::NoValue"}]}


# ---- dashboards

DIMENSIONS = {name: ("function", by) for name, by in metrics.COUNTED_BY.items()} | dict.fromkeys(
    metrics.UNITS, ("function",)
)
# What AWS names: Lambda, API Gateway (HTTP APIs) and SQS, each in its developer guide under monitoring.
KNOWN = {
    "AWS/Lambda": {
        "Invocations",
        "Errors",
        "Duration",
        "Throttles",
        "ConcurrentExecutions",
        "IteratorAge",
        "DestinationDeliveryFailures",
    },
    "AWS/ApiGateway": {"Count", "4xx", "5xx", "Latency", "IntegrationLatency", "DataProcessed"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
}


def shown(namespace: str, metric: str, dimensions: dict[str, str], prefix: str = "p-") -> None:
    """Check that a metric exists and that its dimensions are those of something of the stack."""
    function = dimensions.get("function", dimensions.get("FunctionName"))
    assert function is None or function in {row.deployed_as(prefix) for row in FUNCTIONS}
    if namespace == metrics.NAMESPACE:
        assert tuple(dimensions) == DIMENSIONS[metric]
    else:
        assert metric in KNOWN[namespace]
        keys = {"AWS/Lambda": {"FunctionName"}, "AWS/ApiGateway": {"ApiId", "Stage"}, "AWS/SQS": {"QueueName"}}
        assert set(dimensions) == keys[namespace]


def test_the_dashboard_shows_what_there_is() -> None:
    [found] = [row["Properties"] for row in RESOURCES.values() if row["Type"] == "AWS::CloudWatch::Dashboard"]
    without = json.loads(RESOLVE(found["DashboardBody"]))
    optional = {name for name, row in ALARMS.items() if name == "findings-rule"}
    assert len(without["widgets"][0]["properties"]["alarms"]) == len(ALARMS) - len(optional)
    resolve = Resolver(PLAIN, {"Prefix": "p-", "EnvironmentSuffix": "dev", "GuardDuty": "existing"})
    body = json.loads(resolve(found["DashboardBody"]))
    places: set[tuple[int, int]] = set()
    named = set()
    for widget in body["widgets"]:
        x, y, width, height = (widget[key] for key in ("x", "y", "width", "height"))
        assert x + width <= 24
        cells = {(column, row) for column in range(x, x + width) for row in range(y, y + height)}
        assert not places & cells
        places |= cells
        if widget["type"] == "alarm":
            assert len(widget["properties"]["alarms"]) == len(ALARMS) <= 100
            continue
        assert 1 <= len(widget["properties"]["metrics"]) <= 100
        for namespace, metric, *rest in widget["properties"]["metrics"]:
            pairs = [part for part in rest if isinstance(part, str)]
            shown(namespace, metric, dict(zip(pairs[::2], pairs[1::2], strict=True)))
            named.add(metric)
    assert {*metrics.UNITS, *metrics.COUNTED_BY} - {"imageMs"} <= named


def test_grafanas_dashboard_shows_what_there_is() -> None:
    board = json.loads((ROOT / "infra" / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    variables = {row["name"] for row in board["templating"]["list"]}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for target in panel["targets"]:
            assert set(re.findall(r"\$\{(\w+)\}", json.dumps(target))) <= variables
            assert target["statistic"] in ("Sum", "Average", "Maximum")
            dimensions = {
                key: value.replace("${prefix}", "p-").replace("${suffix}", "dev")
                for key, value in target["dimensions"].items()
            }
            shown(target["namespace"], target["metricName"], dimensions)


def test_grafanas_two_alert_rules_ask_for_what_the_templates_alarms_ask_for() -> None:
    rules = yaml_parse((ROOT / "infra" / "grafana" / "alert-rules.yaml").read_text(encoding="utf-8"))
    [group] = rules["groups"]
    limits = {}
    for rule in group["rules"]:
        steps = {row["refId"]: row for row in rule["data"]}
        assert rule["condition"] in steps
        for name, row in steps.items():
            assert row["model"]["refId"] == name
            if row["datasourceUid"] == "__expr__":
                used = row["model"]["expression"]
                assert set(re.findall(r"\$\{(\w+)\}", used) or [used]) <= set(steps) - {name}
            else:
                shown(row["model"]["namespace"], row["model"]["metricName"], row["model"]["dimensions"], "")
        anchor = rule["annotations"]["runbook_url"].partition("#")[2]
        [evaluator] = [condition["evaluator"] for condition in steps[rule["condition"]]["model"]["conditions"]]
        assert evaluator["type"] == "gt"
        limits[anchor] = evaluator["params"]
    assert limits == {
        "errors": [ALARMS["audit_producer-errors"]["Threshold"]],
        "stream-age": [ALARMS["stream-age"]["Threshold"]],
    }


LANGUAGE = "fields filter sort desc asc limit stats by as why or in like count avg sum max pct bin ispresent coalesce"


def test_saved_queries_ask_log_groups_of_the_stack_for_fields_that_lines_have() -> None:
    queries = [row["Properties"] for row in RESOURCES.values() if row["Type"] == "AWS::Logs::QueryDefinition"]
    assert len(queries) == 6
    mapping = json.loads((ROOT / "infra" / "opensearch" / "index-template.json").read_text(encoding="utf-8"))
    access = set(re.findall(r'"(\w+)":"\$context', RESOURCES["ApiStage"]["Properties"]["AccessLogSettings"]["Format"]))
    known = set(mapping["template"]["mappings"]["properties"]) | access
    words = set(re.findall(r"\w+", LANGUAGE))
    for query in queries:
        assert all(RESOURCES[row["Ref"]]["Type"] == "AWS::Logs::LogGroup" for row in query["LogGroupNames"])
        lines = [line for line in query["QueryString"].splitlines() if not line.startswith("#")]
        text = re.sub(r"'[^']*'|/[^/]*/|@\w+|\b\d+\w*", "", "\n".join(lines))
        assert set(re.findall(r"[A-Za-z]\w*", text)) - words <= known
