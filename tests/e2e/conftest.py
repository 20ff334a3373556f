"""An engine of the test's own, which commands find by the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from weaudit.local import engine, process


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start an engine with the stack deployed; it is gone afterwards."""
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path))
    engine.up(port=process.free_port(), state_dir=tmp_path)
    yield tmp_path
    engine.down(state_dir=tmp_path, force=True)
