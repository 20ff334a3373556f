"""What a policy allows: as much of IAM's evaluation as statements that allow need.

Source: IAM/latest/UserGuide/reference_policies_evaluation-logic.html and reference_policies_elements.html.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Statement = Mapping[str, Any]


def listed(value: Any) -> list[Any]:
    """Return ``value`` as a list."""
    return value if isinstance(value, list) else [value]


def matches(pattern: str, text: str, *, any_case: bool = False) -> bool:
    """Tell whether an ARN or action matches a pattern of * and ?, of which * spans slashes and colons."""
    expression = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return re.fullmatch(expression, text, re.IGNORECASE if any_case else 0) is not None


def allows(statements: Iterable[Statement], action: str, arn: str, context: Mapping[str, str] | None = None) -> bool:
    """Tell whether one of the statements allows this; a key that ``context`` has not makes a condition fail."""
    return any(
        found["Effect"] == "Allow"
        and any(matches(pattern, action, any_case=True) for pattern in listed(found["Action"]))
        and any(matches(pattern, arn) for pattern in listed(found["Resource"]))
        and _holds(found.get("Condition", {}), context or {})
        for found in statements
    )


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            if key not in context:
                return False
            # Of a key that has several values one is given here: all of them are what that one is.
            if operator in ("StringEquals", "Bool", "ForAllValues:StringEquals"):
                if context[key] not in listed(wanted):
                    return False
            elif operator in ("ArnEquals", "ArnLike", "StringLike"):
                if not any(matches(pattern, context[key]) for pattern in listed(wanted)):
                    return False
            else:
                raise AssertionError(f"{operator} is not known here")
    return True


def within(inner: str, outer: Sequence[str]) -> bool:
    """Tell whether every text that the pattern ``inner`` matches is matched by one pattern of ``outer`` as well."""
    # A star of the inner pattern, taken for a letter that no name has, is matched by a star of the outer one only.
    return any(matches(pattern, inner.replace("*", "\0")) for pattern in outer)
