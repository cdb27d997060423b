"""What is said where a server does not take the user or the secret."""

from __future__ import annotations

from deduplab.errors import LoginRefused
from deduplab.server import Endpoint


def login_refused(product: str, endpoint: Endpoint, words: object) -> LoginRefused:
    """Word the refusal of a login: who was refused where, and where the secret came from.

    Parameters
    ----------
    words
        What the server said.
    """
    said = " ".join(str(words).split()) or "no reason given"
    secret = endpoint.secret
    held = f"the secret (from {secret.source})" if secret and secret.source else "the secret"
    # Where a token is all, there is no user.
    who, check = (f" of user {endpoint.user!r}", "the user and ") if endpoint.user else ("", "")
    return LoginRefused(
        f"{product} at {endpoint.address} refuses the login{who}: {said}; check {check}{held}"
    )
