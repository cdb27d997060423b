"""The ENGINE layer: what a system says of itself."""

from __future__ import annotations

from collections.abc import Callable

from deduplab.errors import DeduplabError, ProbeError
from deduplab.model import Layer, Reading


class EngineProbe:
    """Asks the system through its adapter's ``engine_reading``."""

    layer = Layer.ENGINE

    def __init__(self, engine_reading: Callable[[], Reading]) -> None:
        self._engine_reading = engine_reading

    def measure(self) -> tuple[Reading, ...]:
        """Return the one reading; any refusal of the system becomes the reason of a miss."""
        try:
            reading = self._engine_reading()
        except ProbeError:
            raise
        except DeduplabError as error:
            raise ProbeError(f"the system did not tell: {error}") from error
        if reading.layer is not Layer.ENGINE or reading.total_bytes < 0:
            raise ProbeError(f"the system gave no ENGINE reading but {reading!r}")
        return (reading,)
