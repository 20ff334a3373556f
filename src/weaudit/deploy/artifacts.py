"""The bucket that holds what was deployed: packages and templates, each under its own digest."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from weaudit.errors import DeployError
from weaudit.installation.targets import Target


@dataclass(frozen=True, slots=True)
class ArtifactBucket:
    """One bucket an account and region: private, versioned, TLS only. An object's key holds the digest of its bytes."""

    name: str
    account: str
    partition: str
    client: Any

    @classmethod
    def of(cls, target: Target) -> "ArtifactBucket":
        """Return the bucket of this account and region, which need not exist yet."""
        identity = target.client("sts").get_caller_identity()
        client = target.client("s3")
        account, partition = identity["Account"], identity["Arn"].split(":")[1]
        return cls(f"weaudit-artifacts-{account}-{client.meta.region_name}", account, partition, client)

    def is_there(self) -> bool:
        """Tell whether the bucket is there. Raises DeployError where somebody else has one of that name."""
        try:
            self.client.head_bucket(Bucket=self.name, ExpectedBucketOwner=self.account)
        except self.client.exceptions.ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 403:
                raise DeployError(
                    f"bucket {self.name} is not yours, or you may not use it\nAsk for s3:* on it, or look who owns it."
                ) from error
            if status != 404:
                raise
            return False
        return True

    def ensure(self) -> None:
        """Create the bucket if it is not there. Raises DeployError where somebody else has one of that name."""
        if self.is_there():
            return
        region = self.client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        self.client.create_bucket(Bucket=self.name, **where)
        # A crash between these lines leaves a bucket without its settings; S3 keeps new buckets private by itself.
        blocked = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
        self.client.put_public_access_block(
            Bucket=self.name, PublicAccessBlockConfiguration=dict.fromkeys(blocked, True)
        )
        self.client.put_bucket_versioning(Bucket=self.name, VersioningConfiguration={"Status": "Enabled"})
        if self.client.meta.endpoint_url.startswith("https:"):
            # The embedded engine speaks plain HTTP on this machine, and enforces the policy: it would shut us out.
            self.client.put_bucket_policy(Bucket=self.name, Policy=json.dumps(self._tls_only()))

    def _tls_only(self) -> dict[str, Any]:
        arn = f"arn:{self.partition}:s3:::{self.name}"
        deny = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return {"Version": "2012-10-17", "Statement": [deny]}

    def put(self, key: str, content: bytes) -> None:
        """Store ``content`` unless it is there already; the key must hold its digest. Nothing is ever overwritten."""
        if self.has(key):
            return
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        try:
            self.client.put_object(
                Bucket=self.name, Key=key, Body=content, ChecksumSHA256=checksum, ExpectedBucketOwner=self.account,
                IfNoneMatch="*",
            )  # fmt: skip
        except self.client.exceptions.ClientError:
            # Somebody else stored the same bytes meanwhile.
            if not self.has(key):
                raise

    def has(self, key: str) -> bool:
        """Tell whether there is an object of this key."""
        try:
            self.client.head_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.account)
        except self.client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return False
        return True

    def get(self, key: str) -> bytes:
        """Return an object's bytes."""
        found = self.client.get_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.account)
        return bytes(found["Body"].read())

    def put_template(self, content: bytes) -> str:
        """Store a template and return the URL by which CloudFormation reads it."""
        key = self.template_key(content)
        self.put(key, content)
        return self.url(key)

    @staticmethod
    def template_key(content: bytes) -> str:
        """Return the key under which a template is stored."""
        return f"templates/{hashlib.sha256(content).hexdigest()}.yaml"

    def url(self, key: str) -> str:
        """Return the URL of an object as CloudFormation takes it."""
        # The client knows the host's form for every partition and endpoint; the signature is not wanted.
        url: str = self.client.generate_presigned_url("get_object", Params={"Bucket": self.name, "Key": key})
        return url.partition("?")[0]
