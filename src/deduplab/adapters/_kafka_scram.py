"""A login by SCRAM-SHA-512, the client's side. Sources: RFC 5802 (SCRAM), RFC 7677."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from deduplab.errors import SystemUnavailable

MECHANISM: Final = "SCRAM-SHA-512"

_LEAST_ITERATIONS: Final = 4096


class Scram:
    """The client's side of one SCRAM-SHA-512 login (RFC 5802), without channel binding."""

    def __init__(self, user: str, secret: str, nonce: str | None = None) -> None:
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._secret = secret.encode()
        self._nonce = nonce or secrets.token_urlsafe(24)
        self._first = f"n={name},r={self._nonce}"
        self._signature = b""

    def greeting(self) -> bytes:
        """Return the first message."""
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """Return the proof for the server's challenge.

        Raises
        ------
        SystemUnavailable
            If the challenge is not one that answers our greeting.
        """
        words = dict(part.split("=", 1) for part in challenge.decode().split(","))
        nonce, rounds = words.get("r", ""), int(words.get("i", "0"))
        if not nonce.startswith(self._nonce) or rounds < _LEAST_ITERATIONS:
            raise SystemUnavailable("kafka's login challenge is not an answer to our greeting")
        salted = hashlib.pbkdf2_hmac("sha512", self._secret, base64.b64decode(words["s"]), rounds)
        client_key = _hmac(salted, b"Client Key")
        bare = f"c=biws,r={nonce}"
        signed = f"{self._first},{challenge.decode()},{bare}".encode()
        proof = _hmac(hashlib.sha512(client_key).digest(), signed)
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        mixed = bytes(a ^ b for a, b in zip(client_key, proof, strict=True))
        return f"{bare},p={base64.b64encode(mixed).decode()}".encode()

    def verify(self, message: bytes) -> None:
        """Check that the server knows the secret too.

        Raises
        ------
        SystemUnavailable
            If it does not.
        """
        expected = b"v=" + base64.b64encode(self._signature)
        if not hmac.compare_digest(message.split(b",")[0], expected):
            raise SystemUnavailable("kafka did not prove that it knows the user's secret")


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha512")
