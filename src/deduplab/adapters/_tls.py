"""How a server proves who it is: by a certificate that is verified, or not at all.

An endpoint's options say it: ``tls`` is ``verify`` or ``off``, and ``ssl_ca`` names a
file of the authorities to trust instead of the system's. A plan's remote
address always says ``verify`` or ``off``. Where neither option is given, a server
on this machine's loopback, which is a private one of ours, is spoken to
plainly, and every other one must prove who it is.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Final

from deduplab.errors import SystemUnavailable
from deduplab.server import Endpoint

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

WITHOUT_TLS: Final = 'a server without TLS needs tls = "off" in its remote address'
"""What to do about a server that does not speak TLS."""

ADVICE: Final = (
    "name the certificate of the authority that signed it by ssl_ca, check that the address is the "
    'one in the certificate, or write tls = "off" where the network is to be trusted'
)
"""What to do about a certificate that is refused."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS with a certificate that is verified, the server's name in it too.

    Parameters
    ----------
    authority
        A file of the authorities' certificates (PEM); None trusts the system's.
    """

    authority: str | None = None

    @classmethod
    def of(cls, endpoint: Endpoint) -> Tls | None:
        """Return what an endpoint asks for; None speaks plainly."""
        authority = endpoint.options.get("ssl_ca")
        wanted = endpoint.options.get("tls")
        if wanted == "off" or (wanted is None and authority is None and endpoint.host in LOOPBACK):
            return None
        return cls(authority)

    def context(self) -> ssl.SSLContext:
        """Return what Python's sockets need.

        Raises
        ------
        SystemUnavailable
            If the file of the authorities can't be used.
        """
        try:
            return ssl.create_default_context(cafile=self.authority)
        except (OSError, ssl.SSLError) as error:
            raise SystemUnavailable(
                f"ssl_ca: the certificates in {self.authority!r} can't be used: {error}"
            ) from error

    def wrapped(self, connected: socket.socket, product: str, host: str) -> socket.socket:
        """Return a connection on which the server has proven who it is.

        Raises
        ------
        SystemUnavailable
            If its certificate is refused, with what to do about it.
        OSError
            If the connection is lost, or the peer does not speak TLS.
        """
        try:
            return self.context().wrap_socket(connected, server_hostname=host)
        except ssl.SSLError as error:
            raise refused(product, host, error) from error


def refused(product: str, host: str | None, error: Exception | str) -> SystemUnavailable:
    """Word the error of a server that did not prove who it is."""
    said = " ".join(str(error).split())
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLCertVerificationError):
        return SystemUnavailable(
            f"{product}: {host} does not speak TLS as it should: {said}; {WITHOUT_TLS}"
        )
    return SystemUnavailable(
        f"{product}: {host} did not prove who it is, its certificate is refused: {said}; {ADVICE}"
    )
