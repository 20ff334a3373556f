"""What a throttled table leaves unprocessed is sent again, after a wait, and not for ever."""

from __future__ import annotations

import time

from weaudit.errors import StoreUnavailableError

# Waits grow to a second, so ten of them are some five seconds.
_ROUNDS = 10
_LONGEST_WAIT_S = 1.0


class Rounds:
    """The rounds of one batch in which the table left something unprocessed."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._left = 0
        self._in_vain = 0

    def wait(self, *, progress: bool) -> None:
        """Wait before the next round. Raises StoreUnavailableError after ten rounds in a row without progress.

        The longer a table has left something, the longer the wait.
        """
        self._left += 1
        self._in_vain = 0 if progress else self._in_vain + 1
        if self._in_vain == _ROUNDS:
            raise StoreUnavailableError(f"{self._table} left items unprocessed {_ROUNDS} times: it is throttled")
        import random  # as in connections.py

        longest_s = min(_LONGEST_WAIT_S, 0.05 * 2 ** min(self._left, _ROUNDS))
        time.sleep(random.uniform(0, longest_s))  # noqa: S311 jitter, no secret
