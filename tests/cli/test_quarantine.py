"""`weaudit quarantine replay`: what it says of a record that no call carries."""

import pytest
from typer.testing import CliRunner

from tests.installation.test_quarantine import Installed, installed, too_large
from weaudit.cli import main, quarantine

__all__ = ["installed"]  # the fixture: an evidence bucket, and a function that takes 6 MB


def test_a_record_that_no_call_carries_is_said_to_stay(installed: Installed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "_quarantine", lambda: installed.quarantine)
    entry = installed.given_up(too_large())
    for _ in range(2):
        result = CliRunner().invoke(main.app, ["quarantine", "replay"])
        assert (result.exit_code, result.stdout) == (1, "0 audited, 1 still in quarantine.\n")
        assert f"{entry}: a record takes 7,2" in result.stderr
        assert "6,291,455 at most" in result.stderr
        assert "docs/operating.md" in result.stderr
        assert result.stderr.endswith(f"1 of 1: {entry} failed again\n")
