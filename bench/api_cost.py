"""How fast does each route of the API answer eight clients, and how soon after a cold start?

Each route beside a bare boto3 function of the same route, where there is a usual way to write it, on the embedded
engine: clients, engine and functions share the machine, so the figures compare, and say little of AWS. Cold: from the
start of a process until its first answer, in a plain interpreter, the runtime client's time left out.
"""

import contextlib
import http.client
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bench.reports import Ratio, Report, load, spread
from weaudit.api.routes import BY_KEY
from weaudit.aws.sigv4 import Credentials, sign
from weaudit.capture.changes import Change
from weaudit.capture.records import decide
from weaudit.capture.rules import Rules, Terms
from weaudit.deploy import packaging
from weaudit.functions import FUNCTIONS
from weaudit.installation import clients
from weaudit.installation.engine_state import EngineState
from weaudit.installation.targets import Target
from weaudit.items.values import Item
from weaudit.local import engine, process

_HANDLERS = Path(__file__).with_name("handlers")
_KEY = "BENCH_API"
_UPDATED = "BENCH_UPDATE"
_PROOF = "GET /v1/records/{id}/proof"
_FIRST_SEQUENCE = 10**21
_COLD = {
    "list_objects": "GET /v1/objects",
    "read_trail": "GET /v1/tables/{table}/history",
    "read_images": "GET /v1/images",
    "health": "GET /v1/health",
}
_BARE = (*_COLD.values(), "GET /v1/records/{id}")
_WORKER = """
import sys, json, os
sys.path.insert(0, sys.argv[1])
out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
import index
answer = index.lambda_handler(json.loads(sys.argv[2]), None)
assert answer["statusCode"] == 200, answer
out.write("answered\\n"); out.flush()
"""
TERMS = Terms(Rules(), bytes(32), bytes(8), bytes(32), "evidence", 4096)


class Site:
    """An engine of its own with the stack, what the routes read, and the bare function behind an API of its own."""

    def __init__(self, state: EngineState, changes: int) -> None:
        self.target = target = Target.of(state)
        self.endpoint = state.endpoint
        keys = state.environment()
        self.credentials = Credentials(keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        self.variables: dict[str, str] = {}
        client = target.client("lambda")
        for function in (function for function in FUNCTIONS if function.trigger == "http"):
            found = client.get_function_configuration(FunctionName=function.physical_name)
            self.variables |= found["Environment"]["Variables"]
        record_id = self._fill(changes)
        half = str(_FIRST_SEQUENCE + changes // 2)
        begin, end = "2024-01-01T00:00:00Z", "2024-01-01T01:00:00Z"
        table = {"table": "Configuration"}
        self.requests: dict[str, tuple[dict[str, str], dict[str, str]]] = {
            "GET /v1/objects": ({}, {}),
            "GET /v1/tables/{table}/history": (table, {"key": _KEY}),
            "GET /v1/tables/{table}/item": (table, {"key": _KEY, "sequence": half}),
            "GET /v1/tables/{table}/diff": (table, {"key": _KEY, "from": begin, "to": end}),
            "GET /v1/tables/{table}/changes": (table, {"since": begin, "until": end}),
            "GET /v1/records/{id}": ({"id": record_id}, {}),
            "POST /v1/updates": ({}, {}),
            "GET /v1/images": ({}, {"key": "bench.jpg"}),
            "GET /v1/health": ({}, {}),
        }
        self._ask_for_a_proof()
        assert self.requests.keys() == BY_KEY.keys()

    def _fill(self, changes: int) -> str:
        """Put objects, an image's row and an item's changes there, and return the id of one record."""
        s3, dynamodb = self.target.client("s3"), self.target.client("dynamodb")
        for bucket in (self.variables["OBJECTS_BUCKET"], self.variables["RENDITIONS_BUCKET"]):
            with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
                s3.create_bucket(Bucket=bucket)
        for number in range(200):
            s3.put_object(Bucket=self.variables["OBJECTS_BUCKET"], Key=f"bench/{number:04}", Body=b"x")
        with contextlib.suppress(dynamodb.exceptions.ResourceInUseException):
            dynamodb.create_table(
                TableName=self.variables["IMAGES_TABLE"],
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": "imageKey", "AttributeType": "S"}],
                KeySchema=[{"AttributeName": "imageKey", "KeyType": "HASH"}],
            )
        names = ("small", "medium", "large")
        renditions = [{"M": {"name": {"S": name}, "key": {"S": f"0/{name}.webp"}}} for name in names]
        row = {"imageKey": {"S": "bench.jpg"}, "width": {"N": "4032"}, "renditions": {"L": renditions}}
        dynamodb.put_item(TableName=self.variables["IMAGES_TABLE"], Item=row)
        dynamodb.put_item(TableName="Configuration", Item={"key": {"S": _UPDATED}, "value": {"N": "0"}})
        records = [record for change in _changes(changes) for record in decide(change, TERMS).records]
        audit = clients.dynamodb(self.target)
        for start in range(0, len(records), 25):
            puts = [{"PutRequest": {"Item": record}} for record in records[start : start + 25]]
            audit.call("BatchWriteItem", {"RequestItems": {self.variables["AUDIT_TABLE"]: puts}})
        return str(records[-1]["id"]["S"])

    def _ask_for_a_proof(self) -> None:
        """Add the request for a proof, of a record that the functions made and sealed: one made here has none."""
        functions, audit = self.target.client("lambda"), self.target.client("dynamodb")
        names = {function.name: function.physical_name for function in FUNCTIONS}
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            functions.invoke(FunctionName=names["ledger_sealer"], Payload=b"{}")
            rows = audit.scan(TableName=self.variables["AUDIT_TABLE"])["Items"]
            for record_id in (row["id"]["S"] for row in rows if _UPDATED in row["itemKey"]["S"]):
                self.requests[_PROOF] = ({"id": record_id}, {})
                asked = json.dumps(self.event(_PROOF))
                answer = json.load(functions.invoke(FunctionName=names["read_trail"], Payload=asked)["Payload"])
                if answer["statusCode"] == 200:
                    return
            time.sleep(0.5)
        raise TimeoutError("no record was sealed")

    def url(self) -> str:
        """Return where our API answers."""
        [found] = self.target.client("cloudformation").describe_stacks(StackName="weaudit-dev")["Stacks"]
        [api_id] = [output["OutputValue"] for output in found["Outputs"] if output["OutputKey"] == "ApiId"]
        return f"{self.endpoint}/_aws/execute-api/{api_id}/$default"

    def bare_url(self) -> str:
        """Deploy the bare function behind an API of its own, and return where that answers."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.write(_HANDLERS / "boto3_api" / "index.py", "index.py")
        functions, api = self.target.client("lambda"), self.target.client("apigatewayv2")
        reads = ("OBJECTS_BUCKET", "RENDITIONS_BUCKET", "AUDIT_TABLE", "IMAGES_TABLE", "STACK_TABLES")
        arn = functions.create_function(
            FunctionName="bench-bare-api",
            Runtime="python3.13",
            Handler="index.lambda_handler",
            Role="arn:aws:iam::000000000000:role/bench",
            MemorySize=256,
            Timeout=29,
            Code={"ZipFile": content.getvalue()},
            Environment={"Variables": {name: self.variables[name] for name in reads}},
        )["FunctionArn"]
        api_id = api.create_api(Name="bench-bare", ProtocolType="HTTP")["ApiId"]
        integration = api.create_integration(
            ApiId=api_id, IntegrationType="AWS_PROXY", IntegrationUri=arn, PayloadFormatVersion="2.0"
        )["IntegrationId"]
        for route in _BARE:
            api.create_route(ApiId=api_id, RouteKey=route, Target=f"integrations/{integration}")
        api.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True)
        return f"{self.endpoint}/_aws/execute-api/{api_id}/$default"

    def event(self, route: str) -> dict[str, Any]:
        """Return a request as API Gateway hands it on."""
        path, query = self.requests[route]
        return {
            "version": "2.0",
            "routeKey": route,
            "rawQueryString": urlencode(query),
            "queryStringParameters": query,
            "pathParameters": path,
            "headers": {},
            "requestContext": {"requestId": "bench", "http": {}},
        }


def run(quick: bool = False) -> Report:
    """Start an engine of its own with the stack on it, ask every route, and stop it again."""
    clients, calls, rounds = (1, 2, 1) if quick else (8, 25, 15)
    before = load()
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder, _site(Path(folder) / "state", 20 if quick else 100) as site:
        for owner, url in (("ours", site.url()), ("bare boto3", site.bare_url())):
            for route in site.requests if owner == "ours" else _BARE:
                results[f"{route} {owner}"] = _under_load(site, url, route, clients, calls)
        results |= _cold(site, Path(folder), rounds)
    ratios = [
        Ratio(
            f"{function}: faster to the first answer than bare boto3",
            results[f"{function} bare boto3"]["coldMs"] / results[f"{function} ours"]["coldMs"],
            2,
        )
        for function in _COLD
    ]
    ratios += [Ratio(f"{route}: of bare boto3's p50", _share(results, route), 1, at_least=False) for route in _BARE]
    settings = {"clients": clients, "callsAClient": calls, "coldRounds": rounds}
    return Report("api_cost", "each route under load, and from a cold start", settings, results, ratios, before)


def _share(results: dict[str, dict[str, float]], route: str) -> float:
    return results[f"{route} ours"]["p50Ms"] / results[f"{route} bare boto3"]["p50Ms"]


@contextlib.contextmanager
def _site(state: Path, changes: int) -> Iterator[Site]:
    started = engine.up(port=process.free_port(), state_dir=state)
    try:
        yield Site(started, changes)
    finally:
        engine.down(state_dir=state, force=True)


def _changes(count: int) -> Iterator[Change]:
    label = "2024-01-01T00:00:00.000"
    old: Item | None = None
    for number in range(count):
        new = {"key": {"S": _KEY}, "value": {"N": str(number)}, "text": {"S": "x" * 100}}
        yield Change(
            "Configuration",
            f"arn:aws:dynamodb:us-east-1:000000000000:table/Configuration/stream/{label}",
            label,
            "INSERT" if old is None else "MODIFY",
            str(_FIRST_SEQUENCE + number),
            1_704_067_200_000 + 1000 * number,
            {"key": {"S": _KEY}},
            old,
            new,
            "",
        )
        old = new


def _under_load(site: Site, url: str, route: str, clients: int, calls: int) -> dict[str, float]:
    """Ask a route from several clients at once and return p50 and p99 of the answers' times."""
    method, template = route.split(" ")
    path, query = site.requests[route]
    address = urlsplit(url)
    target = address.path + template.format(**path) + (f"?{urlencode(query, quote_via=quote)}" if query else "")
    body = json.dumps({"id": _UPDATED, "attributes": {"value": 1}}) if method == "POST" else ""
    # Signed once: a signature is good for five minutes.
    headers = sign(
        method,
        address.netloc,
        target,
        {"Content-Type": "application/json"},
        sha256(body.encode()).hexdigest(),
        credentials=site.credentials,
        region="us-east-1",
        service="execute-api",
        at=time.time(),
    )
    found: list[float] = []
    failed: list[str] = []

    def ask(times: int, kept: list[float]) -> None:
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        for _ in range(times):
            began = time.perf_counter()
            connection.request(method, target, body or None, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept.append(1000 * (time.perf_counter() - began))
            if answer.status != 200:
                failed.append(f"{route}: {answer.status} {content[:200]!r}")
        connection.close()

    for times, kept in ((2, []), (calls, found)):  # the first answers start the workers
        threads = [threading.Thread(target=ask, args=(times, kept)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failed, failed[0]
    ordered = sorted(found)
    return {"p50Ms": statistics.median(ordered), "p99Ms": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]}


def _cold(site: Site, folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Start each function and its reference in turn, many times over."""
    roots: dict[str, tuple[Path, str]] = {}
    for name, route in _COLD.items():
        [function] = [function for function in FUNCTIONS if function.name == name]
        root = folder / name
        with zipfile.ZipFile(packaging.build(function, folder / "dist").path) as archive:
            archive.extractall(root)
        roots[f"{name} ours"] = (root, route)
        roots[f"{name} bare boto3"] = (folder / "bare", route)
    (folder / "bare").mkdir()
    shutil.copy(_HANDLERS / "boto3_api" / "index.py", folder / "bare")
    starts: dict[str, list[float]] = {name: [] for name in roots}
    for number in range(rounds + 1):
        for name, (root, route) in roots.items():
            took = _start(root, json.dumps(site.event(route)), site)
            if number:  # the first start reads the files from disk
                starts[name].append(took)
    return {
        name: dict(zip(("coldMs", "lowerQuartileMs", "upperQuartileMs"), spread(found), strict=True))
        for name, found in starts.items()
    }


def _start(root: Path, event: str, site: Site) -> float:
    # -S would hide boto3 from the reference. Nothing is written into the folder, as on Lambda.
    command = [sys.executable, "-B", "-c", _WORKER, str(root), event]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "LANG": "en_US.UTF-8",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_ENDPOINT_URL": site.endpoint,
        **site.variables,
    }
    began = time.perf_counter()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "answered\n", "it did not answer"
        return 1000 * (time.perf_counter() - began)
