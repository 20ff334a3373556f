"""microburst whose draws come from a seed: `python seeded_microburst.py SEED [options of microburst]`.

Of each operation of each service, whether the n-th request is failed follows from the seed, the rules in force and n
alone, whatever other operations do in between. Which request is the n-th, where several are on their way at one time,
and how many there are, is a matter of timing and does not.
"""

import hashlib
import json
import random
import sys
from collections import Counter
from typing import Any

from microburst import cli, rules


class Draws:
    """Numbers in [0, 1), a sequence of its own for each operation; begun anew with each set of rules."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._in_force = ""
        self._drawn: Counter[str] = Counter()

    def begin(self, in_force: Any) -> None:
        """Begin all sequences anew, as these rules have them."""
        self._in_force = json.dumps(in_force, sort_keys=True)
        self._drawn.clear()

    def draw(self, service: str, operation: str) -> float:
        """Return the next number of the operation."""
        operation = f"{service} {operation}"
        self._drawn[operation] += 1
        text = f"{self._seed} {self._in_force} {operation} {self._drawn[operation]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def main(seed: str, options: list[str]) -> int:
    """Run microburst until it is ended."""
    draws, set_rules = Draws(seed), rules.RuleEngine.set_rules

    def seeded(engine: rules.RuleEngine, given: list[dict[str, Any]]) -> Any:
        draws.begin(given)
        random.seed(seed)  # how slow what is slowed down is
        # microburst's own word for rules that ask _draw, and no random number.
        return set_rules(engine, [{**rule, "deterministic": True} for rule in given])

    rules.RuleEngine.set_rules = seeded
    rules._draw = lambda request: draws.draw(request.service, request.operation)
    return int(cli.main(options))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
