"""The reference store ``null``: discards everything, so what is measured is the harness itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from deduplab import __version__
from deduplab.adapter import Capabilities, Variant
from deduplab.adapters._embedded import METADATA_COMPONENTS, EmbeddedAdapter
from deduplab.adapters._layout import LAYOUTS
from deduplab.adapters._marker import Settings
from deduplab.batch import Batch
from deduplab.errors import ProbeError
from deduplab.model import Reading
from deduplab.record import Stored


class NullAdapter(EmbeddedAdapter):
    """Acknowledges and forgets. It does not know its keys, so it can't refuse an existing one.

    ``count`` is what was acknowledged and not deleted; ``get`` finds nothing.
    """

    product = "null"
    capabilities: ClassVar[Capabilities] = Capabilities(
        variants=(Variant("default", "discards everything"),),
        layouts=LAYOUTS,
        durability=("fsync", "interval", "none"),
        delete_modes=("rowwise", "truncate", "drop"),
        stores_data=False,
        background_work=False,
    )
    file_components = METADATA_COMPONENTS

    def __init__(self) -> None:
        super().__init__()
        self._objects = 0

    def put(self, key: str, payload: Stored) -> None:
        """Discard one object, a payload or a record."""
        self._objects += 1

    def put_many(self, batch: Batch) -> int:
        """Discard a batch."""
        count = len(batch.keys)
        self._objects += count
        return count

    def get(self, key: str) -> bytes | None:
        """Return None: nothing is kept."""
        return None

    def delete(self, keys: Sequence[str]) -> int:
        """Forget these objects, as many as there can be."""
        deleted = min(len(keys), self._objects)
        self._objects -= deleted
        return deleted

    def count(self) -> int:
        """Return how many objects were acknowledged and not deleted."""
        return self._objects

    def flush(self) -> None:
        """Do nothing."""

    def reclaim(self, mode: str) -> None:
        """Refuse: there is nothing to reclaim."""
        self._check_reclaim(mode)

    def engine_reading(self) -> Reading:
        """Refuse: a store that keeps nothing has no size.

        Raises
        ------
        ProbeError
            Always.
        """
        raise ProbeError("null keeps nothing, so there is no size to tell")

    def idle_signals(self) -> Mapping[str, int]:
        """Return nothing: there is no work in the background."""
        return {}

    def counters(self) -> Mapping[str, int]:
        """Return nothing."""
        return {}

    def _load_driver(self) -> None:
        return

    def _version(self) -> str:
        return __version__

    def _attach(self, directory: Path, settings: Settings) -> None:
        self._objects = 0

    def _detach(self) -> None:
        return

    def _truncate(self) -> None:
        self._objects = 0
