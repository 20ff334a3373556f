"""The routes of the HTTP API (docs/contracts.md, part D), data only. Code, template and OpenAPI must match this table.

Handlers get requests whose route and parameters were checked against it (:func:`weaudit.api.queries.asked`).
"""

from __future__ import annotations

from weaudit.values import value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_BODY_BYTES = 1024 * 1024
"""The largest request body: more than a 400 KB item takes as JSON, less than Lambda itself accepts."""


@value
class Route:
    """One route: the function that serves it, and the query parameters that it takes.

    ``path`` holds the path parameters as ``{name}``. Every other parameter is refused. Those of the optional ones that
    are ``repeatable`` may be given several times, any other once.
    """

    method: str
    path: str
    function: str  # a name of weaudit.functions
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    repeatable: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The route as API Gateway names it: ``GET /v1/records/{id}``."""
        return f"{self.method} {self.path}"

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names of the parameters in the path, in their order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


_PAGE = ("limit", "cursor")
_RANGE = ("since", "until")
_WITHOUT = ("without",)

ROUTES = (
    Route("GET", "/v1/objects", "list_objects", (), ("prefix", "delimiter", *_PAGE)),
    Route(
        "GET",
        "/v1/tables/{table}/history",
        "read_trail",
        ("key",),
        ("attribute", *_RANGE, "order", *_WITHOUT, *_PAGE),
        repeatable=_WITHOUT,
    ),
    Route("GET", "/v1/tables/{table}/item", "read_trail", ("key",), ("at", "sequence")),
    Route("GET", "/v1/tables/{table}/diff", "read_trail", ("key", "from", "to")),
    Route(
        "GET",
        "/v1/tables/{table}/changes",
        "read_trail",
        (),
        (*_RANGE, "order", *_WITHOUT, *_PAGE),
        repeatable=_WITHOUT,
    ),
    Route("GET", "/v1/records/{id}", "read_trail"),
    Route("GET", "/v1/records/{id}/proof", "read_trail"),
    Route("POST", "/v1/updates", "table_update"),
    Route("GET", "/v1/images", "read_images", ("key",)),
    Route("GET", "/v1/health", "health"),
)
BY_KEY: Mapping[str, Route] = {route.key: route for route in ROUTES}
