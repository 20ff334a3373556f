"""`weaudit package`: the functions' zips."""

from pathlib import Path
from typing import Annotated

import typer

from weaudit.cli import output
from weaudit.functions import FUNCTIONS


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Build and deploy")(package)


def package(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the zips go.")] = Path("dist"),
    architecture: Annotated[
        str, typer.Option("--arch", help="x86_64 or arm64 (for AWS), or local: without native wheels.")
    ] = "x86_64",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Build one zip per function: the modules it imports and nothing else, always the same bytes.

    Example: weaudit package --out dist --json
    """
    from weaudit.deploy import packaging

    built = [packaging.build(function, out, architecture) for function in FUNCTIONS]
    if as_json:
        rows = [{"function": a.function, "path": str(a.path), "sha256": a.sha256, "bytes": a.bytes} for a in built]
        output.print_json(rows)
        return
    for artifact in built:
        output.print_text(f"{artifact.path}  {artifact.bytes:,} bytes  sha256:{artifact.sha256}")
