"""A client of the WeAudit API in plain botocore: every page of an item's history, one change a line.

    python client.py https://API_ID.execute-api.REGION.amazonaws.com REGION TABLE ITEM_KEY

Credentials come from where every AWS tool takes them; they need execute-api:Invoke on the route, and nothing else.
"""

import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.session import Session


class Client:
    """Signed requests to one API."""

    def __init__(self, url: str, region: str) -> None:
        self._url = url.rstrip("/")
        self._region = region
        self._credentials = Session().get_credentials()
        self._http = URLLib3Session(timeout=35)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return the document that a route answers; an error's own words where it answers one."""
        # Encoded by hand: a signature covers the query as it is sent, and + is not %20.
        encoded = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query.items())
        request = AWSRequest("GET", f"{self._url}{path}" + (f"?{encoded}" if encoded else ""))
        SigV4Auth(self._credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(request)
        answer = self._http.send(request.prepare())
        # Numbers may have 38 digits: a float would lose most of them.
        document: dict[str, Any] = json.loads(answer.content, parse_float=Decimal)
        if answer.status_code != 200:
            raise SystemExit(f"{answer.status_code}: {document.get('message')}")
        return document

    def history(self, table: str, key: str) -> Iterator[dict[str, Any]]:
        """Yield the changes of an item, from the first to the last."""
        cursor: str | None = ""
        while cursor is not None:
            query = {"key": key, "limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = self.get(f"/v1/tables/{quote(table, safe='')}/history", **query)
            yield from page["changes"]
            cursor = page["cursor"]


if __name__ == "__main__":
    url, region, table, key = sys.argv[1:]
    for change in Client(url, region).history(table, key):
        print(json.dumps(change, default=str))
