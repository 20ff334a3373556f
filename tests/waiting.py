"""Waiting for what another process does, never for a time."""

import time
from collections.abc import Callable
from typing import Any


def eventually(question: Callable[[], Any], seconds: float = 60) -> Any:
    """Ask until the answer is true, and return it; after so many seconds it fails the test."""
    deadline = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
    return answer
