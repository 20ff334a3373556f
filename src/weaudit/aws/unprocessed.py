"""Bounds the retries of items that a throttled table leaves unprocessed, and waits before each."""

from __future__ import annotations

import time

from weaudit.errors import StoreUnavailableError

# Waits grow to a second, so ten of them take about five seconds.
_ROUNDS = 10
_LONGEST_WAIT_S = 1.0


class Rounds:
    """Counts the rounds in which the table left items of one batch unprocessed."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._rounds = 0
        self._without_progress = 0

    def wait(self, *, progress: bool) -> None:
        """Wait before the next round. Raises StoreUnavailableError after ten rounds in a row without progress.

        The wait grows with each round.
        """
        self._rounds += 1
        self._without_progress = 0 if progress else self._without_progress + 1
        if self._without_progress == _ROUNDS:
            raise StoreUnavailableError(f"{self._table} left items unprocessed {_ROUNDS} times: it is throttled")
        import random  # as in connections.py

        longest_s = min(_LONGEST_WAIT_S, 0.05 * 2 ** min(self._rounds, _ROUNDS))
        time.sleep(random.uniform(0, longest_s))  # noqa: S311 jitter, no secret
