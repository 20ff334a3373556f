"""The templates, by the SAM CLI's own check, where it is installed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TEMPLATES = sorted((Path(__file__).parents[2] / "infra").glob("*.yaml"))
needs_sam = pytest.mark.skipif(
    shutil.which("sam") is None, reason="the SAM CLI is not installed: `sam validate --lint` was NOT run"
)


@needs_sam
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_sam_validate_is_clean(template: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "SAM_CLI_TELEMETRY": "0", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["sam", "validate", "--lint", "--template", str(template), "--region", "us-east-1"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid SAM Template" in done.stdout
