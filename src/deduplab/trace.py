"""The trace of one cell: what was seen of its system ten times a second, with stage marks.

What could not be read at a tick is missing there (NaN), never an older value. The clock is the
one that measures latencies, which all processes of a machine share.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from deduplab.errors import StoreError

FORMAT_VERSION: Final = 1

_DAMAGED: Final = (
    *(OSError, ValueError, KeyError, TypeError, EOFError),
    # What zipfile raises of a broken header that asks for what it does not offer.
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)

FILES_COLUMN: Final = "files_allocated_bytes"
REPLICAS_COLUMN: Final = "replicas_allocated_bytes"
VOLUME_COLUMN: Final = "volume_used_bytes"
SYSTEM_PREFIX: Final = "system_"
CLIENT_PREFIX: Final = "client_"
ENGINE_PREFIX: Final = "engine_"
"""What an adapter's counters are called in a trace, before their own names."""

OPERATIONS: Final = "operations"
PARTS: Final = (OPERATIONS, "flush", "rest", "proof", "restart")
"""What is done within a stage: it begins with the first; a cold read is restarted before it."""


class Mark(NamedTuple):
    """Something that began at a moment of a trace.

    Attributes
    ----------
    at_ns
        Nanoseconds since the trace began.
    position
        Which measurement of the cell it belongs to, from 0 on; -1 for none.
    name
        ``baseline``, a stage, one of ``PARTS`` within one, or ``end``.
    """

    at_ns: int
    position: int
    name: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Samples in columns, with the marks.

    Attributes
    ----------
    began_unix_ns
        When it began.
    period_ns
        Nanoseconds between two ticks, as asked for.
    at_ns
        When each sample was begun, in nanoseconds since then; shape (samples,), int64.
    columns
        By name, float64 of the same shape; NaN is missing. Units are last in the names.
        ``files_allocated_bytes``, of a replicated system the first member's alone,
        ``replicas_allocated_bytes``, all members', and ``volume_used_bytes`` are sizes now,
        ``system_*`` is the
        system's processes and all their children, ``client_*`` the process that drives them
        (of an embedded engine, that is the system), ``engine_*`` the adapter's counters. What
        ends in ``cpu_ns``, ``read_bytes`` and ``write_bytes`` counts from the processes' start.
    marks
        In order of time.
    missed_ticks
        Ticks that passed while an earlier sample was being taken: there is no sample of them.
    kept_of
        1, or n where only every n-th sample was kept, since there were too many.
    reasons
        Why something is missing, by what it is (``engine``, ``files``): the last reason.
    tracer_cpu_ns
        What the tracer's own process took from the first sample to the last.
    """

    began_unix_ns: int
    period_ns: int
    at_ns: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[np.float64]]
    marks: tuple[Mark, ...]
    missed_ticks: int
    kept_of: int
    reasons: Mapping[str, str]
    tracer_cpu_ns: int

    def samples(self) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield each sample: when it was begun, as in ``at_ns``, and what was seen, by column."""
        names = list(self.columns)
        for at_ns, *row in zip(
            self.at_ns.tolist(), *(column.tolist() for column in self.columns.values()), strict=True
        ):
            seen = zip(names, row, strict=True)
            yield at_ns, {name: value for name, value in seen if not math.isnan(value)}

    def to_bytes(self) -> bytes:
        """Return it as the content of a file: a zip of arrays as numpy writes them."""
        told = {
            "format_version": FORMAT_VERSION,
            "began_unix_ns": self.began_unix_ns,
            "period_ns": self.period_ns,
            "columns": list(self.columns),
            "marks": [list(mark) for mark in self.marks],
            "missed_ticks": self.missed_ticks,
            "kept_of": self.kept_of,
            "reasons": dict(self.reasons),
            "tracer_cpu_ns": self.tracer_cpu_ns,
        }
        values = np.array(list(self.columns.values()), dtype=np.float64)
        file = io.BytesIO()
        np.savez_compressed(
            file,
            at_ns=self.at_ns,
            values=values.reshape(len(self.columns), len(self.at_ns)),
            told=np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        )
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> Trace:
        """Return what :meth:`to_bytes` gave.

        Raises
        ------
        StoreError
            If it is something else, damaged, or of another version; ``name`` says what.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                at_ns, values = arrays["at_ns"], arrays["values"]
                told: dict[str, Any] = json.loads(arrays["told"].tobytes())
            version = told["format_version"]
            if version != FORMAT_VERSION:
                raise StoreError(
                    f"{name} is a trace of version {version}, this deduplab reads {FORMAT_VERSION}"
                )
            if values.shape != (len(told["columns"]), len(at_ns)):
                raise ValueError("its columns have another length than its clock")
            return cls(
                began_unix_ns=told["began_unix_ns"],
                period_ns=told["period_ns"],
                at_ns=at_ns,
                columns=dict(zip(told["columns"], values, strict=True)),
                marks=tuple(Mark(*mark) for mark in told["marks"]),
                missed_ticks=told["missed_ticks"],
                kept_of=told["kept_of"],
                reasons=told["reasons"],
                tracer_cpu_ns=told["tracer_cpu_ns"],
            )
        except _DAMAGED as error:
            raise StoreError(f"{name} is no trace, or is damaged: {error}") from error
