"""A witness behind the address of a Lambda function, as infra/witness.yaml makes it: requests to it are signed."""

from __future__ import annotations

from weaudit.aws.connections import Call, Connection
from weaudit.aws.endpoints import Endpoint, split_url
from weaudit.errors import StoreRefusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from weaudit.aws.transport import Answer


class RemoteWitness:
    """Sends requests to the witness at a URL, which names its region."""

    def __init__(self, url: str, environment: Mapping[str, str]) -> None:
        """Keep the settings; nothing is opened yet. Raises InvalidInputError for what is no URL."""
        scheme, host, path = split_url(url)
        # https://<id>.lambda-url.<region>.on.aws
        _, _, region = host.removesuffix(".on.aws").partition(".lambda-url.")
        endpoint = Endpoint(scheme, host, path, region or environment.get("AWS_REGION", ""), configured=True)
        self._connection = Connection("lambda", endpoint, environment)
        self._connection.deadline_s = 10.0

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Return status and body of the response to a request, for :func:`weaudit.ledger.witness.cosigned`.

        Raises StoreUnavailableError if no retry got a response: then nobody has refused anything.
        """
        answers: list[Answer] = []

        def explain(answer: Answer) -> tuple[str, str]:
            answers.append(answer)
            return "", ""

        endpoint = self._connection.endpoint
        address = (endpoint.host, f"{endpoint.path}/add-checkpoint")
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        try:
            self._connection.send(Call("add-checkpoint", "POST", address, headers, body, explain))
        except StoreRefusedError:
            if not answers:
                raise
        return answers[-1].status, answers[-1].body
