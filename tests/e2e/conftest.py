"""An engine of the test's own, which commands find by the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import apis
from weaudit.local import engine, process


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Start an engine with the stack deployed; it is gone afterwards."""
    monkeypatch.setenv("WEAUDIT_STATE_DIR", str(tmp_path))
    engine.up(port=process.free_port(), state_dir=tmp_path)
    yield tmp_path
    engine.down(state_dir=tmp_path, force=True)


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apis.Api]:
    """Start the engine of the tests of the API's outside, which checks who asks."""
    yield from apis.started(tmp_path_factory.mktemp("engine"))
