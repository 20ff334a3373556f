"""TLS between a function and its store, as every Lambda has it: a certificate made anew, and a file that trusts it.

The file also holds the issuers that AWS's SDK comes with: on Lambda, too, a client reads more than a hundred of them
before its first request.
"""

import datetime
import ipaddress
from pathlib import Path

import botocore
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


class Certificate:
    """``server`` is a file of key and certificate for 127.0.0.1; ``trusted``, for AWS_CA_BUNDLE, one of issuers."""

    def __init__(self, folder: Path) -> None:
        self.server, self.trusted = folder / "server.pem", folder / "issuers.pem"
        # RSA of 2,048 bits: so are the certificates of DynamoDB's and S3's endpoints.
        issuer_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
        issuer = _signed("WeAudit benchmark issuer", issuer_key.public_key(), "WeAudit benchmark issuer", issuer_key)
        server = _signed("127.0.0.1", key.public_key(), "WeAudit benchmark issuer", issuer_key)
        self.server.touch(mode=0o600)
        self.server.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + server.public_bytes(serialization.Encoding.PEM)
        )
        theirs = Path(botocore.__file__).with_name("cacert.pem").read_bytes()
        self.trusted.write_bytes(theirs + b"\n" + issuer.public_bytes(serialization.Encoding.PEM))


def _signed(name: str, key: rsa.RSAPublicKey, issuer_name: str, issuer_key: rsa.RSAPrivateKey) -> x509.Certificate:
    is_issuer = name == issuer_name
    now = datetime.datetime.now(datetime.UTC)
    subject, issuer = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer_name))
    builder = (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_issuer:
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        builder = builder.add_extension(here, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
