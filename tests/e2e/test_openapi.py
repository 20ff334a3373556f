"""The API against its own document: no 5xx, no status and no shape that it does not have, whatever is asked."""

import copy
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit, urlunsplit

import hypothesis
import pytest
import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.apis import Api
from tests.openapi import DOCUMENT, Caller, operations

pytestmark = pytest.mark.engine

# Not among them: that everything which the document allows is answered by 2xx (it cannot say that since comes before
# until, or that a condition holds), and the refusal of the unsigned (tests/e2e/test_api_access.py asks for 403).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


class Signed(requests.auth.AuthBase):
    """Signs what schemathesis sends."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Sign a request, with its query encoded as a signature takes it."""
        parts = urlsplit(str(request.url))
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
        request.url = urlunsplit(parts._replace(query=query))
        headers = {name: value for name, value in request.headers.items() if name.lower() == "content-type"}
        signed = AWSRequest(request.method, request.url, data=request.body, headers=headers)
        SigV4Auth(self._credentials, "execute-api", "us-east-1").add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


@pytest.fixture(scope="session")
def signed(api: Api) -> Signed:
    return Signed(api.role("tester", api.policy()))


@pytest.mark.parametrize("key", operations())
def test_a_route_answers_as_its_document_says(key: str, api: Api, signed: Signed) -> None:
    method, path = key.split()
    document: Any = copy.deepcopy(DOCUMENT)
    # Requests are signed below: what makes wrong ones has to leave the signature out of it.
    del document["security"], document["components"]["securitySchemes"]
    for parameter in document["paths"]["/v1/records/{id}"]["get"]["parameters"]:
        if parameter.get("name") == "id":
            parameter["example"] = api.record
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=api.url)
    calls = 0

    operation = schema[path][method]
    strategy = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    if operation.body or len(operation.query) or len(operation.path_parameters):
        strategy |= operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @hypothesis.given(case=strategy)
    @hypothesis.settings(
        max_examples=30, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    def ask(case: schemathesis.Case[Any]) -> None:
        nonlocal calls
        # A header with such a character is no HTTP: it is refused before anybody looks at the route.
        hypothesis.assume(all(str(value).isprintable() for value in (case.headers or {}).values()))
        # The engine's wildcards in policies match no line break: it refuses such a path itself, in words of its own.
        hypothesis.assume(all("\n" not in str(value) for value in (case.path_parameters or {}).values()))
        calls += 1
        case.call_and_validate(checks=CHECKS, auth=signed)

    ask()
    assert calls >= (10 if operation.query else 1)


def test_the_examples_of_the_document_are_answered(api: Api, signed: Signed) -> None:
    caller = Caller(api.url, signed._credentials)
    for key, operation in operations().items():
        method, path = key.split()
        query = {}
        for parameter in operation["parameters"]:
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
            elif parameter["in"] == "query" and parameter.get("required"):
                query[parameter["name"]] = parameter["example"]
        path = path.replace(operations()["GET /v1/records/{id}"]["parameters"][0]["example"], api.record)
        if operation["operationId"] == "itemAsOf":
            query["at"] = operation["parameters"][2]["example"]
        bodies = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
        for body in [found["value"] for found in bodies.values()] or [None]:
            answer = caller.ask(method, path, query, body)
            # (The condition of the example may hold or not.)
            assert answer.status in ((200, 412) if body else (200,)), (key, answer)
