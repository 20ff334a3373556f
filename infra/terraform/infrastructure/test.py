"""Call the API that Terraform deployed, signed as who you are, and print the status and what it answers.

    python test.py [PATH]

PATH is /v1/health unless given. The address is the one of `terraform output`, or WEAUDIT_API_URL. Exit code 0 where the
status is 200. Needs botocore (boto3 brings it), credentials with execute-api:Invoke, and a stack that was applied.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.session import Session


def applied(name: str) -> str:
    """Return an output of the Terraform configuration beside this file."""
    command = ["terraform", f"-chdir={Path(__file__).parent}", "output", "-json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
        return str(json.loads(done.stdout)[name]["value"])
    except FileNotFoundError:
        raise SystemExit("terraform is not on PATH: give the API's address by WEAUDIT_API_URL") from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"terraform output: {error.stderr.strip()}") from error
    except KeyError:
        raise SystemExit(f"there is no output {name}: run `terraform apply` first") from None


def main(path: str = "/v1/health") -> int:
    """Call ``path`` and return the exit code."""
    session = Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise SystemExit("no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and what belongs to it")
    given = os.environ.get("WEAUDIT_API_URL")
    url = (given or applied("api_url")).rstrip("/") + path
    region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or applied("region")
    request = AWSRequest("GET", url)
    SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
    try:
        answer = URLLib3Session(timeout=35).send(request.prepare())
    except HTTPClientError as error:
        raise SystemExit(f"nothing answered: {error}") from error
    print(f"GET {url}: {answer.status_code}")
    print(answer.text)
    return 0 if answer.status_code == 200 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
