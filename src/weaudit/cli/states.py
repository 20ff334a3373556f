"""`weaudit as-of`, `weaudit diff`: an item as it was, and what changed between two times."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from weaudit.aws.errors import withheld
from weaudit.cli.options import AuditTableOption, KeyArgument, LogTableOption, StateOption, TableOption, UtcOption
from weaudit.cli.printing import moments, output, panels
from weaudit.errors import DeployError, InvalidInputError, RecordRejectedError, StoreRefusedError
from weaudit.installation.item_keys import item_keys
from weaudit.installation.readers import key_schema, of_stage, open_trail, with_callers
from weaudit.items.texts import dumps
from weaudit.items.typed_keys import typed_key
from weaudit.trail.state_documents import as_of_document, between_document
from weaudit.values import replaced

if TYPE_CHECKING:
    from weaudit.installation.targets import Target
    from weaudit.items.values import Item
    from weaudit.trail.reader import Trail
    from weaudit.trail.states import AsOf, Between

Found = TypeVar("Found", "AsOf", "Between")

_TIMES = "ISO 8601, a date (its last moment), or 2h, 3d (that long ago)."

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, with values uncut and times in UTC.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("as-of", rich_help_panel=panels.TRAIL)(as_of)
    app.command(rich_help_panel=panels.TRAIL)(diff)


def as_of(
    item_key: KeyArgument,
    time: Annotated[str | None, typer.Argument(metavar="TIME", help=_TIMES, show_default=False)] = None,
    sequence: Annotated[
        str | None,
        typer.Option("--sequence", "-s", metavar="N", help="Show the item after the change with this sequence number."),
    ] = None,
    table: TableOption = "Configuration",
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show an item as it was at a time, including all changes of that second, or after a certain change.

    The item is rebuilt from the trail and checked against its recorded hash. Works for deleted items and tables, too.

    Exit code 1 if the trail does not hold the whole item: known attributes are shown, unknown ones are named.

    Example: weaudit as-of CACHE_TTL_SEC 2h
    """
    if (time is None) == (sequence is None):
        raise InvalidInputError(
            "give either a time or a change's sequence number\n"
            "For example `weaudit as-of CACHE_TTL_SEC 2h` or `weaudit as-of CACHE_TTL_SEC --sequence 1700000000001`."
        )
    table, audit_table, audit_log_table = of_stage(table, audit_table, audit_log_table)
    at = None if time is None else moments.parse(time, name="TIME", utc=utc, end=True)
    trail = _Trail.open(table, audit_table, audit_log_table, state)
    key, found = trail.first(
        item_key, lambda key, known: trail.history.as_of(table, key, at, sequence, **known), _has_trail
    )
    (found,) = trail.with_callers(found)
    if as_json:
        output.print_text(dumps(as_of_document(found, table, key, at=at, sequence=sequence)))
    else:
        _print_state(found, utc=utc)
        if not _has_trail(found):
            trail.advise(item_key)
    raise typer.Exit(output.EXIT_FINE if found.complete else output.EXIT_FAILED)


def diff(
    item_key: KeyArgument,
    begin: Annotated[str, typer.Argument(metavar="T1", help=f"The earlier time: {_TIMES}", show_default=False)],
    end: Annotated[str, typer.Argument(metavar="T2", help="The later time, in the same forms.", show_default=False)],
    table: TableOption = "Configuration",
    as_json: JsonOption = False,
    utc: UtcOption = False,
    audit_table: AuditTableOption = "Audit",
    audit_log_table: LogTableOption = "audit_logs",
    state: StateOption = None,
) -> None:
    """Show what changed in an item between two times, path by path.

    Exit code 1 if the trail does not hold both states completely: what is known of both is compared.

    Example: weaudit diff CACHE_TTL_SEC 2024-01-31 2h
    """
    since, until = (moments.parse(text, name=name, utc=utc, end=True) for text, name in ((begin, "T1"), (end, "T2")))
    table, audit_table, audit_log_table = of_stage(table, audit_table, audit_log_table)
    if since > until:
        raise InvalidInputError(f"T1 {begin} is after T2 {end}\nGive the earlier time first.")
    trail = _Trail.open(table, audit_table, audit_log_table, state)
    key, found = trail.first(
        item_key, lambda key, known: trail.history.between(table, key, since, until, **known), _either_has_trail
    )
    before, after = trail.with_callers(found.before, found.after)
    found = replaced(found, before=before, after=after)
    if as_json:
        output.print_text(dumps(between_document(found, table, key, since, until)))
    else:
        _print_between(found, begin, end)
        if not _either_has_trail(found):
            trail.advise(item_key)
    raise typer.Exit(output.EXIT_FINE if found.complete else output.EXIT_FAILED)


@dataclass(frozen=True, slots=True)
class _Trail:
    """The trail of one table, and what helps to read it: the current table, if it still exists."""

    target: "Target"
    client: Any
    history: "Trail"
    table: str
    audit_table: str
    audit_log_table: str
    schema: dict[str, str] | None
    why_unread: str

    @classmethod
    def open(cls, table: str, audit_table: str, audit_log_table: str, state: Any) -> "_Trail":
        from weaudit.installation import clients
        from weaudit.installation.targets import Target

        target = Target.resolve(state_dir=state)
        client = clients.dynamodb(target)
        schema, why_unread = key_schema(client, table)
        history = open_trail(target, audit_table, client)
        return cls(target, client, history, table, audit_table, audit_log_table, schema, why_unread)

    def first(
        self, item_key: str, ask: Callable[[str, dict[str, Any]], Found], has_trail: Callable[[Found], bool]
    ) -> tuple[str, Found]:
        """Return the first item key that the text can mean and that has a trail, with what was found."""
        found: Found | None = None
        key = item_key
        for key in item_keys(item_key, self.schema, self.table):
            found = ask(key, self._known(key))
            if has_trail(found):
                break
        if found is None or (not found.complete and self._from_birth()):
            found = ask(key, {**self._known(key), "from_birth": True})
        return key, found

    def _known(self, key: str) -> dict[str, Any]:
        return {"live": partial(self._live, key)} if self.schema else {}

    def _live(self, key: str) -> "Item | None":
        """Return the item as it is now, or None if it does not exist or may not be read."""
        try:
            typed = typed_key(key, self.schema or {})
            request = {"TableName": self.table, "Key": typed, "ConsistentRead": True}
            item: Item | None = self.client.call("GetItem", request).get("Item")
        except InvalidInputError:  # the key need not fit the table
            return None
        except (RecordRejectedError, StoreRefusedError) as error:
            # Reading the trail needs no permission on the table itself.
            if not withheld(error.aws_code) and error.aws_code != "ValidationException":
                raise
            return None
        return item

    def _from_birth(self) -> bool:
        """Return whether the stack created this table together with its auditing."""
        from weaudit.installation.boto_errors import translated
        from weaudit.installation.outputs import Installation

        try:
            with translated():
                found = Installation.find()
        except DeployError:
            return False
        except StoreRefusedError as error:
            if not withheld(error.aws_code):
                raise
            return False
        return (found.target, found.configuration_table, found.audit_table) == (
            self.target,
            self.table,
            self.audit_table,
        )

    def with_callers(self, *states: "AsOf") -> list["AsOf"]:
        """Return the states with the callers of their adjacent changes, as far as the update log knows them."""
        changes = [change for state in states for change in (state.last_change, state.next_change) if change]
        found = with_callers(changes, self.history, self.client, self.audit_log_table, output.note)
        named = {change.order: change for change in found}
        return [
            replaced(
                state,
                last_change=named[state.last_change.order] if state.last_change else None,
                next_change=named[state.next_change.order] if state.next_change else None,
            )
            for state in states
        ]

    def advise(self, item_key: str) -> None:
        output.note(self.why_unread or f"Is the key {item_key!r} spelled exactly like this?")
        output.note(f"Looked at {self.target.describe()}. A change appears a moment after it was made.")


def _has_trail(found: "AsOf") -> bool:
    return found.last_change is not None or found.next_change is not None


def _either_has_trail(found: "Between") -> bool:
    return _has_trail(found.before) or _has_trail(found.after)


def _print_state(found: "AsOf", *, utc: bool) -> None:
    from weaudit.cli.printing.rendering import Rendering, who

    rendering = Rendering(output.stdout(), utc=utc, with_items=False)
    rendering.print_item(found.item or {})
    last = found.last_change
    if last is not None:
        when = f"{moments.shown(last.at, utc=utc)} {moments.zone_name(utc=utc)}"
        became = "deleted" if last.event_name == "REMOVE" else "so"
        output.note(f"It was {became} from {when} on (by {who(last.actor).plain}, sequence {last.sequence}).")
    elif found.exists is False:
        output.note("It did not exist yet.")
    if found.next_change is not None:
        output.note(f"The next change followed at {moments.shown(found.next_change.at, utc=utc)}.")
    _print_problems(found, found.unknown)
    rendering.say_what_is_cut()


def _print_between(found: "Between", begin: str, end: str) -> None:
    from weaudit.cli.printing.rendering import Rendering

    rendering = Rendering(output.stdout(), utc=True, with_items=False)
    count = rendering.print_places(found.differences)
    if found.complete and not count:
        why = "it was the same at both times" if found.before.exists else "it did not exist at either time"
        output.note(f"Nothing differs: {why}.")
    for state, text in ((found.before, begin), (found.after, end)):
        _print_problems(state, (), f"As of {text}: ")
    _print_unknown(found.unknown)
    rendering.say_what_is_cut()


def _print_problems(found: "AsOf", unknown: Iterable[str], prefix: str = "") -> None:
    for problem in found.problems:
        output.note(f"{prefix}incomplete: {output.safe(problem.message)} ({problem.code}).")
    _print_unknown(unknown)


def _print_unknown(names: Iterable[str]) -> None:
    listed = ", ".join(output.safe(name) for name in names)
    if listed:
        output.note(f"Unknown: {listed}")
