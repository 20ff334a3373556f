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
    if kind in ("M", "L"):
        return {kind: {it: canonical(content[it]) for it in content} if kind == "M" else list(map(canonical, content))}
    if kind in ("SS", "NS", "BS"):
        return {kind: sorted(map(number, content) if kind == "NS" else content)}
    return {kind: number(content)} if kind == "N" else value
def text(found):
    return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
def raw(record, name):
    return base64.b64decode(record[name]["B"])
def placed(item, path, change):
    name, _, rest = path.partition(".")  # a name with a dot has "\." there, which this script does not read
    if name in item and (not rest or "M" in item[name]):
        found = {"M": placed(item[name]["M"], rest, change)} if rest else change(item[name])
        item = {other: value for other, value in item.items() if other != name} | ({name: found} if found else {})
    return item
def ignored(record, folder):
    file = pathlib.Path(folder, "rules", raw(record, "rules").hex() if "rules" in record else "")
    return json.loads(file.read_bytes()).get("ignore", []) if "rules" in record else []
def read(folder, reference):
    body = pathlib.Path(folder, reference["M"]["key"]["S"]).read_bytes()
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
def committed(record, name, body):
    parts = b"weaudit-value-2", raw(record, "salt"), name.encode("utf-8", "surrogatepass"), body
    return {"#": hashed(*parts).hex()} if len(body) > 1024 else json.loads(body)

def side(record, which, folder):
    """Return the attributes that a record has of the item before or after: as its content has them, and as a state."""
    name, value = record.get("updatedAttribute", {}).get("S"), record.get(f"{which}Value")
    item = {} if value is None else value["M"] if name is None else {name: value}
    one, parts = record.get(f"{which}ValueRef"), record.get(f"{which}ValueRefs", {}).get("M", {})
    item, one = (json.loads(read(folder, one)).get("M", {}), None) if one and name is None else (item, one)
    said = state = {part: canonical(found) for part, found in item.items()}
    for path in (it["S"] for it in record.get("masked", {}).get("L", [])):
        said = placed(said, path, lambda it: {"#": ""} if it.get("S", "hmac-")[:5] != "hmac-" else it)
        state = placed(state, path, lambda it: {"#": ""} if "S" in it else it)  # what is masked shows as a text
    for path in ignored(record, folder):
        state = placed(state, path, lambda _: None)
    moved = {at: committed(record, at, read(folder, it)) for at, it in ({name: one} if one else parts).items()}
    said, state = ({at: committed(record, at, text(it)) for at, it in form.items()} | moved for form in (said, state))
    return said, {at: it for at, it in state.items() if at not in ignored(record, folder)}

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
    order, states = lambda it: (it["historyKey"]["S"], it["changeOrder"]["S"]), {}
    for (partition, change), group in itertools.groupby(sorted(records, key=order), key=order):
        found, (rules, after) = list(group), states.get(partition, (None, None))
        before = after = after if rules == found[0].get("rules") else None  # other rules: other hashes
        for record in found:
            gone, event = "erased" in record, record["eventName"]["S"]
            (was, old), (now, new) = (({}, {}) if gone else side(record, it, folder) for it in ("old", "new"))
            marked = framed(b"weaudit-origin-2", record_hash(record, was, now))
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
        states[partition] = found[0].get("rules"), after

if __name__ == "__main__":
    kept = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["Items"]
    wrong = list(recompute(kept, sys.argv[2], base64.b64decode("".join(sys.argv[3:]))))
    print(*wrong, f"{len(kept)} records, {len(wrong)} wrong", sep="\n")
    sys.exit(bool(wrong))
