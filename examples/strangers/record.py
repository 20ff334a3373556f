"""Prints the record in a .tlog-proof file if its hash is the one of the entry in the file (README.md)."""

import base64
import hashlib
import json
import pathlib
import sys

SAID = {"actor", "changeId", "itemKey", "newValue", "oldValue", "reason"}
COVERED = {
    "afterHash",
    "afterMasked",
    "beforeHash",
    "beforeMasked",
    "eventName",
    "format",
    "id",
    "kid",
    "masked",
    "modificationTime",
    "records",
    "rules",
    "sequenceNumber",
    "tableArn",
    "tableName",
    "updatedAttribute",
}


def hashed(*parts):
    return hashlib.sha256(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).digest()


def text(found):
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


extra = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8").split("\n")[1].removeprefix("extra ")
held = json.loads(base64.b64decode(extra))
entry, record = json.loads(held["entry"]), held["record"]
label, _, sequence = record["changeOrder"]["S"].partition("#")
if "erased" in record:
    said, content = {}, record["erased"]["M"]["p"]
else:
    said = {name: record[name] for name in SAID & record.keys()}
    digest = hashed(b"weaudit-content-2", base64.b64decode(record["contentSalt"]["B"]), text(said))
    content = {"B": base64.b64encode(digest).decode()}
covered = {name: record[name] for name in COVERED & record.keys()}
found = hashed(b"weaudit-record-2", text({**covered, "content": content, "streamLabel": {"S": label}}))
if found.hex() != entry["hash"] or record["id"]["S"] != entry["id"] or record["sequenceNumber"]["S"] != sequence:
    sys.exit("not the record of the entry")
for name, value in sorted({**covered, **said}.items()):
    ((kind, plain),) = value.items()
    print(f"{name}: {plain if kind in 'BN' else json.dumps(plain)}")  # JSON: a text may hold what a terminal obeys
print(f"is the record of the entry: its hash is {found.hex()}")
