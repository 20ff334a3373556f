"""How long does `weaudit history` of a small item take, from the start of its process to its end?

Beside it the AWS CLI reads the same item, from the same engine and in turn: whoever asks on call has typed that before.
Neither writes to a terminal. The AWS CLI is the one on PATH.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import engine_rate
from bench.reports import Ratio, Report, load, spread
from weaudit.installation.targets import Target
from weaudit.local import engine, process


def run(quick: bool = False) -> Report:
    """Start an engine of its own, change an item, and read it by both commands in turn. Raises RuntimeError."""
    aws = shutil.which("aws")
    if aws is None:
        raise RuntimeError("there is no AWS CLI on PATH: install one, as https://aws.amazon.com/cli/ says")
    rounds, before = 1 if quick else 15, load()
    took: dict[str, list[float]] = {"weaudit history": [], "aws dynamodb get-item": []}
    with tempfile.TemporaryDirectory() as folder:
        started = engine.up(port=process.free_port(), state_dir=Path(folder))
        try:
            target = Target.of(started)
            engine_rate.put(target, range(1))
            engine_rate.wait(target, [0])
            environment = {**os.environ, **started.environment(), "WEAUDIT_STATE_DIR": folder}
            key = engine_rate.key(0)
            commands = {
                "weaudit history": [sys.executable, "-m", "weaudit.cli.main", "history", key],
                "aws dynamodb get-item": [
                    *(aws, "dynamodb", "get-item", "--table-name", "Configuration"),
                    *("--key", f'{{"key": {{"S": "{key}"}}}}'),
                ],
            }
            for number in range(rounds + 1):
                for name, command in commands.items():
                    began = time.perf_counter()
                    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                    assert key in done.stdout, done.stdout + done.stderr
                    if number:  # the first run reads the files from disk, and compiles them
                        took[name].append(1000 * (time.perf_counter() - began))
        finally:
            engine.down(state_dir=Path(folder), force=True)
    columns = ("ms", "lowerQuartileMs", "upperQuartileMs")
    results = {name: dict(zip(columns, spread(found), strict=True)) for name, found in took.items()}
    told = subprocess.run([aws, "--version"], capture_output=True, text=True, check=True).stdout.split(" ", 1)[0]
    share = results["weaudit history"]["ms"] / results["aws dynamodb get-item"]["ms"]
    ratios = [Ratio("history of a small item: of the AWS CLI's get-item", share, 0.5, at_least=False)]
    settings = {"rounds": rounds, "awsCli": told.removeprefix("aws-cli/")}
    return Report("command_start", "a command from its start to its end", settings, results, ratios, before)
