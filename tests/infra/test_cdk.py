"""The CDK example: the same stack as the template's own, with the zips as assets. Synthesised where Node is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

from tests.infra.test_template import PLAIN, listed
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
HOME = ROOT / "examples" / "cdk"
MODULES = HOME / "node_modules"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not MODULES.is_dir(),
    reason="no Node, or `npm ci` was not run in examples/cdk: the CDK example was NOT synthesised",
)


class _Session:
    region_name = "us-east-1"


@needs_node
def test_it_makes_the_stack_of_the_template(tmp_path: Path) -> None:
    node = shutil.which("node")
    assert node is not None
    for function in FUNCTIONS:
        packaging.build(function, tmp_path / "dist")
    context = {
        "template": str(ROOT / "infra" / "template.yaml"),
        "packages": str(tmp_path / "dist"),
        "stage": "test",
        "prefix": "cdk-",
        "parameters": json.dumps({"LogRetentionDays": "90", "CallerRoleNames": ["one", "two"]}),
    }
    out = tmp_path / "out"
    environment = {
        "PATH": str(Path(node).parent),
        "HOME": str(tmp_path),
        "NODE_PATH": str(MODULES),
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_OUTDIR": str(out),
    }
    for command in (
        [node, str(MODULES / "typescript" / "bin" / "tsc"), "-p", str(HOME), "--outDir", str(tmp_path / "build")],
        [node, str(tmp_path / "build" / "app.js")],
    ):
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]

    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["artifacts"]["WeAudit"]["properties"]["stackName"] == "cdk-weaudit-test"
    template = json.loads((out / "WeAudit.template.json").read_text(encoding="utf-8"))
    assert not {"Prefix", "LogRetentionDays", "CallerRoleNames"} & template["Parameters"].keys()
    assert template["Resources"]["ApiCallers"]["Properties"]["Roles"] == ["one", "two"]

    plain: dict[str, Any] = Translator({}, Parser(), boto_session=_Session()).translate(template, {})
    assert shape(plain) == shape(PLAIN)
    functions = [found for found in plain["Resources"].values() if found["Type"] == "AWS::Lambda::Function"]
    assets = {found["Properties"]["Code"]["S3Key"] for found in functions}
    assert {(out / f"asset.{key}").read_bytes() for key in assets} == {
        (tmp_path / "dist" / f"{function.name}.zip").read_bytes() for function in FUNCTIONS
    }
    path = tmp_path / "plain.json"
    path.write_text(json.dumps(plain), encoding="utf-8")
    lint = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W", "--", str(path)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    # Warnings are left out: with values in the place of parameters a Fn::Sub or a condition may have nothing to decide.
    assert done.stdout + done.stderr == ""


def shape(template: dict[str, Any]) -> dict[str, tuple[str, set[str]]]:
    """Return each resource's type and what it waits for, by its name, which ends with a digest for a version."""
    return {
        re.sub(r"^(\w+Version)[0-9a-f]{10}$", r"\1", name): (found["Type"], set(listed(found.get("DependsOn", []))))
        for name, found in template["Resources"].items()
    }


def test_what_it_needs_is_pinned_and_names_no_registry() -> None:
    wanted = json.loads((HOME / "package.json").read_text(encoding="utf-8"))
    pins = {**wanted["dependencies"], **wanted["devDependencies"]}
    lock = json.loads((HOME / "package-lock.json").read_text(encoding="utf-8"))
    assert pins == {name: lock["packages"][f"node_modules/{name}"]["version"] for name in pins}
    outside = [found for found in lock["packages"].values() if "version" in found and not found.get("inBundle")]
    assert all(found["integrity"].startswith("sha512-") for found in outside)
    assert not [name for name, found in lock["packages"].items() if "resolved" in found]
