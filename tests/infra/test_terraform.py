"""Terraform: what docs/terraform.md says, done on the engine: validated, applied, used, planned clean, destroyed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunningEngine
from weaudit.deploy import packaging, stack
from weaudit.deploy.artifacts import ArtifactBucket
from weaudit.functions import FUNCTIONS
from weaudit.installation import stacks
from weaudit.installation.stages import Stage
from weaudit.local import engine as engines
from weaudit.local import process

ROOT = Path(__file__).parents[2]
FOLDERS = ("bootstrap", "infrastructure")
PAGE = (ROOT / "docs" / "terraform.md").read_text(encoding="utf-8")
PROVIDER = Path("registry.terraform.io", "hashicorp", "aws")


def _mirrors() -> Iterator[Path]:
    """Where a machine may keep providers: told by us, told to Terraform, where Terraform looks by itself, /opt."""
    configured = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    text = configured.read_text(encoding="utf-8") if configured.is_file() else ""
    yield from map(Path, re.findall(r'filesystem_mirror\s*\{[^}]*?path\s*=\s*"([^"]+)"', text))
    yield from (Path(os.environ["TF_PLUGIN_CACHE_DIR"]),) if os.environ.get("TF_PLUGIN_CACHE_DIR") else ()
    yield Path.home() / ".terraform.d" / "plugins"
    yield from (Path("/usr/local/share/terraform/plugins"), Path("/usr/share/terraform/plugins"))
    yield from sorted(path.parent for path in Path("/opt").glob("*/registry.terraform.io"))


# Read before the tests lose the environment of who runs them. Where a mirror is named, it has to be one.
_NAMED = os.environ.get("WEAUDIT_TF_PLUGINS")
MIRROR = Path(_NAMED) if _NAMED else next((path for path in _mirrors() if (path / PROVIDER).is_dir()), None)
needs_terraform = pytest.mark.skipif(
    shutil.which("terraform") is None, reason="terraform is not installed: infra/terraform was NOT tried"
)
needs_provider = pytest.mark.skipif(
    shutil.which("terraform") is None or MIRROR is None,
    reason="no terraform, or no mirror with its AWS provider (name one by WEAUDIT_TF_PLUGINS): "
    "infra/terraform was NOT applied",
)


class Terraform:
    """Terraform in a copy of one of the folders, on an engine; whatever it needs is below ``folder``."""

    def __init__(self, folder: Path, name: str, engine: RunningEngine, variables: dict[str, str]) -> None:
        for copied in ("infra/terraform", "infra"):
            (folder / copied).mkdir(parents=True, exist_ok=True)
        for template in (ROOT / "infra").glob("*.yaml"):
            shutil.copy(template, folder / "infra")
        self.home = folder / "infra" / "terraform" / name
        ignored = shutil.ignore_patterns(".terraform*", "terraform.tfstate*", "*.tfvars")
        shutil.copytree(ROOT / "infra" / "terraform" / name, self.home, ignore=ignored)
        # The user's own configuration may name mirrors and credentials: here there is none.
        (folder / "terraformrc").touch()
        self.environment = {
            **{name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR") if name in os.environ},
            **engine.environment,
            **{f"TF_VAR_{key}": value for key, value in variables.items()},
            "TF_VAR_endpoint_url": engine.endpoint,
            "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            # The provider's own description fills memory once a command: collected less often, a quarter less CPU.
            "GOGC": "400",
        }
        self.run("init", f"-plugin-dir={MIRROR}")

    def run(self, *words: str, code: int = 0) -> str:
        """Run a command of Terraform, which has to end with ``code``; return what it printed."""
        return self.execute("terraform", words[0], *words[1:], "-no-color", code=code)

    def execute(self, *command: str, code: int = 0) -> str:
        """Run any command there."""
        done = subprocess.run(
            command, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def outputs(self) -> dict[str, Any]:
        """Return the outputs, by name."""
        return {name: found["value"] for name, found in json.loads(self.run("output", "-json")).items()}

    def destroy(self) -> None:
        """Take away all of it, and see that it is gone."""
        self.run("destroy", "-auto-approve", "-refresh=false")  # it was planned just before
        assert self.run("state", "list") == ""


@needs_provider
@pytest.mark.engine
def test_the_infrastructure(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    started = engines.up(port=process.free_port(), state_dir=tmp_path / "engine")
    try:
        engine = RunningEngine(started)
        ArtifactBucket.of(engine.target).ensure()  # what the bootstrap makes on AWS
        artifacts = [packaging.build(function, tmp_path / "dist") for function in FUNCTIONS]
        parameters = {"LogRetentionDays": "7", "CacheTtlSeconds": "1"}
        variables = {"stage": "test", "prefix": "tf-", "retain": "false", "parameters": json.dumps(parameters)}
        terraform = Terraform(tmp_path, "infrastructure", engine, variables)
        planned = terraform.run("apply", "-auto-approve")  # it shows its plan first; each command costs ten seconds
        assert f"Plan: {len(FUNCTIONS) + 2} to add, 0 to change, 0 to destroy." in planned
        assert "CodeUri" not in planned, "a plan that shows the whole template is not read by anybody"

        # Use: by test.py, as its page says, and by a change that is audited.
        shown = terraform.execute(sys.executable, "test.py")
        assert "/v1/health: 200\n" in shown
        assert json.loads(shown.splitlines()[1])["state"] == "ok"
        assert "/v1/nowhere: 4" in terraform.execute(sys.executable, "test.py", "/v1/nowhere", code=1)
        dynamodb = engine.client("dynamodb")
        dynamodb.put_item(TableName="tf-Configuration", Item={"key": {"S": "one"}})
        [record] = eventually(lambda: dynamodb.scan(TableName="tf-Audit")["Items"])
        assert record["itemKey"] == {"S": "one"}

        outputs = terraform.outputs()
        found = stacks.describe(engine.target, Stage("test", "tf-").stack)
        assert found is not None
        assert (outputs["stack_name"], outputs["stack_outputs"]) == (found.name, found.outputs)
        group = engine.client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/tf-audit_producer")
        assert group["logGroups"][0]["retentionInDays"] == 7
        points_as_deploying_does(engine, artifacts)

        terraform.run("plan", "-detailed-exitcode")
        terraform.destroy()
        assert stacks.describe(engine.target, found.name) is None
        left = engine.client("s3").list_objects_v2(Bucket=ArtifactBucket.of(engine.target).name, Prefix="terraform/")
        assert left["KeyCount"] == 0
    finally:
        engines.down(state_dir=started.directory, force=True)


def points_as_deploying_does(engine: RunningEngine, artifacts: list[packaging.Artifact]) -> None:
    """Hold the template that Terraform uploaded to the one that `weaudit deploy` makes: the same but for folders."""
    bucket, client = ArtifactBucket.of(engine.target).name, engine.client("s3")
    [key] = [
        found["Key"]
        for found in client.list_objects_v2(Bucket=bucket, Prefix="terraform/tf-weaudit-test/templates/")["Contents"]
    ]
    uploaded = client.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    ours = stack.point_at((ROOT / "infra" / "template.yaml").read_text(encoding="utf-8"), bucket, artifacts, {})
    assert uploaded.count("(settings ") == ours.count("(settings ") == len(FUNCTIONS)

    def alike(text: str) -> str:
        text = re.sub(r"\(settings [0-9a-f]{8}\)", "(settings)", text)
        return text.replace(f"s3://{bucket}/terraform/tf-weaudit-test/", f"s3://{bucket}/")

    assert alike(uploaded) == alike(ours)


@needs_provider
@pytest.mark.engine
def test_the_bootstrap(engine: RunningEngine, tmp_path: Path) -> None:
    account = engine.client("sts").get_caller_identity()["Account"]
    provider = f"arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com"
    variables = {"stage": "test", "prefix": "tf-", "create_artifact_bucket": "false", "oidc_provider_arn": provider}
    variables |= {"github_repository": "acme/audit", "github_repository_id": "42"}
    terraform = Terraform(tmp_path, "bootstrap", engine, variables)
    terraform.run("apply", "-auto-approve")

    outputs = terraform.outputs()
    name = outputs["deploy_role_arn"].rpartition("/")[2]
    trust = engine.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert "repo:acme/audit:environment:test" in json.dumps(trust)
    assert outputs["artifact_bucket"] == ArtifactBucket.of(engine.target).name
    assert outputs["oidc_provider_arn"] == provider
    assert outputs["permissions_boundary_arn"]

    terraform.run("plan", "-detailed-exitcode")
    terraform.destroy()


# ---- without a provider


@needs_terraform
def test_it_is_formatted() -> None:
    done = subprocess.run(
        ["terraform", "fmt", "-check", "-diff", "-recursive", str(ROOT / "infra" / "terraform")],
        env={"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", ["variable", "output"])
def test_the_page_has_every_variable_and_output(folder: str, kind: str) -> None:
    text = (ROOT / "infra" / "terraform" / folder / f"{kind}s.tf").read_text(encoding="utf-8")
    described = re.findall(rf'^{kind} "(\w+)" \{{\n  description = "(.+)"$', text, re.MULTILINE)
    assert len(described) == len(re.findall(rf"^{kind} ", text, re.MULTILINE))
    [section] = re.findall(rf"^## The {folder}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    rows = re.findall(rf"^\| {kind} \| `(\w+)` \| (.+) \|$", section, re.MULTILINE)
    assert rows == [(name, meaning.replace('\\"', '"')) for name, meaning in described]


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_provider_is_pinned_alike(folder: str) -> None:
    text = (ROOT / "infra" / "terraform" / folder / "versions.tf").read_text(encoding="utf-8")
    [version] = re.findall(r'^ +version = "([^"]+)"', text, re.MULTILINE)
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"provider {version}" in PAGE
