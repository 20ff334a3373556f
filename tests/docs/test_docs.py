"""The pages are current, what they name exists, and what they show can be run."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
from samtranslator.yaml_helper import yaml_parse

from tests.conftest import RunningEngine
from weaudit.cli import main
from weaudit.deploy import stack
from weaudit.functions import FUNCTIONS
from weaudit.local import engine as engines
from weaudit.local import process
from weaudit.objects.arrivals import ObjectEvent, decide
from weaudit.trail.verification.verifying import FIELDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md"))
    if "node_modules" not in path.parts
)
SOURCES = sorted((*ROOT.glob("src/**/*.py"), *ROOT.glob("infra/*.yaml"), *ROOT.glob("tests/**/*.py")))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# ---- current


@pytest.mark.parametrize(("path", "text"), _generator().pages().items(), ids=lambda value: getattr(value, "name", ""))
def test_a_generated_page_is_current(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run `make docs`"


def test_every_function_and_command_is_in_the_pages() -> None:
    assert all(f"`{function.name}`" in README for function in FUNCTIONS)
    commands = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert {"demo", "up", "down", "status", "env", "logs", "package", "history", "changes"} <= set(
        re.findall(r"^## weaudit (\S+)", commands, re.MULTILINE)
    )


def test_every_command_has_its_example() -> None:
    # A group that is also a command shows its examples command by command.
    sections = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8").split("\n## ")[1:]
    without = [section.splitlines()[0] for section in sections if "Example:\n\n```sh\n" not in section]
    names = [section.splitlines()[0] for section in sections]
    assert [name for name in without if not any(other.startswith(f"{name} ") for other in names)] == []


def test_every_variable_that_an_option_reads_is_in_the_pages() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    leaves = _generator()._leaves(typer.main.get_command(main.app), "")
    read = {param.envvar for _, command in leaves for param in command.params if getattr(param, "envvar", None)}
    assert read == {"WEAUDIT_API_URL", "WEAUDIT_AUDIT_TABLE", "WEAUDIT_AUDIT_LOG_TABLE"}
    assert {name for name in read if f"Environment: `{name}`." not in text} == set()


def test_no_page_shows_a_template_as_python_spells_it() -> None:
    for page in PAGES:
        assert "{'Ref'" not in page.read_text(encoding="utf-8"), name_of(page)


def test_the_records_fields_are_those_of_its_format() -> None:
    text = (ROOT / "docs" / "formats" / "audit-record.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) == FIELDS
    template = yaml_parse((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"))
    attributes = template["Resources"]["AuditTable"]["Properties"]["AttributeDefinitions"]
    assert {attribute["AttributeName"] for attribute in attributes} <= FIELDS


def test_the_invocation_logs_fields_are_all_in_its_format() -> None:
    text = (ROOT / "docs" / "formats" / "invocation-log.md").read_text(encoding="utf-8")
    event = ObjectEvent(
        bucket="b", key="k", event_name="e", at="t", version="v", sequencer="1", etag="e", size_bytes=1
    )  # fmt: skip
    written = {(name, kind) for name, value in decide(event, "f", "r").items() for kind in value}
    assert set(re.findall(r"^\| `(\w+)` \| (\w) \|", text, re.MULTILINE)) == written


def test_no_page_has_the_marks_of_a_merge() -> None:
    marks = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)
    assert [name_of(page) for page in PAGES if marks.search(page.read_text(encoding="utf-8"))] == []


# ---- what is named exists


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    folders = "|".join(sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."))
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", text)
    missing = [path for path in named if not path.startswith(("dist/", "build/")) and not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE) if anchor else []
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, link


def test_every_page_that_the_sources_name_exists() -> None:
    named = {
        name for path in SOURCES for name in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_name_in_the_architecture_exists() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    path = text.partition("## Where it deviates")[0]  # what was planned may be named there and not exist
    # A file is looked for by its path, above; a command, below; these are functions, classes, tables, fields, aliases.
    names = {name for name in re.findall(r"`([\w{}-]+)`", path) if "/" not in name}
    sources = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    suffixed = sources.replace("${EnvironmentSuffix}", "{suffix}")
    assert len(names) >= 20
    assert [name for name in sorted(names) if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", suffixed)] == []


def test_every_command_that_a_page_names_exists() -> None:
    commands = set(
        re.findall(r"^## weaudit (\S+)", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"(?:`|^|/)weaudit\s([a-z][a-z-]+)\b", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 50
    assert sorted((page, name) for page, name in named if name not in commands) == []


def test_every_target_that_a_page_names_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = "".join(block for page in PAGES for block in re.findall(r"`+[^`]+`+", page.read_text(encoding="utf-8")))
    named = {name for words in re.findall(r"^(?:`|\$ )?make ([a-z -]+)", shown, re.MULTILINE) for name in words.split()}
    assert {"demo", "test"} <= named
    assert named <= targets


def test_ci_runs_what_the_readme_gives() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    [command] = re.findall(r"^exec (make .+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert f"`{command}`" in README


def test_the_first_screen_of_the_readme_names_both_commands() -> None:
    screen = "\n".join(README.splitlines()[:24])
    assert "`make demo`" in screen
    assert "`make test`" in screen


def test_make_test_is_all_that_has_to_pass() -> None:
    def commands(target: str) -> list[str]:
        done = subprocess.run(["make", "-n", "-s", target], cwd=ROOT, capture_output=True, text=True, check=True)
        # Where the environment is older than the pins, it is brought up to them first.
        return [line for line in done.stdout.splitlines() if "bin/" in line and " -m pip " not in line]

    lint, tests = commands("lint"), commands("pytest")
    assert {line.split()[0].rpartition("/")[2] for line in lint} == {"ruff", "mypy", "cfn-lint", "bandit"}
    assert ["-m pytest" in line for line in tests] == [True]
    assert commands("test") == [*lint, *tests]


# ---- what is shown runs


def block(after: str) -> str:
    """Return the first shell block of the README after a heading."""
    [found] = re.findall(rf"^## {after}\n.*?^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def run(script: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script.replace(".venv/bin/weaudit", f"{sys.executable} -m weaudit.cli.main"),
        ],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH", "TMPDIR")},
            "PYTHONPATH": str(ROOT / "src"),
            "AWS_PAGER": "",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


needs_aws = pytest.mark.skipif(
    shutil.which("aws") is None, reason="the AWS CLI is not installed: what the README shows with it was NOT run"
)


@pytest.mark.engine
def test_the_transcript_of_the_readme_is_what_the_demo_prints_and_its_commands_run(tmp_path: Path) -> None:
    [shown] = re.findall(r"^```console\n\$ make demo\n…\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    state = f"--state {tmp_path / 'engine'}"
    program = tmp_path / "bin" / "weaudit"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m weaudit.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    try:
        script = f".venv/bin/weaudit demo {state} --port {process.free_port()} --utc 2>&1"
        printed = run(script, tmp_path, {})
        by_hand = re.findall(r"^  \$ (.+)$", printed, re.MULTILINE)
        # The last one names what the demo did to a record, and so it fails, as it should.
        answers = [run(command, tmp_path, path) for command in by_hand[:-1]]
        answers.append(run(f"{by_hand[-1]} || test $? -eq 1", tmp_path, path))
    finally:
        run(f".venv/bin/weaudit down --force {state}", tmp_path, {})
    assert _timeless(shown) in _timeless(printed)
    # What each shows is what the demo showed.
    told = ["halved for the sale", '"success": true', "1200 x 800", "sunset.jpg", '"newValue": 9', "1800", ": whole"]
    told += ["The proof holds.", ": 2 findings"]
    assert len(answers) == len(told)
    assert [text for text, answer in zip(told, answers, strict=True) if text not in answer] == []


def _timeless(text: str) -> str:
    """Return a transcript without what is another one in each run, and on each machine."""
    told = "\n".join(line.rstrip() for line in text.splitlines())
    told = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{3}Z)?", "DATE TIME", told)
    told = re.sub(r"[\d,]+ bytes|--sequence \d+", "NUMBER", told)
    told = re.sub(r"(?:WEAUDIT_STATE_DIR=\S+ )?(?:\.venv/bin/)?weaudit (?=[a-z])", "weaudit ", told)
    told = re.sub(r"entry [\d,]+|[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}", "ID", told)
    return re.sub(r"\S+/(sunset.jpg|record.tlog-proof)", r"\1", told)


@needs_aws
@pytest.mark.engine
def test_see_for_yourself(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    # An engine of its own: other tests and pages greet as well.
    started = engines.up(port=process.free_port(), state_dir=tmp_path / "engine")
    try:
        see_for_yourself({"WEAUDIT_STATE_DIR": str(started.directory)}, eventually)
    finally:
        engines.down(state_dir=started.directory, force=True)


def see_for_yourself(environment: dict[str, str], eventually: Callable[..., Any]) -> None:
    script = block("See for yourself")
    found = json.loads(run(script, ROOT, environment))["Items"]
    assert found, "a second was not enough, and the README says it is"
    # Whatever that second brought: in the end both changes are there, as the contract gives them.
    scan = script[script.index("aws dynamodb scan") :]
    prepared = script.splitlines()[0] + "\n" + scan
    eventually(lambda: len(json.loads(run(prepared, ROOT, environment))["Items"]) == 2)
    items = json.loads(run(prepared, ROOT, environment))["Items"]
    created, changed = sorted(items, key=lambda item: item["changeOrder"]["S"])
    assert created["newValue"] == {
        "M": {"key": {"S": "GREETING"}, "value": {"S": "hello"}, "updatedBy": {"S": "ada"}}
    }  # fmt: skip
    assert created["actor"] == {"M": {"kind": {"S": "stated"}, "name": {"S": "ada"}}}
    assert changed["updatedAttribute"] == {"S": "value"}
    assert (changed["oldValue"], changed["newValue"]) == ({"S": "hello"}, {"S": "good morning"})
    # What an earlier write stated is no statement about this one.
    assert changed["actor"] == {"M": {"kind": {"S": "carried"}, "name": {"S": "ada"}}}
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", item["id"]["S"])
               for item in items)  # fmt: skip


@pytest.mark.engine
def test_deploying_as_the_readme_says_from_nothing_and_back(tmp_path: Path) -> None:
    started = engines.up(port=process.free_port(), state_dir=tmp_path / "engine")
    try:
        running = RunningEngine(started)
        stack.remove(running.target, "weaudit-dev", lambda _line: None)
        script = re.sub(r"(weaudit (?:deploy|rollback))", r"\1 --yes", block("Deploy"))
        printed = run(script, ROOT, {"WEAUDIT_STATE_DIR": str(started.directory)})
        assert [line for line in printed.splitlines() if line.startswith("weaudit-dev is release")]
        assert re.search(r"^weaudit-dev is release 4\+\S+, which is release 2 again\.$", printed, re.MULTILINE)
        groups = running.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/audit_producer")
        assert [group["retentionInDays"] for group in groups["logGroups"]] == [30]
        # The same by the script at the root.
        done = run(f"{sys.executable} deploy_lambda.py --json", ROOT, {"WEAUDIT_STATE_DIR": str(started.directory)})
        assert json.loads(done)["changed"] is False
    finally:
        engines.down(state_dir=started.directory, force=True)


@needs_aws
@pytest.mark.engine
def test_deploying_with_the_aws_cli(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    page = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
    [script] = re.findall(r"^## With other tools\n\n```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    # No wheels for Lambda's own system: the engine's functions see what is installed here.
    script = script.replace("weaudit package", f"{sys.executable} -m weaudit.cli.main package --arch local")
    started = engines.up(port=process.free_port(), state_dir=tmp_path / "engine")
    try:
        running = RunningEngine(started)
        stack.remove(running.target, "weaudit-dev", lambda _line: None)
        run(script, tmp_path, {**running.environment, "BUCKET": "weaudit-artifacts-000000000000-us-east-1"})
        dynamodb = running.client("dynamodb")
        assert dynamodb.describe_table(TableName="Audit")["Table"]["DeletionProtectionEnabled"]
        dynamodb.put_item(TableName="Configuration", Item={"key": {"S": "one"}})
        eventually(lambda: dynamodb.scan(TableName="Audit")["Items"])
    finally:
        engines.down(state_dir=started.directory, force=True)
