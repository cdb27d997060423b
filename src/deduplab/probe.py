"""The third seam: a probe measures exactly one layer."""

from __future__ import annotations

from typing import Protocol

from deduplab.model import Layer, Reading


class Probe(Protocol):
    """Reads one layer's bytes, by every ruler that the layer has.

    A probe raises where it can't read; it never substitutes 0, an older value
    or another layer's number.
    """

    layer: Layer

    def measure(self) -> tuple[Reading, ...]:
        """Return the layer's readings now, the preferred ruler first.

        Raises
        ------
        ProbeError
            If the layer can't be read; its message is the reason that is recorded.
        """
        ...
