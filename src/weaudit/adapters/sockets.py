"""How a service is reached: TCP, and TLS where its address says https."""

from __future__ import annotations

import functools
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing costs a cold start milliseconds
    import ssl


def opened(scheme: str, host: str, timeout_s: float, certificates: str | None = None) -> socket.socket:
    """Connect to a host, with its port where it is not the scheme's own, in a time. Raises OSError.

    ``certificates`` names a file of the issuers to trust; None are the system's.
    """
    name, port = address(scheme, host)
    opening = socket.create_connection((name, port), timeout_s)
    try:
        opening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return opening if scheme == "http" else tls(certificates).wrap_socket(opening, server_hostname=name)
    except BaseException:
        opening.close()
        raise


def address(scheme: str, host: str) -> tuple[str, int]:
    """Return name and port of a host, such as ``name``, ``name:8000`` or ``[::1]:8000``."""
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        name, port = host, "443" if scheme == "https" else "80"
    return name.strip("[]"), int(port)


def prepare(scheme: str, certificates: str | None = None) -> None:
    """Read now, while Lambda starts a function, what its first request would else wait for."""
    if scheme == "https":
        try:
            tls(certificates)
        except OSError:  # the first request fails by it, and says so
            return


@functools.lru_cache(maxsize=2)  # reading the certificates takes milliseconds
def tls(certificates: str | None) -> ssl.SSLContext:
    """Return the settings by which a server must prove its name, with these issuers trusted. Raises OSError."""
    import ssl  # milliseconds, for nothing where an endpoint has no TLS

    try:
        return ssl.create_default_context(cafile=certificates)
    except OSError as error:  # which names no file
        raise OSError(f"the certificates of {certificates or 'this system'} cannot be read: {error}") from error
