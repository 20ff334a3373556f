"""`weaudit package`: the functions' zips, and a template that points to them once they are uploaded."""

from pathlib import Path
from typing import Annotated

import typer

from weaudit.cli.options import JsonOption
from weaudit.cli.printing import output, panels
from weaudit.errors import InvalidInputError
from weaudit.functions import BESIDE, FUNCTIONS


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel=panels.DEPLOYMENT)(package)


def package(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for the zips.")] = Path("dist"),
    architecture: Annotated[
        str, typer.Option("--arch", help="x86_64 or arm64 (for AWS), or local: without native wheels.")
    ] = "x86_64",
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Upload the zips and write a template that points to them: for SAM, the AWS CLI, Terraform and CDK.",
        ),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The bucket that --template uploads to.", show_default="the artefact bucket"),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="A parameter value of the stack of --template; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build one zip per function: the modules it imports and nothing else, always the same bytes.

    Each module has its byte code beside it, made by the Python that runs this command. Lambda can use only that of
    Python 3.13; without it, Lambda compiles the sources at every cold start.

    With --template, give the --parameters that you will deploy that template with: other values change the functions'
    settings, but publish no new version.

    Example: weaudit package --out dist --json
    """
    from weaudit.deploy import packaging
    from weaudit.deploy.parameters import parsed

    if template is None and (bucket is not None or parameters):
        raise InvalidInputError("--bucket and --parameters need --template\nGive it, too, or leave them out.")
    given = parsed(parameters or ())
    # Those of other stacks are not in the template that --template writes.
    functions = FUNCTIONS if template is not None else (*FUNCTIONS, *BESIDE)
    built = [packaging.build(function, out, architecture) for function in functions]
    rows = [{"function": a.function, "path": str(a.path), "sha256": a.sha256, "bytes": a.bytes} for a in built]
    if template is not None:
        from weaudit.deploy import stack, templates
        from weaudit.installation.targets import Target

        text, url = stack.published(Target.resolve(), bucket, built, templates.path("template.yaml"), given)
        template.parent.mkdir(parents=True, exist_ok=True)
        template.write_text(text, encoding="utf-8")
        for row, artifact in zip(rows, built, strict=True):
            row["key"] = stack.key_of(artifact)
    if as_json:
        output.print_json(rows if template is None else {"template": str(template), "url": url, "functions": rows})
        return
    for artifact in built:
        output.print_text(f"{artifact.path}  {artifact.bytes:,} bytes  sha256:{artifact.sha256}")
    if template is not None:
        output.print_text(f"{template}  {url}")
