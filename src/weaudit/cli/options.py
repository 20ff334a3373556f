"""Options and arguments that several commands take: each has one name, one metavar and one meaning."""

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import typer

Found = TypeVar("Found")

# What is looked at.
KeyArgument = Annotated[
    str, typer.Argument(metavar="ITEM_KEY", help="""The item's key; '{"pk": "a", "sk": 7}' for a composite key.""")
]
TableOption = Annotated[str, typer.Option("--table", "-t", metavar="TABLE", help="The audited table.")]
AuditTableOption = Annotated[
    str, typer.Option(metavar="NAME", envvar="WEAUDIT_AUDIT_TABLE", help="The table that holds the trail.")
]
LogTableOption = Annotated[
    str, typer.Option(metavar="NAME", envvar="WEAUDIT_AUDIT_LOG_TABLE", help="The table of logged updates.")
]

# Where it is.
StageOption = Annotated[
    str | None,
    typer.Option(
        "--stage", metavar="NAME", help="The installation's stage; WEAUDIT_STAGE sets it, too.", show_default="dev"
    ),
]
PrefixOption = Annotated[
    str | None,
    typer.Option(
        "--prefix", metavar="TEXT", help="The prefix of all names; WEAUDIT_PREFIX sets it, too.", show_default="none"
    ),
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="DIR", help="Where the engine keeps its data.", show_default="~/.local/state/weaudit"
    ),
]
PortOption = Annotated[
    int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.", show_default="4566, or a free one")
]

# How it is asked and shown.
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JsonDocumentOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JsonListOption = Annotated[bool, typer.Option("--json", help="Print one JSON list.")]
UtcOption = Annotated[bool, typer.Option("--utc", help="Show and read times in UTC instead of local time.")]
ShownUtcOption = Annotated[bool, typer.Option("--utc", help="Show times in UTC instead of local time.")]


def limited(found: Iterable[Found], limit: int | None) -> Iterator[Found]:
    """Yield at most ``limit`` elements, or all if it is None; it may exceed what Python can count to."""
    return islice(found, None if limit is None else min(limit, sys.maxsize))
