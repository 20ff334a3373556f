"""An image's row as the API answers it, with a link to each rendition."""

from __future__ import annotations

from weaudit.items.plain import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from weaudit.items.values import Item


def document(row: Item, link: Callable[[str], str], expires_at: str) -> dict[str, Any]:
    """Return a row's fields as plain JSON; each of ``renditions`` gets a ``url`` by its ``key``.

    ``expires_at`` tells when links end, and is left out where there are none.
    """
    found = {name: plain(value) for name, value in row.items()}
    renditions = found.get("renditions")
    linked = False
    for rendition in renditions if isinstance(renditions, list) else ():
        # A number is a text too, by its class.
        if isinstance(rendition, dict) and type(rendition.get("key")) is str and rendition["key"]:
            rendition["url"] = link(rendition["key"])
            linked = True
    return {**found, "linksExpireAt": expires_at} if linked else found
