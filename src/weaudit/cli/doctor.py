"""`weaudit doctor`: does the installation match its template, and does anything need a person?"""

import textwrap

import typer

from weaudit.cli.options import JsonDocumentOption
from weaudit.cli.printing import output, panels


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=panels.OPERATIONS)(doctor)


def doctor(as_json: JsonDocumentOption = False) -> None:
    """Check an installation, and say what to do about each finding. Exit code 1 if there is any.

    Compares the stack's template with what exists: streams, mappings, aliases, roles, tables, buckets, logs, alarms.
    Also looks for what needs a person: failures, a backlog, unconfirmed subscriptions. Changes nothing.

    Example: weaudit doctor --json
    """
    from weaudit.doctor import gathering
    from weaudit.doctor.examining import examine
    from weaudit.installation.outputs import Installation

    installation = Installation.find()
    where = f"{installation.stage.stack} on {installation.target.describe()}"
    with output.stderr().status(f"Examining {where}") as status:
        facts = gathering.gather(installation, lambda what: status.update(f"Examining {where}: {what}"))
    findings = examine(facts)
    if as_json:
        document = {
            "healthy": not findings,
            "stack": installation.stage.stack,
            "release": facts.parameters.get("Release", ""),
            "checked": len(facts.found),
            "findings": [finding.document() for finding in findings],
        }
        output.print_json(document)
    elif not findings:
        output.print_text(f"{where} is healthy: {len(facts.found)} resources are as the template says, nothing waits.")
    else:
        for finding in findings:
            output.print_text(f"{finding.severity:7}  {finding.code}: {output.safe(finding.what)}")
            output.print_text(textwrap.indent(output.safe(finding.do), "         → "))
        count = len(findings)
        output.note(f"{count} finding{'' if count == 1 else 's'} on {where}. docs/doctor.md says what each code means.")
    raise typer.Exit(output.EXIT_FAILED if findings else output.EXIT_FINE)
