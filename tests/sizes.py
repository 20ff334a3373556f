"""How much a test repeats: `WEAUDIT_TEST_SIZE=20 make pytest` draws twenty times the examples, writes as many items.

The size of 1 is what every change is tested with, and keeps `make test` within a break; larger ones are for a night.
"""

import os

SIZE = int(os.environ.get("WEAUDIT_TEST_SIZE", "1"))


def sized(count: int) -> int:
    """Return how many examples, items or writes a test is to make, from their number at the size of 1."""
    return count * SIZE
