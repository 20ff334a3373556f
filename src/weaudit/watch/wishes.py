"""What somebody wishes a table's rules to be: what is not named stays as it is. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from weaudit.capture.configuration import LONGEST_NAME_BYTES
from weaudit.capture.rules import PLACES, Rules, place_of, resolved, with_places
from weaudit.errors import InvalidInputError
from weaudit.items.paths import Path
from weaudit.values import replaced


@dataclass(frozen=True, slots=True)
class Wish:
    """What the options of `weaudit watch` say about a table's rules.

    None leaves the attribute that names the actor, the one that confirms it, or whether a reason is required, as it is;
    "" means no attribute. ``places`` has the lists that are given, by the names of rules.PLACES: each replaces the
    table's own list of that name.
    """

    actor: str | None = None
    fresh: str | None = None
    requires_reason: bool | None = None
    places: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        actor: str | None = None,
        fresh: str | None = None,
        requires_reason: bool | None = None,
        **places: Sequence[str] | None,
    ) -> "Wish":
        """Return the wish that options make; an empty text as a place clears its list.

        Raises InvalidInputError, which says what would be right, if a text is no place, or no name.
        """
        for option, name in (("--actor", actor), ("--fresh", fresh)):
            if name is not None and len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME_BYTES:
                raise InvalidInputError(f"{option} is the name of an attribute: {LONGEST_NAME_BYTES} bytes at most")
        # Without an option, some versions of typer give an empty list.
        given = {name: _paths(name, texts) for name, texts in places.items() if texts}
        return cls(actor, fresh, requires_reason, given)

    @property
    def given(self) -> bool:
        """Whether anything is wished for."""
        return bool(self.places) or (self.actor, self.fresh, self.requires_reason) != (None, None, None)

    def applied(self, rules: Rules, key: Collection[str]) -> Rules:
        """Return rules with what is wished for, of a table with these key attributes.

        The rest stays: an item's subject can never change. Raises InvalidInputError, which says what would be right, if
        the result is not valid.
        """
        wished = replaced(
            rules,
            actor=rules.actor if self.actor is None else self.actor,
            fresh=rules.fresh if self.fresh is None else self.fresh,
            requires_reason=rules.requires_reason if self.requires_reason is None else self.requires_reason,
        )
        found = with_places(wished, **self.places)
        kept = {path[0] for path in resolved(found, key).only}
        for option, name in (("--actor", found.actor), ("--fresh", found.fresh)):
            if kept and name and name not in kept:
                raise InvalidInputError(
                    f"{name!r} is not under only, and writers name themselves there, or confirm it\n"
                    f'Add --only {name}, or give {option} "" if no writer does.'
                )
        return found


def _paths(name: str, texts: Sequence[str]) -> tuple[Path, ...]:
    if name not in PLACES:
        raise TypeError(f"{name} is no rule about places")
    if "" not in texts:
        return tuple(map(place_of, texts))
    if len(texts) > 1:
        raise InvalidInputError(f'--{name} "" clears the list, so it is given alone\nLeave it out to set a new list.')
    return ()
