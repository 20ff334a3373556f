"""The API's document, and how a test calls the API signed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.httpsession import URLLib3Session

PATH = Path(__file__).parents[1] / "docs" / "openapi.yaml"
DOCUMENT: dict[str, Any] = yaml.safe_load(PATH.read_text(encoding="utf-8"))
METHODS = ("get", "post", "put", "delete", "patch")


def operations() -> dict[str, dict[str, Any]]:
    """Return the operations by route key, with references to parameters followed."""
    return {
        f"{method.upper()} {path}": {
            **operation,
            "parameters": [
                DOCUMENT["components"]["parameters"][found["$ref"].rpartition("/")[2]] if "$ref" in found else found
                for found in operation.get("parameters", [])
            ],
        }
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Caller:
    """One identity at one API; without credentials, unsigned."""

    url: str
    credentials: Credentials | None

    def ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Send one request."""
        asked = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in (query or {}).items())
        url = f"{self.url}{path}" + (f"?{asked}" if asked else "")
        request = AWSRequest(method, url, data=None if body is None else json.dumps(body), headers=headers or {})
        if self.credentials is not None:
            SigV4Auth(self.credentials, "execute-api", "us-east-1").add_auth(request)
        answer = URLLib3Session(timeout=35).send(request.prepare())
        found = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status_code, found, answer.text)
