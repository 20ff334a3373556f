"""The trial of a real account does not go to an engine, nor to nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "smoke_aws.py"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "is no AWS account"),
        ({}, "there is nothing to talk to"),
    ],
)
def test_it_goes_nowhere_but_to_an_account(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = {**clean, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), **variables}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--yes"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert said in done.stdout + done.stderr
