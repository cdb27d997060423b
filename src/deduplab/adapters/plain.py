"""The reference store ``plain``: one file an object, so a copy costs what the first one cost."""

from __future__ import annotations

from typing import ClassVar

from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._marker import Settings
from deduplab.adapters._mirrors import MOST_REPLICAS, MirroredAdapter
from deduplab.adapters._reference import REFERENCE_COMPONENTS, Buffer


class PlainAdapter(MirroredAdapter):
    """Stores each payload as it is, in a file of its own.

    Known answer: unique cost 1 (with block rounding, where an object's length
    is no multiple of a block), deduplication efficiency 0, and what is deleted
    is reclaimed at once.
    """

    product = "plain"
    suffixes = ("",)
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(Variant("default", "one file an object, as it is"),),
        layouts=LAYOUTS,
        delete_modes=("rowwise", "truncate", "drop"),
        background_work=False,
        most_replicas=MOST_REPLICAS,
    )
    file_components = REFERENCE_COMPONENTS

    def joining(self) -> object | None:
        """Return the namespace: an object is one name, which the file system gives once.

        So a key stays unique whichever process puts it, and there is nothing else to share.
        """
        return None if self._settings is None else self._joining()

    def _join(self, settings: Settings) -> None:
        """Enter the namespace's directory as another process made it, in mirrors too."""
        directory = self._directory(settings.namespace)
        directory.check()
        self._attach(directory.path, settings)
        self._settings = settings
        for mirror in self._mirrors:
            mirror._join(settings)

    def _encode(self, payload: Buffer) -> tuple[str, Buffer]:
        return "", payload

    def _decode(self, suffix: str, content: bytes) -> bytes:
        return content
