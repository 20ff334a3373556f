"""The function map: one row for each Lambda function.

Packaging, the template's tests and the documentation read it; no handler imports it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function of the system.

    ``name`` is the handler's file in ``weaudit/handlers`` and its folder in ``tests/cases``. ``physical_name`` is the
    function's name in AWS, without the stack's prefix and perhaps with ``${EnvironmentSuffix}`` (see ``deployed_as``).
    ``trigger`` is the module of ``weaudit.runtime`` that turns an invocation into a call of the handler.
    ``requirements`` are pinned packages whose wheels go into the zip.
    """

    name: str
    trigger: str
    physical_name: str
    stores: tuple[str, ...]
    purpose: str
    requirements: tuple[str, ...] = ()

    def deployed_as(self, prefix: str = "", suffix: str = "dev") -> str:
        """Return the function's name in a stack with these template parameters Prefix and EnvironmentSuffix."""
        return prefix + self.physical_name.replace("${EnvironmentSuffix}", suffix)


FUNCTIONS: tuple[Function, ...] = (
    Function(
        name="audit_producer",
        trigger="stream",
        physical_name="audit_producer",
        stores=("Audit", "evidence bucket"),
        purpose="Turns each change of a watched table into field-level audit records.",
    ),
    Function(
        name="table_update",
        trigger="http",
        physical_name="table-update-function",
        stores=("Configuration", "audit_logs"),
        purpose="Changes a record on conditions, all or nothing, and logs it in the same transaction.",
    ),
    Function(
        name="s3_processor",
        trigger="event",
        physical_name="s3-processor-${EnvironmentSuffix}",
        stores=("lambda-invocation-logs", "evidence bucket"),
        purpose="Logs each object that lands in the bucket.",
    ),
    Function(
        name="image_processor",
        trigger="event",
        physical_name="image_processor",
        stores=("Images", "renditions bucket", "Configuration", "evidence bucket"),
        purpose="Makes renditions and a row of metadata of each image in the bucket; renditions go with their image.",
        requirements=("pyvips==3.2.0", "pyvips-binary==8.18.7", "cffi==2.1.1"),
    ),
    Function(
        name="ledger_sealer",
        trigger="event",
        physical_name="weaudit-ledger-sealer",
        stores=("ledger bucket", "Audit", "audit_logs", "lambda-invocation-logs"),
        purpose="Seals what happened to the rows of the trail into the ledger, every minute.",
    ),
    Function(
        name="list_objects",
        trigger="http",
        physical_name="weaudit-api-objects",
        stores=("trigger bucket",),
        purpose="Lists the objects of the trigger bucket over the API.",
    ),
    Function(
        name="read_trail",
        trigger="http",
        physical_name="weaudit-api-trail",
        stores=("Audit", "audit_logs", "evidence bucket", "ledger bucket"),
        purpose="Reads the trail over the API: histories, items as of a time, differences, changes, records, receipts.",
    ),
    Function(
        name="read_images",
        trigger="http",
        physical_name="weaudit-api-images",
        stores=("Images", "renditions bucket"),
        purpose="Gives an image's metadata, and links to its renditions, over the API.",
    ),
    Function(
        name="health",
        trigger="http",
        physical_name="weaudit-api-health",
        stores=("every table of the stack",),
        purpose="Says over the API which release runs, and whether its tables are there.",
    ),
)

BESIDE: tuple[Function, ...] = (
    Function(
        name="ledger_witness",
        trigger="event",
        physical_name="weaudit-ledger-witness",
        stores=("witness's views",),
        purpose="Cosigns the ledger's checkpoints in another account, of two histories one.",
    ),
)
"""Functions of stacks of their own, beside the main one."""
