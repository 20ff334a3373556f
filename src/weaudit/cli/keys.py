"""`weaudit keys`: the secrets on which the hashes of all records depend."""

import typer

from weaudit.cli.printing import output, panels

app = typer.Typer(
    no_args_is_help=True, help="Copy the secrets of the trail.\n\nExample: weaudit keys export > keys.json"
)


def register(commands: typer.Typer) -> None:
    """Add the group to the command line."""
    commands.add_typer(app, name="keys", rich_help_panel=panels.OPERATIONS)


@app.callback()
def keys() -> None:
    """Copy the secrets of the trail."""


@app.command("export")
def export() -> None:
    """Print the secrets of the installation as JSON, for a safe. The secrets of subjects are never printed.

    Whoever has them can guess masked values and the values of remembered updates, and forge records.

    Example: [bold]weaudit keys export > keys.json[/bold]
    """
    from weaudit.capture.store_secrets import ORIGIN, ROOT, SecretTable
    from weaudit.errors import InvalidInputError
    from weaudit.installation import clients
    from weaudit.installation.outputs import Installation
    from weaudit.items.secret_rows import secret_row
    from weaudit.updates.store_secret import REQUEST, RequestSecret

    installation = Installation.find()
    table = installation.outputs["KeysTableName"]
    dynamodb = clients.dynamodb(installation.target)
    secrets = SecretTable(dynamodb, table)
    found, request = secrets.read(), RequestSecret(dynamodb.call, table).read()
    if found is None:
        raise InvalidInputError(
            f"the table {table} has no secrets yet\n`audit_producer` makes them with the first change that it audits."
        )
    # REQUEST is made by the first update with a request_id, the others by rules that hash places of a table.
    pairs = ((ROOT, found.root), (ORIGIN, found.origin), (REQUEST, request), *secrets.equals().items())
    items = [secret_row(name, secret) for name, secret in pairs if secret is not None]
    output.print_json({"table": table, "items": items})
    output.note("Keep this outside of the account, and delete what you saved on the way.")
