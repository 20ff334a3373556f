"""The floor of a function that asks a service: an empty handler, and one request by the standard library."""

import http.client
import os
from urllib.parse import urlsplit

where = urlsplit(os.environ["AWS_ENDPOINT_URL"])
if where.scheme == "https":
    import ssl

    trusting = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    connection = http.client.HTTPSConnection(where.netloc, context=trusting)
else:
    connection = http.client.HTTPConnection(where.netloc)


def lambda_handler(event, context):  # noqa: ARG001 Lambda passes both
    """Put an item, unsigned, and read the answer."""
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.PutItem"}
    connection.request("POST", "/", b"{}", headers)
    connection.getresponse().read()
    return {}
