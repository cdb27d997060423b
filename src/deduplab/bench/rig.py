"""The rig: one fresh instance of a system, entered by its adapter and watched by its probes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab import registry
from deduplab.adapter import Adapter, Capabilities
from deduplab.bench.containers import Containers
from deduplab.bench.rest import wait_for_rest
from deduplab.bench.storage_io import storage_write_bytes
from deduplab.errors import ProbeError, Unsupported
from deduplab.model import (
    Cell,
    Footprint,
    Layer,
    Missing,
    Moment,
    Reading,
    Rest,
    RestSettings,
    Ruler,
)
from deduplab.probe import Probe
from deduplab.probes.engine import EngineProbe
from deduplab.probes.files import FilesProbe
from deduplab.record import RecordType
from deduplab.remote import RemoteServer
from deduplab.server import Endpoint, Server

NAMESPACE: Final = "deduplab-lab"

_NOT_HERE: Final = (
    Missing(
        Layer.VOLUME, "the volume holds other data too, so its used space is not this system's"
    ),
    Missing(Layer.REPLICAS, "one instance without replication: FILES is its only copy"),
)


@dataclass(frozen=True, slots=True)
class Rig:
    """One system under test, up and empty, with everything that the lifecycle asks of it."""

    adapter: Adapter
    server: Server
    capabilities: Capabilities
    probes: tuple[Probe, ...]
    files: FilesProbe | None

    def footprint(self, live_logical_bytes: int) -> Footprint:
        """Read every layer now; what can't be read is missing, with the reason."""
        readings = [
            Reading(
                Layer.CLIENT,
                Ruler.REPORTED,
                live_logical_bytes,
                "sum of the payloads that were acknowledged and not deleted",
                time.time_ns(),
            )
        ]
        missing = list(_NOT_HERE)
        if self.files is None:
            missing.append(Missing(Layer.FILES, "the instance's files can't be seen from here"))
        for probe in self.probes:
            try:
                readings.extend(probe.measure())
            except ProbeError as error:
                missing.append(Missing(probe.layer, str(error)))
        return Footprint(tuple(readings), tuple(missing))

    def rest(self, settings: RestSettings) -> Rest:
        """Wait until the system has come to rest."""
        return wait_for_rest(
            self._size_bytes,
            self.adapter.idle_signals,
            settings,
            background_work=self.capabilities.background_work,
        )

    def settled(self, name: str, settings: RestSettings, live_logical_bytes: int) -> Moment:
        """Wait for rest, then read the footprint; again if something moved in between."""
        deadline = time.monotonic() + settings.deadline_s
        while True:
            rest = self.rest(settings)
            footprint = self.footprint(live_logical_bytes)
            files = footprint.reading(Layer.FILES)
            still = files is None or files.total_bytes == rest.curve[-1][1]
            if still or not rest.settled:
                return Moment(name, footprint, rest)
            if time.monotonic() >= deadline:
                return Moment(name, footprint, dataclasses.replace(rest, settled=False))

    def storage_write_bytes(self) -> int | None:
        """Return what the system's processes have written to storage so far, or None."""
        return storage_write_bytes(self.server.processes())

    def _size_bytes(self) -> int:
        if self.files is not None:
            return self.files.allocated_bytes()
        return self.adapter.engine_reading().total_bytes


@contextmanager
def bring_up(cell: Cell, workspace: Path, record_type: RecordType | None = None) -> Iterator[Rig]:
    """Start a fresh instance, open it, create the namespace; take everything down at the end.

    ``record_type`` is what the native layout makes its columns or fields from.

    Raises
    ------
    Unsupported
        If the system does not offer the cell's variant, layout or durability.
    SystemUnavailable
        If the system can't be brought up.
    """
    entry = registry.system(cell.system)
    adapter_class = entry.adapter_class()
    _check_offered(cell, adapter_class.capabilities)
    server = (
        RemoteServer(cell.remote, workspace, cell.durability)
        if cell.remote
        else entry.server_class()(workspace, variant=cell.variant, durability=cell.durability)
    )
    across = cell.bulk.placement == "across"
    adapter = Containers(adapter_class(), adapter_class()) if across else adapter_class()
    with ExitStack() as stack:
        stack.callback(server.stop)
        endpoint = server.start()
        stack.callback(adapter.close)
        adapter.open(endpoint)
        adapter.create(
            NAMESPACE,
            layout=cell.layout,
            variant=cell.variant,
            durability=cell.durability,
            record_type=record_type,
        )
        yield watched(adapter, server, endpoint)
        adapter.destroy()


def watched(adapter: Adapter, server: Server, endpoint: Endpoint) -> Rig:
    """Put the probes of every layer that can be seen on an open adapter."""
    probes: list[Probe] = []
    files = None
    if endpoint.directory is not None:
        files = FilesProbe(endpoint.directory, adapter.file_components)
        probes.append(files)
    probes.append(EngineProbe(adapter.engine_reading))
    return Rig(adapter, server, adapter.capabilities, tuple(probes), files)


def _check_offered(cell: Cell, offers: Capabilities) -> None:
    offers.require(
        cell.system, layout=cell.layout, variant=cell.variant, durability=cell.durability
    )
    if cell.delete_mode not in offers.delete_modes:
        raise Unsupported(f"{cell.system} offers no delete mode {cell.delete_mode!r}")
