"""Recomputes every hash of the records of an Audit table, from docs/formats/audit-record.md alone (see README.md)."""

# fmt: off
import base64, gzip, hashlib, hmac, itertools, json, pathlib, sys  # noqa: E401, I001
from decimal import Decimal

COVERED = ("afterHash", "afterMasked", "beforeHash", "beforeMasked", "eventName", "format", "id", "kid", "masked",
           "rules", "modificationTime", "records", "sequenceNumber", "tableArn", "tableName", "updatedAttribute")
CONTENT = ("actor", "changeId", "itemKey", "reason")

def framed(*parts):
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)

def hashed(*parts):
    return hashlib.sha256(framed(*parts)).digest()

def number(text):
    plain = f"{Decimal(text):f}"
    return "0" if not Decimal(text) else plain.rstrip("0").rstrip(".") if "." in plain else plain

def canonical(value):
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: {name: canonical(part) for name, part in content.items()}}
    if kind == "L":
        return {kind: [canonical(part) for part in content]}
    if kind in ("SS", "NS", "BS"):
        return {kind: sorted(map(number, content) if kind == "NS" else content)}
    return {kind: number(content)} if kind == "N" else value

def text(found):
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")

def raw(record, name):
    return base64.b64decode(record[name]["B"])

def masked(item, path):
    name, _, rest = path.partition(".")  # a name with a dot has "\." there, which this script does not read
    if name not in item or (rest and "M" not in item[name]):
        return item
    return {**item, name: {"M": masked(item[name]["M"], rest)} if rest else {"#": ""}}

def read(folder, reference):
    body = pathlib.Path(folder, reference["M"]["key"]["S"]).read_bytes()
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body

def committed(record, name, body):
    return {"#": hashed(b"weaudit-value-2", raw(record, "salt"), name.encode("utf-8", "surrogatepass"), body).hex()}

def side(record, which, folder):
    """Return the attributes that a record holds of the item before or after ("old", "new"), as they are hashed."""
    name, value = record.get("updatedAttribute", {}).get("S"), record.get(f"{which}Value")
    item = {} if value is None else value["M"] if name is None else {name: value}
    one, parts = record.get(f"{which}ValueRef"), record.get(f"{which}ValueRefs", {}).get("M", {})
    item, one = (json.loads(read(folder, one)).get("M", {}), None) if one and name is None else (item, one)
    item = {part: canonical(found) for part, found in item.items()}
    for path in record.get("masked", {}).get("L", []):
        item = masked(item, path["S"])
    item = {part: committed(record, part, text(it)) if len(text(it)) > 1024 else it for part, it in item.items()}
    return item | {at: committed(record, at, read(folder, it)) for at, it in ({name: one} if one else parts).items()}

def record_hash(record, old, new):
    content = {it: canonical(record[it]) for it in CONTENT if it in record}
    name, label = record.get("updatedAttribute", {}).get("S"), record["changeOrder"]["S"].partition("#")[0]
    for field, item, absent in (("oldValue", old, "INSERT"), ("newValue", new, "REMOVE")):
        if item if name is not None else record["eventName"]["S"] != absent:
            content[field] = item[name] if name is not None else {"M": item}
    p = record["erased"]["M"]["p"]["B"] if "erased" in record else base64.b64encode(
        hashed(b"weaudit-content-2", raw(record, "contentSalt"), text(content))).decode()
    covered = {it: canonical(record[it]) for it in COVERED if it in record} | {"content": {"B": p}}
    return hashed(b"weaudit-record-2", text(covered | {"streamLabel": {"S": label}}))

def recompute(records, folder, origin_key=None):
    """Yield each hash that is not as the page describes: an item's state, how many records there are, an origin."""
    order, states = lambda record: (record["historyKey"]["S"], record["changeOrder"]["S"]), {}
    for (partition, change), group in itertools.groupby(sorted(records, key=order), key=order):
        found, before, after = list(group), states.get(partition), states.get(partition)
        for record in found:
            gone, event = "erased" in record, record["eventName"]["S"]
            old, new = ({} if gone else side(record, which, folder) for which in ("old", "new"))
            marked = framed(b"weaudit-origin-2", record_hash(record, old, new))
            if origin_key and raw(record, "origin") != hmac.digest(origin_key, marked, "sha256")[:16]:
                yield f"{record['id']['S']}: origin"
            kept = {name: value for name, value in (after or {}).items() if name not in old}
            after = new if event == "INSERT" else kept | new if after is not None and event == "MODIFY" else None
            before, after = (None, None) if gone else (old if event == "REMOVE" else before, after)
        for field, item in (("beforeHash", before), ("afterHash", after)):
            known = item is not None and field in found[0]
            if known and raw(found[0], field) != hashed(b"weaudit-state-2", raw(found[0], "salt"), text(item)):
                yield f"{partition} {change}: {field}"
        if found[0]["records"]["N"] != str(len(found)):
            yield f"{partition} {change}: {len(found)} of {found[0]['records']['N']} records"
        states[partition] = after

if __name__ == "__main__":
    kept = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["Items"]
    wrong = list(recompute(kept, sys.argv[2], base64.b64decode(sys.argv[3]) if len(sys.argv) > 3 else None))
    print(*wrong, f"{len(kept)} records, {len(wrong)} wrong", sep="\n")
    sys.exit(bool(wrong))
