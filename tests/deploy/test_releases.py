"""The records of releases, parameters as people give them, and stages."""

import dataclasses
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import moto
import pytest
from samtranslator.yaml_helper import yaml_parse

from weaudit.deploy import packaging, parameters, releases, stack, templates
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.deploy.packaging import Artifact
from weaudit.deploy.releases import Release, ReleaseLog
from weaudit.errors import DeployError, InvalidInputError
from weaudit.functions import FUNCTIONS
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target

RELEASE = Release(
    number=7, stack="weaudit-dev", at="2024-01-01T00:00:00.000Z", outcome="deployed", revision="ab" * 20, modified=True,
    by="arn:aws:iam::000000000000:user/ada", template="templates/x.yaml", digest="d", parameters={"LogLevel": "DEBUG"},
    artifacts={"health": {"key": "k", "sha256": "s"}},
    functions={"weaudit-api-health": {"alias": "live", "version": "2"}},
)  # fmt: skip


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseLog]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        bucket = ArtifactBucket.of(Target("us-east-1"))
        yield ReleaseLog(bucket, "weaudit-dev")


def ensured(log: ReleaseLog) -> ReleaseLog:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=log.bucket.name)
    return log


def test_a_stack_without_releases_or_without_a_bucket_has_none(log: ReleaseLog) -> None:
    assert log.numbers() == []
    assert log.get(1) is None
    assert list(ensured(log).newest_first()) == []


def test_releases_are_kept_by_number_and_stack(log: ReleaseLog) -> None:
    ensured(log)
    for number in (9, 10, 11):
        log.create(dataclasses.replace(RELEASE, number=number, reapplies=9 if number == 11 else None))
    other = ReleaseLog(log.bucket, "weaudit-dev-2")
    other.create(RELEASE)
    assert [found.number for found in log.newest_first()] == [11, 10, 9]
    assert other.numbers() == [7]
    found = log.get(11)
    assert found is not None
    assert (found.content, found.label) == (9, "11+abababababab.modified")


def test_a_number_is_taken_once(log: ReleaseLog) -> None:
    ensured(log).create(RELEASE)
    with pytest.raises(DeployError, match=r"somebody else is deploying weaudit-dev, as release 7\n"):
        log.create(dataclasses.replace(RELEASE, by="arn:aws:iam::000000000000:user/bob"))
    assert log.get(7) == RELEASE
    log.replace(dataclasses.replace(RELEASE, outcome="failed", reason="no"))
    assert [(found.outcome, found.reason) for found in log.newest_first()] == [("failed", "no")]


@pytest.mark.parametrize(
    "release",
    [RELEASE, dataclasses.replace(RELEASE, reapplies=1, rolled_back_from=6, outcome="failed", reason="é — no")],
)
def test_a_release_reads_as_it_was_written(release: Release) -> None:
    document = json.loads(json.dumps(release.document()))
    assert Release.parse(document) == release
    # A later version may add fields.
    assert Release.parse({**document, "later": 1}) == release
    with pytest.raises(DeployError, match="weaudit-release-2"):
        Release.parse({**document, "format": "weaudit-release-2"})


def test_the_label_is_what_the_template_takes_and_names_the_number() -> None:
    pattern = yaml_parse(templates.path("template.yaml").read_text())["Parameters"]["Release"]["AllowedPattern"]
    import re

    for label in (RELEASE.label, releases.label(123456, "v0.1.0", modified=False)):
        assert re.fullmatch(pattern, label)
    assert releases.number_of(RELEASE.label) == 7
    assert [releases.number_of(text) for text in ("", "7", "x+1", "+", "-1+a")] == [None] * 5


def test_the_revision_is_gits_and_says_where_the_sources_were_changed(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        named = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.com", *words]
        return subprocess.run(named, check=True, capture_output=True, text=True).stdout.strip()

    assert releases.revision(tmp_path) == (releases.revision(tmp_path / "none")[0], False)
    assert releases.revision(tmp_path)[0].startswith("v")
    git("init", "-q")
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "template.yaml").write_text("a")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "README.md").write_text("a page is not deployed")
    assert releases.revision(tmp_path) == (git("rev-parse", "HEAD"), False)
    (tmp_path / "infra" / "template.yaml").write_text("b")
    assert releases.revision(tmp_path) == (git("rev-parse", "HEAD"), True)


# ---- parameters


def test_parameters_are_read_from_the_template_as_yaml_reads_them() -> None:
    text = templates.path("template.yaml").read_text()
    assert stack.parameters_of(text) == dict.fromkeys(yaml_parse(text)["Parameters"], False)
    assert stack.parameters_of("Resources: {}\n") == {}
    secret = "Parameters:\n  A: {Type: String, NoEcho: true}\n  # B: no\n\n  C:\n    Type: String\n    NoEcho: 'true'\n"
    assert stack.parameters_of(secret + "  D:\n    Default: x\nResources:\n  E: {}\n") == {
        "A": True,
        "C": True,
        "D": False,
    }


@pytest.mark.parametrize(
    "document",
    [
        {"LogLevel": "DEBUG", "Retain": "false", "LogRetentionDays": "7"},
        {"LogLevel": "DEBUG", "Retain": False, "LogRetentionDays": 7},
        {"Parameters": {"LogLevel": "DEBUG", "Retain": False, "LogRetentionDays": 7}},
        [{"ParameterKey": k, "ParameterValue": v} for k, v in
         (("LogLevel", "DEBUG"), ("Retain", "false"), ("LogRetentionDays", "7"))],
    ],
)  # fmt: skip
def test_every_form_of_a_parameter_file_is_read(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(document))
    assert parameters.read(path) == {"LogLevel": "DEBUG", "Retain": "false", "LogRetentionDays": "7"}


def test_a_list_becomes_what_cloudformation_takes_for_one(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"CorsAllowOrigins": ["https://a.example", "https://b.example"]}')
    assert parameters.read(path) == {"CorsAllowOrigins": "https://a.example,https://b.example"}


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', '{"A": {"B": 1}}', '{"A": null}', '[{"ParameterKey": "A"}]'])
def test_what_is_no_parameter_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=r"p\.json"):
        parameters.read(path)
    with pytest.raises(InvalidInputError, match=r"none\.json"):
        parameters.read(tmp_path / "none.json")


def test_parameters_of_words() -> None:
    assert parameters.parsed(["A=1", "B=x=y", "A=", "C=a b"]) == {"A": "", "B": "x=y", "C": "a b"}
    for word in ("A", "=x", "a-b=1"):
        with pytest.raises(InvalidInputError, match="NAME=VALUE"):
            parameters.parsed([word])


def test_a_new_release_changes_the_text_of_the_function_that_answers_it_alone() -> None:
    text = templates.path("template.yaml").read_text()
    artifacts = [Artifact(function.name, Path(), "ab", 1) for function in FUNCTIONS]
    one, other = (
        stack.point_at(text, "bucket", artifacts, {"Release": number}).splitlines() for number in ("1+a", "2+a")
    )
    [changed] = [line for line, new in zip(one, other, strict=True) if line != new]
    assert "which release" in changed.lower() or "state" in changed.lower()
    assert changed.strip().startswith("Description:")


# ---- stages


def test_the_stage_is_as_given_else_of_the_environment_else_dev() -> None:
    there = {"WEAUDIT_STAGE": "staging", "WEAUDIT_PREFIX": "blue-"}
    assert Stage.of(environment={}) == Stage("dev", "") == Stage()
    assert Stage.of(environment={"WEAUDIT_STAGE": ""}) == Stage()
    assert Stage.of(environment=there) == Stage("staging", "blue-")
    assert Stage.of("production", "", there) == Stage("production", "")
    assert Stage("staging", "blue-").stack == "blue-weaudit-staging"
    assert Stage("staging", "blue-").options == "--stage staging --prefix blue-"
    assert Stage("x", "blue-").named("Audit", "Audit") == "blue-Audit"
    assert Stage("x", "blue-").named("other", "Audit") == "other"


@pytest.mark.parametrize(("name", "prefix"), [("Dev", ""), ("", ""), ("x" * 13, ""), ("dev", "1-"), ("dev", "a" * 17)])
def test_a_stage_that_the_template_would_refuse_is_refused_first(name: str, prefix: str) -> None:
    with pytest.raises(InvalidInputError, match=r"is not a valid (stage|prefix)"):
        Stage.of(name, prefix, {})


def test_a_stage_is_what_the_template_takes() -> None:
    from weaudit.installation import stages

    declared = yaml_parse(templates.path("template.yaml").read_text())["Parameters"]
    for pattern, name in ((stages._NAME, "EnvironmentSuffix"), (stages._PREFIX, "Prefix")):
        assert f"^{pattern.pattern}$" == declared[name]["AllowedPattern"]


# ---- one function's artefact


def test_a_change_in_one_function_changes_its_artefact_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    before = {function.name: packaging.build(function, tmp_path / "a").sha256 for function in FUNCTIONS}
    sources = tmp_path / "weaudit"
    shutil.copytree(packaging._SOURCES, sources, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(packaging, "_SOURCES", sources)
    assert {function.name: packaging.build(function, tmp_path / "b").sha256 for function in FUNCTIONS} == before
    for function in FUNCTIONS:
        handler = sources / "handlers" / f"{function.name}.py"
        kept = handler.read_text()
        handler.write_text(kept + "# changed\n")
        after = {row.name: packaging.build(row, tmp_path / "c").sha256 for row in FUNCTIONS}
        handler.write_text(kept)
        assert [name for name in before if after[name] != before[name]] == [function.name]
