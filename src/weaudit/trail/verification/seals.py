"""What the seals of a log say: how many entries came with each, how far the streams were read, and when."""

import sys
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from weaudit.items.times import moment
from weaudit.ledger.entries import Entry

_SLACK = timedelta(minutes=1)
"""The clocks of two sealers differ by less."""
_STALE = timedelta(hours=2)
"""Twice the time after which a sealer seals even if nothing came."""


@dataclass
class Seals:
    """The seals up to some entry.

    ``since`` counts the entries after the last seal. ``last`` is the last seal's time, and ``complete`` is that of the
    last one that ended with everything read; "" if there is none. ``marks`` are the last sequence numbers that were
    read, by stream and shard.
    """

    since: int = 0
    last: str = ""
    complete: str = ""
    behind: bool = False
    marks: dict[str, dict[str, str]] = field(default_factory=dict)
    before: str = ""  # ``complete`` before the last run of seals
    more: bool = False  # the next entry must be a seal as well

    def count(self) -> None:
        """Count an entry that is no seal."""
        self.since += 1
        self.more = False

    def stale(self, now: str) -> bool:
        """Return whether the last complete seal is older than it ever is while the sealer works and sees the log."""
        complete, at = moment(self.complete), moment(now)
        return complete is not None and at is not None and complete < at - _STALE

    def take(self, seal: Entry) -> list[str]:
        """Take the next seal, and return what is wrong with it."""
        faults = []
        fields: dict[str, Any] = dict(seal.fields)
        if fields["n"] != self.since:
            faults.append(f"{self.since:,} entries came with this seal, and it says {fields['n']:,}")
        now, last = moment(seal.time), moment(self.last)
        if now is None:
            faults.append(f"its time {seal.time} is not a valid time")
        elif last is not None and now < last - _SLACK:
            faults.append(f"its time {seal.time} is before that of the seal before, {self.last}")
        for stream, shards in fields["marks"].items():
            known = self.marks.setdefault(stream, {})
            for shard, mark in shards.items():
                if _number(mark) < _number(known.get(shard, "")):
                    faults.append(
                        f"it says that shard {shard} of {stream} was read up to {mark}, which is before {known[shard]}"
                    )
                else:
                    known[shard] = mark
        if not self.more:
            self.before, self.behind = self.complete, False
        self.behind = self.behind or "behind" in fields
        # Marks that do not fit one entry are in several seals, which directly follow each other.
        self.more = "more" in fields
        self.complete = self.before if self.behind or self.more else seal.time
        self.since = self.since + 1 if self.more else 0
        self.last = seal.time
        return faults


def _number(mark: str) -> tuple[int, str]:
    """Return what sorts marks: "" before all sequence numbers, of any length, and ``end`` after them."""
    if mark == "end":
        return sys.maxsize, mark
    digits = mark.lstrip("0")
    return (len(digits), digits) if mark.isdecimal() and mark.isascii() else (-1, "")
