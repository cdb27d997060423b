"""What a file of sinks refers to outside of itself: secrets, and authorities to trust."""

from __future__ import annotations

from deduplab import remote
from deduplab.server import Secret


class Outside:
    """Looks it up, for sinks that are used here."""

    def secret(self, reference: str) -> Secret:
        """Return what a reference stands for.

        Raises
        ------
        PlanError
            If nothing is there.
        """
        return remote.resolve(reference)

    def authorities(self, path: str) -> str:
        """Return the file of authorities to trust, which was read as such.

        Raises
        ------
        PlanError
            If it is not there, or holds no certificate.
        """
        return str(remote.authorities(path))


class Elsewhere(Outside):
    """Notes it, for sinks that are used in another place; nothing is looked up here.

    Attributes
    ----------
    secrets
        References, as they stand in the file.
    files
        Paths of authorities.
    """

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.files: list[str] = []

    def secret(self, reference: str) -> Secret:
        """Note a reference; the secret that is returned is empty."""
        self.secrets.append(reference)
        return Secret("", reference)

    def authorities(self, path: str) -> str:
        """Note a path, and return it as it is."""
        self.files.append(path)
        return path
