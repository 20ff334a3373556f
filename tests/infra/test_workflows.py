"""The workflows: actions pinned by hash, permissions as few as may be, nothing of a pull request near a credential."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in FILES}
# `on` is a key that YAML 1.1 takes for true.
WORKFLOWS: dict[str, Any] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {f"{name}:{job}": row for name, workflow in WORKFLOWS.items() for job, row in workflow["jobs"].items()}


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in JOBS.items():
        for step in job["steps"]:
            yield name, step


def test_there_are_a_workflow_for_pull_requests_and_one_for_main() -> None:
    assert list(WORKFLOWS) == ["main.yml", "pull-request.yml"]
    assert WORKFLOWS["pull-request.yml"][True] == {"pull_request": None}
    assert WORKFLOWS["main.yml"][True] == {"push": {"branches": ["main"]}, "workflow_dispatch": None}


@pytest.mark.parametrize("name", TEXTS)
def test_every_action_is_pinned_by_its_hash_and_says_its_version(name: str) -> None:
    used = re.findall(r"uses: *(.*)", TEXTS[name])
    assert used
    for line in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


def test_an_action_has_one_pin_everywhere() -> None:
    pins = {pin for text in TEXTS.values() for pin in re.findall(r"uses: *(\S+)@(\S+)", text)}
    assert len(pins) == len({action for action, _ in pins})


def test_nothing_is_allowed_but_what_a_job_says() -> None:
    assert [workflow["permissions"] for workflow in WORKFLOWS.values()] == [{}, {}]
    for name, job in JOBS.items():
        deploys = name in ("main.yml:deploy", "main.yml:terraform")
        assert job["permissions"] == {"contents": "read", **({"id-token": "write"} if deploys else {})}, name
        assert job["timeout-minutes"] <= 60
        assert ("environment" in job) == deploys


def test_no_text_of_others_becomes_a_command_and_no_secret_is_read() -> None:
    for name, step in steps():
        assert "${{" not in step.get("run", ""), name
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    for text in TEXTS.values():
        assert "pull_request_target" not in text
        assert "secrets." not in text


def test_deploying_waits_for_the_tests() -> None:
    for job in ("deploy", "terraform"):
        assert WORKFLOWS["main.yml"]["jobs"][job]["needs"] == ["test", "package"]


def test_make_has_what_they_run() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = {name for _, step in steps() for name in re.findall(r"^make ([\w-]+)", step.get("run", ""), re.MULTILINE)}
    assert called >= {"lint", "pytest", "audit", "package"}
    assert called <= targets


def test_what_they_read_is_told_and_set() -> None:
    read = set(re.findall(r"vars\.(\w+)", TEXTS["main.yml"]))
    page = (ROOT / "docs" / "deploying-ci.md").read_text(encoding="utf-8")
    assert {name for name in read if f"`{name}`" not in page} == set()
    told = (ROOT / "src" / "weaudit" / "cli" / "deployment" / "bootstrap.py").read_text(encoding="utf-8")
    assert {name for name in read if name not in told} == {"DEPLOY_WITH"}


def test_zizmor_finds_nothing() -> None:
    found = ROOT / ".venv" / "tools" / "bin" / "zizmor"
    zizmor = str(found) if found.is_file() else shutil.which("zizmor")
    if zizmor is None:
        pytest.skip("zizmor is not installed: `make lint-workflows` installs it, and runs it")
    command = [zizmor, "--offline", "--no-progress", "--pedantic", str(ROOT / ".github")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
