"""The function map: one row per Lambda function.

Packaging, the template's tests and the documentation read it; no handler imports it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function of the system.

    ``name`` is the handler's file in ``weaudit/handlers``, the folder in ``tests/cases`` and, with the stack's prefix
    before it, the physical name where ``physical_name`` does not say otherwise (with the template's EnvironmentSuffix
    in it where it has one: see ``deployed_as``). ``trigger`` is the module of
    ``weaudit.runtime`` that turns an invocation into a call of the handler. ``requirements`` are pinned packages whose
    wheels go into the zip.
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
        purpose="Makes renditions and a row of metadata of each image that lands in the bucket.",
        requirements=("pyvips==3.2.0", "pyvips-binary==8.18.7", "cffi==2.1.1"),
    ),
)
