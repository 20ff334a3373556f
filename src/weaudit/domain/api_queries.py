"""What a request of the API asks for: its route's parameters, checked before anything is read."""

from __future__ import annotations

from weaudit.domain.plain_values import shown
from weaudit.domain.routes import BY_KEY, Route
from weaudit.errors import InvalidInputError, RecordNotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    from collections.abc import Mapping, Sequence


class Asked:
    """A request whose route is known and whose parameters are those of the route, each given once.

    ``path`` holds the parameters of the path, ``query`` those of the query that were given.
    """

    __slots__ = ("path", "query", "route")

    def __init__(self, route: Route, path: dict[str, str], query: dict[str, str]) -> None:
        self.route = route
        self.path = path
        self.query = query


def asked(route_key: str, path: Mapping[str, str], query: Mapping[str, Sequence[str]], function: str) -> Asked:
    """Return what is asked of ``function``. Raises InvalidInputError that names the parameter, RecordNotFoundError.

    ``query`` has every value that a parameter was given, decoded.
    """
    route = BY_KEY.get(route_key)
    if route is None or route.function != function:
        raise RecordNotFoundError("There is no such route")
    known = (*route.required, *route.optional)
    for name, values in query.items():
        if name not in known:
            takes = ", ".join(known) or "none"
            raise InvalidInputError(
                f"{shown(name)} is no parameter of {route.key}; it takes: {takes}",
                {"parameter": shown(name, quoted=False)},
            )
        if len(values) != 1:
            raise InvalidInputError(f"{name} is given {len(values)} times", {"parameter": name})
    missing = [name for name in route.required if name not in query]
    if missing:
        raise InvalidInputError(f"{route.key} needs {', '.join(missing)}", {"missing_fields": missing})
    return Asked(route, dict(path), {name: values[0] for name, values in query.items()})
