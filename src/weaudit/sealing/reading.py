"""Reads what came since the marks: each record of each shard once, parents before children, and says what is missing.

A stream keeps its records for 24 hours. What the sealer did not read by then cannot be known any more, and the log says
so (``gap``).
"""

from __future__ import annotations

from weaudit.ledger.entries import entry
from weaudit.sealing.marks import END, START
from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from weaudit.ledger.entries import Entry
    from weaudit.sealing.marks import Marks
    from weaudit.sealing.outcomes import Outcomes
    from weaudit.sealing.store_streams import Shard, TableStreams
    from weaudit.trail.verification.rows import Source


# A shard may have long parts without a record, each an answer without any. One that is open is asked again by the next
# run, where this one stopped; one that is closed is read to its end at once.
_MOST_EMPTY = 100


@value
class Batch:
    """Entries, and the marks that hold once they are sealed."""

    entries: list[Entry]
    marks: Marks


class Reading:
    """Reads the streams of several tables. It keeps where it stands in each shard, which only saves requests."""

    def __init__(self, streams: TableStreams, sources: Sequence[Source], outcomes: Outcomes) -> None:
        self._streams = streams
        self._sources = sources
        self._outcomes = outcomes
        self._places: dict[tuple[str, str, str], str] = {}

    def since(self, marks: Marks, at: str, *, missed: bool, behind: bool) -> Iterator[Batch]:
        """Yield what came after the marks, in batches of a thousand entries at most, until nothing more comes.

        ``at`` is the time of entries that no record has a time for. ``missed`` says that nothing was read for as long
        as a stream keeps its records, and ``behind`` that not everything was when it was read last. Raises StoreError.
        """
        marks = {stream: dict(shards) for stream, shards in marks.items()}
        if missed and marks:
            yield Batch([entry("gap", at, stream=stream) for stream in marks], _copied(marks))
        for source in self._sources:
            for batch in self._table(source, marks, at, behind=behind):
                yield Batch(batch, _copied(marks))
        yield Batch([], marks)

    def _table(self, source: Source, marks: Marks, at: str, *, behind: bool) -> Iterator[list[Entry]]:
        known = sorted(arn for arn in marks if _table_of(arn) == source.name)
        for arn in [*known, *(arn for arn in self._streams.of_table(source.name) if arn not in marks)]:
            shards = self._streams.shards(arn)
            if shards is None:
                # Its records are gone; what it said before was read unless a shard had more.
                yield _gaps(arn, marks.pop(arn), at)
                continue
            if arn not in marks:
                marks[arn] = {}
                if known:  # between two streams of a table, nobody says what happened
                    yield [entry("gap", at, stream=known[-1])]
            listed = {shard.name for shard in shards}
            gone = {name: mark for name, mark in marks[arn].items() if name not in listed}
            for name in gone:
                del marks[arn][name]
            yield _gaps(arn, gone, at)
            yield from self._stream(source, arn, shards, marks[arn], at, behind=behind)

    def _stream(
        self, source: Source, arn: str, shards: list[Shard], marks: dict[str, str], at: str, *, behind: bool
    ) -> Iterator[list[Entry]]:
        waiting = [shard for shard in shards if marks.get(shard.name) != END]
        while True:
            unread = {shard.name for shard in shards if marks.get(shard.name) != END}
            ready = [shard for shard in waiting if shard.parent not in unread]
            if not ready:
                return
            for shard in ready:
                yield from self._shard(source, arn, shard, marks, at, behind=behind)
            waiting = [shard for shard in waiting if shard not in ready]

    def _shard(
        self, source: Source, arn: str, shard: Shard, marks: dict[str, str], at: str, *, behind: bool
    ) -> Iterator[list[Entry]]:
        mark = marks.setdefault(shard.name, START)
        place = self._places.pop((arn, shard.name, mark), None) or self._streams.iterator(arn, shard.name, mark)
        if place is None:
            # The record at the mark is older than a stream keeps. Nothing came after it, or it came unread.
            if behind:
                yield [entry("gap", at, stream=arn, shard=shard.name, after=mark)]
            place = self._streams.iterator(arn, shard.name, START)
        for _ in range(_MOST_EMPTY):
            answer = self._streams.records(place) if place else None
            if answer is None:
                return  # the place was kept for too long: the next run asks for another
            records, place = answer
            while records:
                entries = []
                for record in records:
                    sequence = str(record["dynamodb"]["SequenceNumber"])
                    if mark == START or int(sequence) > int(mark):
                        found = self._outcomes.of(source, record)
                        entries += [found] if found is not None else []
                        mark = sequence
                marks[shard.name] = mark
                if entries:
                    yield entries
                records, place = (place and self._streams.records(place)) or ([], place)
            if not place:
                marks[shard.name] = END
                return
            if not shard.closed:
                self._places[arn, shard.name, mark] = place
                return


def _gaps(arn: str, shards: dict[str, str], at: str) -> list[Entry]:
    """Return an entry for each of the shards that are gone and were not read to their end."""
    return [
        entry("gap", at, stream=arn, shard=shard, **({"after": mark} if mark else {}))
        for shard, mark in shards.items()
        if mark != END
    ]


def _table_of(arn: str) -> str:
    return arn.partition(":table/")[2].partition("/stream/")[0]


def _copied(marks: Marks) -> Marks:
    return {stream: dict(shards) for stream, shards in marks.items()}
