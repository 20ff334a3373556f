"""The size of an item in DynamoDB, never more than DynamoDB itself counts, and how deep it may be nested.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

from weaudit.items.values import canonical_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from weaudit.items.values import Item, Value

LARGEST_ITEM_BYTES = 400 * 1024
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
DEEPEST_LEVEL = 32


def item_bytes(item: Item) -> int:
    """Return the size in bytes, names and values, of an item or of some of its attributes."""
    return sum(len(name.encode("utf-8", "surrogatepass")) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Value) -> int:
    """Return the size in bytes of a value in DynamoDB JSON. A number counts the least that DynamoDB may count."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content.encode("utf-8", "surrogatepass"))
    if kind == "N":
        return _number_bytes(content)
    if kind == "B":
        return _binary_bytes(content)
    if kind == "SS":
        return sum(len(member.encode("utf-8", "surrogatepass")) for member in content)
    if kind == "NS":
        return sum(map(_number_bytes, content))
    if kind == "BS":
        return sum(map(_binary_bytes, content))
    if kind == "L":
        return 3 + sum(1 + value_bytes(part) for part in content)
    if kind == "M":
        return 3 + len(content) + item_bytes(content)
    return 1


def _number_bytes(text: str) -> int:
    spelled = canonical_number(text)
    digits = spelled.lstrip("-").replace(".", "").strip("0")
    return (len(digits) + 1) // 2 + 1 + spelled.startswith("-")


def _binary_bytes(text: str) -> int:
    return len(text) // 4 * 3 - text[-2:].count("=")


def levels(value: Value) -> int:
    """Return how many levels a value has: 1 for a text, 2 for a list of texts."""
    found, depth = [value], 0
    while found:
        depth += 1
        found = [part for one in found for part in _parts(one)]
    return depth


def _parts(value: Value) -> list[Value]:
    ((kind, content),) = value.items()
    return list(content.values()) if kind == "M" else list(content) if kind == "L" else []
