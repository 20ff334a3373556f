"""What the commands print with `--json`: the functions of the domain, which the API answers with as well."""

from weaudit.domain.json_texts import dumps
from weaudit.domain.plain_values import plain
from weaudit.domain.trail_documents import document

__all__ = ["document", "dumps", "plain"]
