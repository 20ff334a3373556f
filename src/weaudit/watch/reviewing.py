"""Looks at the rules of a table beside its trail: what they would do, and what in the trail is older than they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from weaudit.capture.configuration import ALWAYS, OWN_PREFIXES
from weaudit.capture.rules import PLACES, Rules, resolved
from weaudit.errors import InvalidInputError
from weaudit.installation import readers
from weaudit.installation.outputs import Installation
from weaudit.items.paths import Path, path_text
from weaudit.trail.changes import AuditedChange
from weaudit.watch import ruling
from weaudit.watch.ruling import Ruling
from weaudit.watch.trying import HIDING, Trial, held, tried
from weaudit.watch.watched import describe_table, key_of, producer_settings
from weaudit.watch.wishes import Wish

if TYPE_CHECKING:
    from weaudit.trail.reader import Trail

# Stands for all places that an only rule leaves out.
_ONLY: tuple[str, Path] = ("only", ())


@dataclass(frozen=True, slots=True)
class Older:
    """What records hold in the clear of a place that a rule hides, of changes that were made before the rule.

    ``since`` is from when on the place is hidden. Of the ``looked_at`` latest changes before, ``changes`` hold it in
    the clear, the latest of them at ``latest``.
    """

    place: str
    rule: str
    since: str
    looked_at: int
    changes: int
    latest: str


@dataclass(frozen=True, slots=True)
class Review:
    """The rules of one table, and its trail."""

    installation: Installation
    table: str
    key: tuple[str, ...]
    ruling: Ruling
    trail: "Trail"

    @classmethod
    def of(cls, installation: Installation, table: str) -> "Review":
        """Read the rules of a table, which need not be there any more. Raises InvalidInputError if nothing is."""
        description = describe_table(installation.target, table) if table else None
        key = key_of(description)
        actor = producer_settings(installation).get("ACTOR_ATTRIBUTE", "")
        found = ruling.read(installation, table, key, actor)
        if description is None and found.item is None:
            raise InvalidInputError(
                f"there is no table {table!r} on {installation.target.describe()}, and there are no rules of one\n"
                "`weaudit watched` lists the tables that are watched."
            )
        return cls(installation, table, key, found, readers.open_trail(installation.target, installation.audit_table))

    def wished(self, wish: Wish) -> Rules:
        """Return what a wish would make of the latest rules. Raises InvalidInputError if that is not valid."""
        return wish.applied(self.ruling.latest, self.key)

    def tried(self, rules: Rules, last: int) -> Trial:
        """Return what rules would make of the ``last`` latest changes. Raises StoreError."""
        whole, rules = Rules(), resolved(rules, self.key)
        holds_rules = self.table == self.installation.configuration_table

        def of(change: AuditedChange) -> Rules:
            return whole if holds_rules and change.item_key.startswith(OWN_PREFIXES) else rules

        return tried(self._latest(last), of)

    def older(self, last: int) -> list[Older]:
        """Return what is in the trail of places that rules hide, and older than they are. Raises StoreError.

        Looks at ``last`` changes before each time at which a place was hidden first, of the rules that are in force and
        of those that are still to come.
        """
        begun: dict[str, dict[tuple[str, Path], Rules]] = {}
        for rules in (self.ruling.in_force, self.ruling.latest):
            places = [(rule, path) for rule in HIDING for path in getattr(rules, PLACES[rule])]
            for rule, path in [*places, *([_ONLY] if rules.only else [])]:
                begun.setdefault(self._hidden_since(rules, path), {})[rule, path] = rules
        return [one for since in sorted(begun) if since > ALWAYS for one in self._older(since, begun[since], last)]

    def _hidden_since(self, rules: Rules, path: Path) -> str:
        """Return from when on a place is hidden by these rules and those before; () stands for what only leaves out."""
        since = rules.since
        for earlier in reversed([version for version in self.ruling.versions if version.since < rules.since]):
            if not (_hides(resolved(earlier, self.key), path) if path else _leaves_out(earlier, rules)):
                break
            since = earlier.since
        return since

    def _older(self, since: str, places: Mapping[tuple[str, Path], Rules], last: int) -> Iterator[Older]:
        changes = list(self._latest(last, before=since))
        rules = {path_text(path): rule for rule, path in places if path}
        kept = {path[0] for path in resolved(places[_ONLY], self.key).only} if _ONLY in places else set()
        found = held(changes, [path for _, path in places if path], kept)
        for place, clear in found.items():
            yield Older(place, rules.get(place, "only"), since, len(changes), clear.changes, clear.latest)

    def _latest(self, count: int, before: str | None = None) -> Iterator[AuditedChange]:
        """Yield the latest changes, the newest first: of all, or of those that were made before a time."""
        # No change is of the future, and the trail would be looked through month by month from there.
        until = before if before is not None and before < self.ruling.now else None
        found = self.trail.table(self.table, until=until, newest_first=True)
        return islice((change for change in found if before is None or change.at < before), count)


def _hides(rules: Rules, path: Path) -> bool:
    if rules.only and (path[0],) not in rules.only:
        return True
    return any(path[: len(place)] == place for place in rules.excluded + rules.masked)


def _leaves_out(earlier: Rules, later: Rules) -> bool:
    """Return whether rules record no attribute that the later ones leave out."""
    return bool(earlier.only) and set(earlier.only) <= set(later.only)
