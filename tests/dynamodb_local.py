"""DynamoDB Local, where a machine has it: AWS's own word on what DynamoDB does. Its licence forbids shipping it."""

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaudit.local import process

REGION = "us-east-1"
# Read here: tests run without the user's variables.
_HOME = os.environ.get("WEAUDIT_DYNAMODB_LOCAL", "")


@contextlib.contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """Run it in ``folder`` and give the variables by which a client reaches it; skip the test where it is missing."""
    if not _HOME or not shutil.which("java"):
        pytest.skip("no DynamoDB Local: name its folder in WEAUDIT_DYNAMODB_LOCAL, and have java")
    port = process.free_port()
    command = [
        "java",
        f"-Djava.library.path={_HOME}/DynamoDBLocal_lib",
        "-Xmx512m",
        "-jar",
        f"{_HOME}/DynamoDBLocal.jar",
    ]
    server = subprocess.Popen([*command, "-inMemory", "-sharedDb", "-port", str(port)], cwd=folder)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(url, timeout=5)
            except urllib.error.HTTPError:
                break  # it answers, that is enough
            except OSError:
                time.sleep(0.1)
        keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        yield {"AWS_ENDPOINT_URL": url, "AWS_REGION": REGION, **keys}
    finally:
        server.terminate()
        server.wait(timeout=30)
