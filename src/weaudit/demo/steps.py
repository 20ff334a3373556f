"""The five changes that `weaudit demo` makes to one item of the table Configuration, as data."""

from typing import NamedTuple

from weaudit.items.values import Item
from weaudit.trail.changes import AttributeChange

TABLE, KEY = "Configuration", "CACHE_TTL_SEC"
NOTE = "halved for the sale"


class Step(NamedTuple):
    """One change that the demo makes: the words for it, and the item before and after."""

    words: str
    before: Item | None
    after: Item | None

    @property
    def event_name(self) -> str:
        """What the stream calls it."""
        return "INSERT" if self.before is None else "REMOVE" if self.after is None else "MODIFY"

    @property
    def attributes(self) -> tuple[AttributeChange, ...]:
        """What the trail has to show of it: the changed attributes, or the whole item."""
        before, after = self.before, self.after
        if before is None or after is None:
            return (AttributeChange(None, before and {"M": before}, after and {"M": after}),)
        names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        return tuple(AttributeChange(name, before.get(name), after.get(name)) for name in names)


_FIRST: Item = {"key": {"S": KEY}, "value": {"N": "3600"}}
_SECOND: Item = {"key": {"S": KEY}, "value": {"N": "1800"}}
_THIRD: Item = {**_SECOND, "note": {"S": NOTE}}

STEPS = (
    Step(f"put {KEY} with the value 3600", None, _FIRST),
    Step("change the value to 1800", _FIRST, _SECOND),
    Step("add the attribute note", _SECOND, _THIRD),
    Step("remove the attribute note", _THIRD, _SECOND),
    Step("delete the item", _SECOND, None),
)
"""What the demo does to the item, in this order."""
