"""Writers that remember what they wrote, and an oracle that reads the Audit table by a plain scan of its own.

Nothing of the product's reading side is used here: what it says is checked against this, not by itself.
"""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.canaries import planted

Key = tuple[str, str]


@dataclass
class Writers:
    """Eight threads that each own their items, so that the order of an item's writes is known."""

    client: Any
    tables: dict[str, str]  # name -> key attribute
    items: int
    threads: int = 8
    written: dict[Key, list[int]] = field(default_factory=lambda: defaultdict(list))

    def write(self, changes: int) -> None:
        """Make so many changes, spread over the tables and items; each gives its item a value it never had."""
        errors: list[BaseException] = []

        def work(writer: int) -> None:
            try:
                for number in range(writer, changes, self.threads):
                    self._write_one(writer, number)
            except BaseException as error:
                errors.append(error)
                raise

        threads = [threading.Thread(target=work, args=(writer,)) for writer in range(self.threads)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors

    def _write_one(self, writer: int, number: int) -> None:
        table = list(self.tables)[(number // self.threads) % len(self.tables)]
        owned = self.items // self.threads
        key = f"item-{writer}-{(number // (self.threads * len(self.tables))) % owned}"
        log = self.written[table, key]
        value = (log[-1] if log else 0) + 1
        item = {self.tables[table]: {"S": key}, "n": {"N": str(value)}, "same": {"S": planted("unchanged")}}
        self.client.put_item(TableName=table, Item=item)
        log.append(value)


def audited(client: Any) -> dict[Key, list[int]]:
    """Return of every item the recorded values of ``n``, in the order of the stream, doubles included."""
    found: dict[Key, list[tuple[str, int]]] = defaultdict(list)
    for page in client.get_paginator("scan").paginate(TableName="Audit"):
        for record in page["Items"]:
            new = record["newValue"]
            value = new["M"]["n"]["N"] if "M" in new else new["N"]
            key = (record["tableName"]["S"], record["itemKey"]["S"])
            found[key].append((record["sequenceNumber"]["S"], int(value)))
    return {key: [value for _, value in sorted(told)] for key, told in found.items()}
