"""Changes as a readable table: when, who, what, old → new, path by path.

Lines are printed change by change, with columns of fixed width, so that any trail's output starts at once.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from weaudit.capture.masking import REDACTED
from weaudit.cli.printing import moments, output
from weaudit.evidence import REST
from weaudit.items.differences import Difference, differences
from weaudit.items.plain import plain
from weaudit.items.texts import dumps
from weaudit.items.values import WITHHELD, Item, Value
from weaudit.trail.changes import Actor, AttributeChange, AuditedChange, ValueReference, unread
from weaudit.trail.folding import Fold

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_LONGEST_VALUE = 240  # characters
_MOST_PLACES = 50  # of one attribute
_MOST_NAMES, _LONGEST_NAME = 5, 40  # of attributes that are left out: who reads them has named them
_BEFORE_THE_DIFFERENCE = 24  # characters shown of what two long texts begin with alike
_WHEN, _WHO, _NARROWEST = 19, 14, 24
_MINUS = "\N{MINUS SIGN}"
_SETS = ("SS", "NS", "BS")
# What a change did to the whole item.
_VERBS = {"INSERT": "created", "REMOVE": "deleted"}
# How the actor of a change is known; the stream itself names a service.
_KNOWN_BY = {"logged": " (logged)", "stated": " (stated)", "carried": "? (carried)"}
# A TTL delete, by far the most common of a service's changes.
_SERVICES = {"dynamodb.amazonaws.com": "DynamoDB (TTL)"}


class Rendering:
    """Prints changes, items and differences to a console; ``cut`` is True once a value was shortened."""

    def __init__(self, console: "Console", *, utc: bool, with_items: bool) -> None:
        self._console = console
        self._utc = utc
        self._with_items = with_items
        self.cut = False

    def print(self, changes: Iterable[AuditedChange | Fold]) -> int:
        """Print the changes, and each fold as one line, a heading before the first; return how many there were."""
        from rich.text import Text

        count = 0
        for count, change in enumerate(changes, 1):
            if count == 1:
                heading = [f"When ({moments.zone_name(utc=self._utc)})", "Who", "Item", "What", "Old → new"]
                cells = heading if self._with_items else [name for name in heading if name != "Item"]
                table = self._grid()
                table.add_row(*(Text(cell, style="bold") for cell in cells))
                self._put(table)
            self._put(self._fold(change) if isinstance(change, Fold) else self._change(change))
        return count

    def print_item(self, item: Item) -> None:
        """Print an item, one attribute per line, sorted by name."""
        from rich.text import Text

        self._put_pairs((path_text((name,)), Text(self._shortened(value_text(item[name])))) for name in sorted(item))

    def print_places(self, places: Iterable[Difference]) -> int:
        """Print where two states differ, and how; return the number of lines."""
        return self._put_pairs(self._difference_lines(iter(places)))

    def say_what_is_cut(self) -> None:
        """Say on stderr how to see whole values, if any was shortened."""
        if self.cut:
            output.note("Long values are cut here: --json shows them whole.")

    def _put_pairs(self, pairs: Iterable[tuple[str, "Text"]]) -> int:
        from rich.table import Table
        from rich.text import Text

        count = 0
        what = max(_NARROWEST, self._console.width // 3)
        for name, shown in pairs:
            count += 1
            table = Table.grid(padding=(0, 2, 0, 0))
            for width in (what, max(_NARROWEST, self._console.width - what - 2)):
                table.add_column(width=width, overflow="fold")
            table.add_row(Text(name, style="cyan"), shown)
            self._put(table)
        return count

    def _put(self, table: "Table") -> None:
        output.print_table(table, self._console)

    def _grid(self) -> "Table":
        from rich.table import Table

        rest = self._console.width - _WHEN - _WHO - 6 - (2 if self._with_items else 0)
        widths = [_WHEN, _WHO]
        if self._with_items:
            item = max(_NARROWEST * 2 // 3, rest // 5)
            widths.append(item)
            rest -= item
        what = max(_NARROWEST * 2 // 3, rest // 4)
        table = Table.grid(padding=(0, 2, 0, 0))
        for width in (*widths, what, max(_NARROWEST, rest - what)):
            table.add_column(width=width, overflow="fold")
        return table

    def _change(self, change: AuditedChange) -> "Table":
        from rich.text import Text

        table = self._grid()
        first = [Text(output.safe(moments.shown(change.at, utc=self._utc))), who(change.actor)]
        if self._with_items:
            named = Text(self._shortened(output.safe(change.item_key)))
            first.append(self._erased() if change.erased else named)
        for what, values in self._lines(change):
            table.add_row(*first, Text(what, style="cyan"), values)
            first = [Text("")] * len(first)
        if change.reason:
            # In parentheses, as no name of an attribute is shown: an attribute may be called "reason".
            table.add_row(*first, Text("(reason)", style="dim"), Text(self._shortened(output.safe(change.reason))))
        return table

    def _fold(self, fold: Fold) -> "Table":
        from rich.table import Table
        from rich.text import Text

        table = Table.grid()
        table.add_column(width=self._console.width, overflow="fold")
        table.add_row(Text(fold_text(fold), style="dim"))
        return table

    def _lines(self, change: AuditedChange) -> Iterator[tuple[str, "Text"]]:
        for part in change.attributes:
            if change.erased:
                what = _VERBS.get(change.event_name, "") if part.name is None else path_text((part.name,))
                yield what, self._erased()
            elif part.name is None:
                verb = "created" if part.new is not None and part.old is None else "deleted"
                # The verb says which side this is: the item needs no sign.
                yield verb, self._item(part)
            elif part.lost:
                yield path_text((part.name,)), self._moved(part)
            else:
                yield from self._places(part.name, part)

    def _places(self, name: str, part: AttributeChange) -> Iterator[tuple[str, "Text"]]:
        from rich.text import Text

        lines = self._difference_lines(differences(part.old, part.new, (name,)))
        shown = 0
        for shown, line in enumerate(lines, 1):
            if shown > _MOST_PLACES:
                more = 1 + sum(1 for _ in lines)
                self.cut = True
                yield "…", Text(f"and {more:,} more places", style="dim")
                return
            yield line
        if not shown and part.masked:
            # Only masked places changed: what they were and became is nowhere.
            yield path_text((name,)), self._step({WITHHELD: ""}, {WITHHELD: ""})
        elif not shown:
            yield path_text((name,)), Text("the same value", style="dim")

    def _difference_lines(self, found: Iterator[Difference]) -> Iterator[tuple[str, "Text"]]:
        """Yield one line per path; one line holds all members that a set gained and lost."""
        for (path, member), group in groupby(found, key=lambda place: (place.path, place.member)):
            places = list(group)
            yield path_text(path), self._members(places) if member else self._step(places[0].old, places[0].new)

    def _members(self, places: list[Difference]) -> "Text":
        from rich.text import Text

        line = Text()
        for position, place in enumerate(places):
            if position == _MOST_PLACES:
                self.cut = True
                return line.append(f"  … and {len(places) - position:,} more", style="dim")
            line.append("  " if position else "")
            line.append_text(self._step(place.old, place.new))
        return line

    def _step(self, old: Value | None, new: Value | None) -> "Text":
        from rich.text import Text

        if old is None or new is None:
            sign, value, style = (_MINUS, old, "red") if new is None else ("+", new, "green")
            return Text(f"{sign} {self._shortened(value_text(value or {}))}", style=style)
        before, after = value_text(old), value_text(new)
        if max(len(before), len(after)) > _LONGEST_VALUE:
            self.cut = True
            before, after = _from_where_they_part(before, after)
        line = Text(self._shortened(before), style="red")
        line.append(" → ", style="default")
        return line.append(self._shortened(after), style="green")

    def _item(self, part: AttributeChange) -> "Text":
        from rich.text import Text

        item = part.old if part.new is None else part.new
        lost = [name for name, _ in unread(None, item)]
        line = Text(self._shortened(value_text(item or {})))
        return line.append(f"  ({_gone(lost)})", style="dim") if lost else line

    def _erased(self) -> "Text":
        from rich.text import Text

        return Text("erased", style="dim")

    def _moved(self, part: AttributeChange) -> "Text":
        from rich.text import Text

        if part.old is None or part.new is None:
            sign, style = ("+", "green") if part.old is None else (_MINUS, "red")
            refs = part.new_refs if part.old is None else part.old_refs
            return Text(f"{sign} ", style=style).append_text(
                self._side(part.new if part.old is None else part.old, refs)
            )
        line = self._side(part.old, part.old_refs)
        return line.append(" → ", style="default").append_text(self._side(part.new, part.new_refs))

    def _side(self, value: Value | None, references: tuple[ValueReference, ...]) -> "Text":
        from rich.text import Text

        if references and value is not None and value.get(WITHHELD):
            place = output.safe(f"s3://{references[0].bucket}/{references[0].key}")
            return Text(f"{references[0].bytes:,} bytes, gone from {place} or altered there", style="dim")
        return Text(self._shortened(value_text(value or {})))

    def _shortened(self, text: str) -> str:
        if len(text) <= _LONGEST_VALUE:
            return text
        self.cut = True
        return f"{text[:_LONGEST_VALUE]}… ({len(text):,} characters)"


def fold_text(fold: Fold) -> str:
    """Return a fold for reading: ``… 3 changes of updatedAt, version alone``."""
    names = [path_text((name,)) for name in fold.names[:_MOST_NAMES]]
    listed = ", ".join(name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names)
    others = len(fold.names) - len(names)
    more = f" and {others:,} more attribute{'' if others == 1 else 's'}" if others else ""
    return f"… {fold.count:,} change{'' if fold.count == 1 else 's'} of {listed}{more} alone"


def _gone(names: list[str]) -> str:
    listed = ", ".join(output.safe(name) if name != REST else "all small attributes" for name in names)
    return f"large values are gone from the evidence bucket, or were altered there: {listed}"


def who(actor: Actor | None) -> "Text":
    """Return who made a change, and how that is known, for reading."""
    from rich.text import Text

    if actor is None:
        return Text("unknown", style="dim")
    name = _SERVICES.get(actor.name, actor.name) if actor.kind == "service" else actor.name
    if actor.kind == "logged":
        # Shorten an ARN to what people know the caller by: user/ada, assumed-role/Deploy/session. `weaudit update` puts
        # its own name and version before it.
        name = " ".join(word.rpartition(":")[2] if word.startswith("arn:") else word for word in name.split(" "))
    return Text(output.safe(name)).append(_KNOWN_BY.get(actor.kind, ""), style="dim")


def _from_where_they_part(one: str, other: str) -> tuple[str, str]:
    """Cut the common beginning of two long texts, so that their difference is visible."""
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    start = shared - _BEFORE_THE_DIFFERENCE
    return (one, other) if start <= 1 else (f"…{one[start:]}", f"…{other[start:]}")


def path_text(path: tuple[str | int, ...]) -> str:
    """Return a path for reading: ``limits.max[2]``; a name that is not a plain word is quoted, ``limits["a b"]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _reads_alone(step):
            text += f".{step}" if text else step
        else:
            quoted = dumps(step)
            text += f"[{quoted}]" if text else quoted
    return text


def _opened(value: Value) -> tuple[str, Any]:
    # Anything that is not a DynamoDB value has no type, and is shown as it is.
    return next(iter(value.items())) if len(value) == 1 else ("", value)


def _reads_alone(name: str) -> bool:
    return bool(name) and name.isprintable() and name.replace("-", "_").replace(":", "_").isidentifier()


def value_text(value: Value) -> str:
    """Return a value of DynamoDB JSON on one line, for reading: all control characters are escaped.

    Maps are ``{name: value}``, sets ``{"a", "b"}``, binary ``<AAEC>`` in base64, NULL ``null``.
    """
    kind, content = _opened(value)
    if kind == "M":
        here = ((name, part) for name, part in content.items() if not (isinstance(part, dict) and part.get(WITHHELD)))
        parts = (f"{name if _reads_alone(name) else dumps(name)}: {value_text(part)}" for name, part in here)
        return "{" + ", ".join(parts) + "}"
    if kind == "L":
        return "[" + ", ".join(value_text(part) for part in content) + "]"
    if kind in _SETS:
        return "{" + ", ".join(value_text({kind[0]: member}) for member in content) + "}"
    if kind == "B":
        return f"<{output.safe(str(content))}>"
    if kind == WITHHELD:
        return REDACTED["S"] if content == "" else "…"
    if kind in ("S", "N", "BOOL", "NULL"):
        return dumps(plain(value), indent=None)
    return output.safe(json.dumps(value, ensure_ascii=False, default=str))
