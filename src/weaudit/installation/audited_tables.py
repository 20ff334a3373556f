"""A table whose changes are audited, as it is now, and what its items are called."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from weaudit.aws.client import DynamoDB
from weaudit.errors import InvalidInputError, StoreRefusedError
from weaudit.items.keys import history_key, key_types
from weaudit.items.typed_keys import typed_key
from weaudit.items.values import Item

# A stream that was created with its table has the table's time, give or take what the service needs to create both.
_BORN_TOGETHER = timedelta(seconds=60)


class ErasedItem(str):
    """What stands for the key of an erased item: the ``historyKey`` that its records have in common."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AuditedTable:
    """An audited table as it is now; ``key_types`` is empty if the table is gone."""

    name: str
    arn: str
    key_types: dict[str, str]
    audited_from_birth: bool

    @classmethod
    def describe(cls, dynamodb: DynamoDB, name: str, audit_arn: str) -> "AuditedTable":
        """Read the table's key schema and stream; if the table is gone, its trail is checked without items."""
        try:
            found = dynamodb.call("DescribeTable", {"TableName": name})["Table"]
        except StoreRefusedError as error:
            if error.aws_code != "ResourceNotFoundException":
                raise
            return cls(name, audit_arn.rpartition("/")[0] + f"/{name}", {}, audited_from_birth=False)
        label = found.get("LatestStreamLabel")
        made = datetime.fromtimestamp(found["CreationDateTime"], UTC)
        from_birth = label is not None and _label_time(label) - made < _BORN_TOGETHER
        return cls(name, found["TableArn"], key_types(found), from_birth)

    @property
    def exists(self) -> bool:
        """Whether the table exists, so that the trail can be compared with its items."""
        return bool(self.key_types)

    def partition(self, key: str) -> str:
        """Return the partition of the index ``history`` that holds the records of an item, which may be erased."""
        return str(key) if isinstance(key, ErasedItem) else history_key(self.name, key)

    def keys_of(self, key: str) -> Item:
        """Return the typed key for an item key. Raises InvalidInputError if it does not fit the table's key schema."""
        try:
            return typed_key(key, self.key_types)
        except InvalidInputError:
            names = ", ".join(f"{name} ({kind})" for name, kind in self.key_types.items())
            raise InvalidInputError(f"{key!r} is not a valid key of {self.name}, whose key is {names}") from None


def _label_time(label: str) -> datetime:
    return datetime.fromisoformat(label.rstrip("Z")).replace(tzinfo=UTC)
