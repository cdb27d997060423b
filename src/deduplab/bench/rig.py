"""The rig: one fresh instance of a system, entered by its adapter and watched by its probes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deduplab import registry
from deduplab.adapter import Adapter, Capabilities
from deduplab.bench.cause import causes_told
from deduplab.bench.containers import Containers
from deduplab.bench.rest import wait_for_rest
from deduplab.bench.storage_io import storage_write_bytes
from deduplab.bench.tracer import Watched
from deduplab.cell import Cell, RestSettings
from deduplab.errors import ProbeError, Unsupported
from deduplab.model import Footprint, Layer, Missing, Moment, Reading, Rest, Ruler
from deduplab.probe import Probe
from deduplab.probes.engine import EngineProbe
from deduplab.probes.files import FilesProbe
from deduplab.probes.replicas import ReplicasProbe
from deduplab.probes.shared import SharedExtentsProbe
from deduplab.probes.volume import VolumeProbe
from deduplab.record import RecordType
from deduplab.remote import RemoteServer
from deduplab.server import Endpoint, Server
from deduplab.versions import check_version
from deduplab.volumes import (
    NONE,
    direct_reads,
    file_system,
    mounted,
    require_sharing,
    share_blocks,
)

NAMESPACE: Final = "deduplab-lab"

_NO_REPLICAS: Final = Missing(
    Layer.REPLICAS, "one instance without replication: FILES is its only copy"
)
_NO_VOLUME: Final = Missing(
    Layer.VOLUME,
    "the file system holds other data too, so its used space is not this system's; "
    'volume = "..." in the plan gives the instance one of its own',
)


@dataclass(frozen=True, slots=True)
class Rig:
    """One system under test, up and empty, with everything that the lifecycle asks of it.

    ``volume`` is None where the instance lies on the workspace's own file system. ``clients``
    are the processes of its clients where there are several beside this one. ``replicas`` is None
    without replication; with it ``files`` are those of the leader alone.
    """

    adapter: Adapter
    server: Server
    capabilities: Capabilities
    probes: tuple[Probe, ...]
    files: FilesProbe | None
    endpoint: Endpoint
    volume: VolumeProbe | None = None
    clients: tuple[int, ...] = ()
    replicas: ReplicasProbe | None = None

    def watched(self) -> Watched:
        """Return what a tracer can see of it."""
        embedded = self.endpoint.port is None
        adapter = self.adapter
        return Watched(
            adapter_class=adapter.kind if isinstance(adapter, Containers) else type(adapter),
            entered=None if embedded else self.adapter.entered(),
            endpoint=self.endpoint,
            volume=self.volume.directory if self.volume else None,
            embedded=embedded,
            clients=self.clients,
            members=tuple(member.directory for member in self.server.members()),
        )

    @property
    def directories(self) -> tuple[Path, ...]:
        """The data directories of all members, or of the one instance; none that can't be seen."""
        found = tuple(member.directory for member in self.server.members())
        alone = self.endpoint.directory
        return found or ((alone,) if alone is not None else ())

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
        missing = [] if self.volume else [_NO_VOLUME]
        if self.replicas is None:
            missing.append(_NO_REPLICAS)
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
        """Wait for rest, then read the footprint; again if something moved in between.

        A volume writes out first what it still holds back, since that may change
        what it has allocated to files.
        """
        deadline = time.monotonic() + settings.deadline_s
        while True:
            if self.volume:
                self.volume.sync()
            rest = self.rest(settings)
            footprint = self.footprint(live_logical_bytes)
            files = footprint.reading(Layer.REPLICAS if self.replicas else Layer.FILES)
            still = files is None or files.total_bytes == rest.curve[-1][1]
            if (still and self._volume_is_still(footprint)) or not rest.settled:
                return Moment(name, footprint, rest)
            if time.monotonic() >= deadline:
                return Moment(name, footprint, dataclasses.replace(rest, settled=False))

    def can_dedupe(self, mode: str) -> bool:
        """Whether there is a volume whose blocks can be shared, and the program that does it."""
        try:
            require_sharing(self.volume.made_of if self.volume else None, mode)
        except Unsupported:
            return False
        return True

    def dedupe(self, mode: str, deadline_s: float) -> None:
        """Share equal blocks of the volume, by extents (``dedupe``) or ``dedupe-blocks``.

        Raises
        ------
        Unsupported
            Without a volume that can share blocks, or the program that does it.
        OperationFailed
            If it fails, or is not done by the deadline.
        """
        require_sharing(self.volume.made_of if self.volume else None, mode)
        assert self.volume is not None
        self.volume.sync()
        directory = self.volume.directory
        share_blocks(directory, directory.with_name(f"{directory.name}.hashes"), deadline_s, mode)

    def direct_reads(self) -> AbstractContextManager[None]:
        """Have the volume, where there is one, read past the page cache of the disk below."""
        return direct_reads(self.volume.directory) if self.volume else nullcontext()

    def _volume_is_still(self, footprint: Footprint) -> bool:
        """Whether the volume says again what it said in a footprint."""
        before = footprint.reading(Layer.VOLUME)
        if self.volume is None or before is None:
            return True
        return self.volume.measure()[0].total_bytes == before.total_bytes

    def storage_write_bytes(self) -> int | None:
        """Return what the system's processes have written to storage so far, or None."""
        embedded = self.clients if self.endpoint.port is None else ()
        return storage_write_bytes((*self.server.processes(), *embedded))

    def _size_bytes(self) -> int | None:
        if self.replicas is not None:
            return self.replicas.allocated_bytes()
        if self.files is not None:
            return self.files.allocated_bytes()
        try:
            return self.adapter.engine_reading().total_bytes
        except ProbeError:  # the footprint says why
            return None


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

    Where the cell has a volume, everything that the instance keeps lies on it.
    """
    entry = registry.system(cell.system)
    adapter_class = entry.adapter_class()
    _check_offered(cell, adapter_class.capabilities)
    across = cell.bulk.placement == "across"
    adapter = Containers(adapter_class(), adapter_class()) if across else adapter_class()
    with ExitStack() as stack:
        volume = None
        if cell.volume != NONE:
            volume = stack.enter_context(_volume(cell, workspace))
            workspace = volume.directory
        server = _server(cell, workspace)
        stack.callback(server.stop)
        with causes_told(server, "its start"):
            endpoint = server.start()
            stack.callback(adapter.close)
            adapter.open(endpoint)
            check_version(entry.name, adapter.identity().version, entry.versions)
            adapter.create(
                NAMESPACE,
                layout=cell.layout,
                variant=cell.variant,
                durability=cell.durability,
                record_type=record_type,
            )
        yield watched(adapter, server, endpoint, volume)
        if cell.remote or server.processes():  # else it ended, and a client would wait for it
            with causes_told(server, "the end"):
                adapter.destroy()


def _server(cell: Cell, workspace: Path) -> Server:
    """Return the server of a cell, which is not up yet."""
    if cell.remote:
        return RemoteServer(cell.remote, workspace, cell.durability)
    recipe = registry.system(cell.system).server_class()
    if cell.replicas == 1:
        return recipe(workspace, variant=cell.variant, durability=cell.durability)
    return recipe.replicated(
        workspace, variant=cell.variant, durability=cell.durability, replicas=cell.replicas
    )


@contextmanager
def _volume(cell: Cell, workspace: Path) -> Iterator[VolumeProbe]:
    """Mount the cell's volume in the workspace, and give the probe that reads it."""
    directory = workspace / "volume"
    directory.mkdir()
    with mounted(cell.volume, cell.volume_bytes, directory):
        yield VolumeProbe(directory, file_system(cell.volume))


def watched(
    adapter: Adapter, server: Server, endpoint: Endpoint, volume: VolumeProbe | None = None
) -> Rig:
    """Put the probes of every layer that can be seen on an open adapter."""
    probes: list[Probe] = []
    files = None
    if endpoint.directory is not None:
        files = FilesProbe(endpoint.directory, adapter.file_components)
        probes.append(files)
        if volume and volume.made_of.shares:
            probes.append(SharedExtentsProbe(endpoint.directory))
    probes.append(EngineProbe(adapter.engine_reading))
    if volume:
        probes.append(volume)
    replicas = None
    if members := server.members():
        replicas = ReplicasProbe(members, adapter.physical_copies)
        probes.append(replicas)
    return Rig(
        *(adapter, server, adapter.capabilities, tuple(probes), files, endpoint, volume),
        replicas=replicas,
    )


def _check_offered(cell: Cell, offers: Capabilities) -> None:
    offers.require(
        cell.system, layout=cell.layout, variant=cell.variant, durability=cell.durability
    )
    if cell.replicas > offers.most_replicas:
        raise Unsupported(
            f"{cell.system} keeps {offers.most_replicas} here, not {cell.replicas} replicas"
        )
    if cell.delete_mode not in offers.delete_modes:
        raise Unsupported(f"{cell.system} offers no delete mode {cell.delete_mode!r}")
