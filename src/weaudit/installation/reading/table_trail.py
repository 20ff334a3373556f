"""Reads the trail of one table, with the help of the table itself if it still exists."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from weaudit.aws.errors import withheld
from weaudit.errors import DeployError, InvalidInputError, RecordRejectedError, StoreRefusedError
from weaudit.installation import clients, readers
from weaudit.installation.boto_errors import translated
from weaudit.installation.item_keys import item_keys
from weaudit.installation.outputs import Installation
from weaudit.installation.stages import Stage
from weaudit.installation.targets import Target
from weaudit.items.typed_keys import typed_key
from weaudit.trail.history import narrowed
from weaudit.values import replaced

if TYPE_CHECKING:
    from weaudit.items.values import Item
    from weaudit.trail.changes import AuditedChange
    from weaudit.trail.states import AsOf, Between

Found = TypeVar("Found", "AsOf", "Between")


class TableTrail:
    """The trail of one table.

    Items are given as a person types their keys. If a text may mean several item keys, the first with a trail counts.
    """

    def __init__(
        self, target: Target, table: str, audit_table: str, audit_log_table: str, warn: Callable[[str], None]
    ) -> None:
        """Open the trail in ``audit_table``. ``warn`` is called with the reason if the update log cannot be read."""
        self.target = target
        self.table = table
        self._audit_table = audit_table
        self._audit_log_table = audit_log_table
        self._warn = warn
        self._client = clients.dynamodb(target)
        self._trail = readers.open_trail(target, audit_table, self._client)

    @classmethod
    def open(
        cls, table: str, audit_table: str, audit_log_table: str, warn: Callable[[str], None], state_dir: Path | None
    ) -> "TableTrail":
        """Return the trail that a command means: tables of the stage that WEAUDIT_STAGE and WEAUDIT_PREFIX name."""
        stage = Stage.of()
        return cls(
            Target.resolve(state_dir=state_dir),
            stage.named(table, "Configuration"),
            stage.named(audit_table, "Audit"),
            stage.named(audit_log_table, "audit_logs"),
            warn,
        )

    @cached_property
    def _described(self) -> tuple[dict[str, str] | None, str]:
        return readers.key_schema(self._client, self.table)

    @property
    def why_unread(self) -> str:
        """Why the table may have no trail, or ""."""
        return self._described[1]

    def changes(
        self,
        since: str | None = None,
        until: str | None = None,
        *,
        without: frozenset[str] = frozenset(),
        newest_first: bool = False,
    ) -> "Iterator[AuditedChange]":
        """Yield the changes of the whole table in the order of their times.

        Large values of attributes ``without`` are not read.
        """
        return self._trail.table(self.table, since, until, newest_first, without=without)

    def history(
        self,
        item: str,
        since: str | None = None,
        until: str | None = None,
        *,
        attribute: str | None = None,
        without: frozenset[str] = frozenset(),
        newest_first: bool = False,
    ) -> "Iterator[AuditedChange]":
        """Return the changes of one item, or those that touch ``attribute``, whole and in the order of the stream.

        Large values of attributes ``without`` are not read. Raises InvalidInputError if the key does not fit the table.
        """
        found: Iterator[AuditedChange] = iter(())
        for key in item_keys(item, self._described[0], self.table):
            asked = self._trail.item(self.table, key, since, until, newest_first, without=without)
            first = next(asked, None)
            if first is not None:
                found = chain([first], asked)
                break
        if attribute is None:
            return found
        return (change for change in found if narrowed(change, attribute) is not None)

    def with_callers(
        self, found: "Iterable[AuditedChange]", attribute: str | None = None, without: frozenset[str] = frozenset()
    ) -> "Iterator[AuditedChange]":
        """Yield whole changes with their callers, as far as the update log knows them; narrowed to ``attribute``.

        The caller is found from everything that a change touched, so changes are narrowed only afterwards. For changes
        of nothing but the attributes ``without`` no caller is looked up: they are not shown.
        """
        named = readers.with_callers(found, self._trail, self._client, self._audit_log_table, self._warn, without)
        if attribute is None:
            return named
        return (kept for change in named if (kept := narrowed(change, attribute)) is not None)

    def as_of(self, item: str, at: str | None, sequence: str | None) -> "tuple[str, AsOf]":
        """Return an item's key, and the item as it was at a time or after the change with a sequence number."""
        key, found = self._first(item, partial(self._trail.as_of, self.table, at=at, sequence=sequence))
        return key, self._with_neighbours(found)[0]

    def between(self, item: str, since: str, until: str) -> "tuple[str, Between]":
        """Return an item's key, and what changed in the item between two times."""
        key, found = self._first(item, partial(self._trail.between, self.table, since=since, until=until))
        before, after = self._with_neighbours(found.before, found.after)
        return key, replaced(found, before=before, after=after)

    def _first(self, item: str, ask: "Callable[..., Found]") -> "tuple[str, Found]":
        """Return the first item key that ``item`` can mean and that has a trail, with the answer for it."""
        found: Found | None = None
        key = item
        for key in item_keys(item, self._described[0], self.table):
            found = ask(key, **self._known(key))
            if found.recorded:
                break
        if found is None or (not found.complete and self._from_birth()):
            found = ask(key, **self._known(key), from_birth=True)
        return key, found

    def _known(self, key: str) -> dict[str, Any]:
        return {"live": partial(self._live, key)} if self._described[0] else {}

    def _live(self, key: str) -> "Item | None":
        """Return the item as it is now, or None if it does not exist or may not be read."""
        try:
            typed = typed_key(key, self._described[0] or {})
            request = {"TableName": self.table, "Key": typed, "ConsistentRead": True}
            item: Item | None = self._client.call("GetItem", request).get("Item")
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
        try:
            with translated():
                found = Installation.find()
        except DeployError:
            return False
        except StoreRefusedError as error:
            if not withheld(error.aws_code):
                raise
            return False
        names = (found.configuration_table, found.audit_table)
        return found.target == self.target and names == (self.table, self._audit_table)

    def _with_neighbours(self, *states: "AsOf") -> "list[AsOf]":
        """Return the states with the callers of the changes before and after them."""
        changes = [change for state in states for change in (state.last_change, state.next_change) if change]
        named = {change.order: change for change in self.with_callers(changes)}
        return [
            replaced(
                state,
                last_change=named[state.last_change.order] if state.last_change else None,
                next_change=named[state.next_change.order] if state.next_change else None,
            )
            for state in states
        ]
