"""The options about a table's rules, which `weaudit watch` sets and `weaudit rules --try` tries."""

from typing import Annotated

import typer

TableArgument = Annotated[str, typer.Argument(metavar="TABLE", help="The table's name.", show_default=False)]

_STAYS = "unchanged; at first none"
_PLACE = "a name, or a path into maps such as address.street"

ActorOption = Annotated[
    str | None,
    typer.Option(
        metavar="ATTRIBUTE",
        help='Attribute in which writers state who they are; "" for none.',
        show_default="unchanged; at first as in Configuration",
    ),
]
FreshOption = Annotated[
    str | None,
    typer.Option(
        metavar="ATTRIBUTE",
        help='Attribute that every write changes, such as updatedAt: it confirms the actor; "" for none.',
        show_default=_STAYS,
    ),
]
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help=f"Never store or hash this place of an item: {_PLACE}. Repeat it for several; "
        'what is given replaces the whole list, "" clears it.',
        show_default=_STAYS,
    ),
]
IgnoreOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help="Make no record for a change of this place alone; beside other changes it is recorded. As --exclude.",
        show_default=_STAYS,
    ),
]
RedactOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help="Show that this place changed, as [REDACTED], and never its value. As --exclude.",
        show_default=_STAYS,
    ),
]
HashOption = Annotated[
    list[str] | None,
    typer.Option(
        "--hash",
        metavar="ATTR",
        help="Show a keyed hash of this place: whether two values of the table are equal. As --exclude.",
        show_default=_STAYS,
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ATTR",
        help="Record this attribute and the key, and exclude all others. As --exclude, but names alone.",
        show_default=_STAYS,
    ),
]
ReasonOption = Annotated[
    bool | None,
    typer.Option(
        "--require-reason/--no-require-reason",
        help="Whether an update through table-update-function must say why.",
        show_default="unchanged; at first not",
    ),
]
