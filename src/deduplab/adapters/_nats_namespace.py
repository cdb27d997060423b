"""One namespace: its streams, the marker that each bears, and what they were created as.

Streams have metadata (since server 2.10), so the marker is an entry there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deduplab.adapters._layout import Layout
from deduplab.adapters._marker import MARKER
from deduplab.adapters._nats_api import JetStream
from deduplab.adapters._nats_objects import HashedObjects, Objects, WholeObjects
from deduplab.adapters._nats_streams import PARTS, Scheme, stream_name, subject_prefix
from deduplab.errors import NamespaceRefused, OperationFailed, Unsupported

DURABILITIES: Final = ("fsync", "interval")

_MARK: Final = "deduplab"
_STREAM_SETTINGS: Final = (
    "allow_direct",
    "compression",
    "discard",
    "discard_new_per_subject",
    "duplicate_window",
    "max_msgs_per_subject",
    "num_replicas",
    "retention",
    "storage",
)


@dataclass(frozen=True, slots=True)
class NatsNamespace:
    """A namespace as it was or will be created; it holds no connection.

    Parameters
    ----------
    name
        Checked at the door.
    scheme
        How the variant keeps objects.
    durability
        What an acknowledgement means.
    layout
        What a message's body is.
    """

    name: str
    scheme: Scheme = field(default_factory=Scheme)
    durability: str = "fsync"
    layout: Layout = field(default_factory=Layout)

    @property
    def streams(self) -> dict[str, str]:
        """The names of its streams, by their parts."""
        return {part: stream_name(self.name, part) for part in self.scheme.parts}

    def is_there(self, js: JetStream) -> bool:
        """Whether all of its streams are there with our marker.

        Raises
        ------
        NamespaceRefused
            If one is there without it.
        """
        found = self._existing(js)
        return set(self.streams.values()) <= set(found)

    def create(self, js: JetStream) -> None:
        """Create the streams; those of this name that bear our marker are deleted before.

        Raises
        ------
        NamespaceRefused
            If something of that name is there without our marker.
        """
        for stream in self._existing(js):
            js.delete(stream)
        self.create_streams(js)

    def create_streams(self, js: JetStream) -> None:
        """Create the streams, each with the marker."""
        for part, stream in self.streams.items():
            own = {
                "name": stream,
                "subjects": [subject_prefix(self.name, part).decode() + "*"],
                "metadata": {_MARK: MARKER, "namespace": self.name, **self.layout.described()},
            }
            js.create(own | self.scheme.settings(part))

    def destroy(self, js: JetStream) -> None:
        """Delete all streams of the namespace.

        Raises
        ------
        NamespaceRefused
            If one has lost its marker, or none is there.
        """
        found = self._existing(js)
        if not found:
            raise NamespaceRefused(f"nats: namespace {self.name!r} is gone; nothing is done")
        for stream in found:
            js.delete(stream)

    def enter(self, js: JetStream) -> Objects:
        """Return the objects."""
        kind = HashedObjects if self.scheme.by_hash else WholeObjects
        return kind(js, self.name, self.scheme)

    def check_durability(self, varz: Mapping[str, Any]) -> None:
        """Compare what the server syncs with what was declared.

        Raises
        ------
        Unsupported
            If it is another durability, or JetStream is off.
        """
        settings = varz.get("jetstream", {}).get("config")
        if settings is None:
            raise Unsupported("nats: this server runs without JetStream; set jetstream: enabled")
        always = bool(settings.get("sync_always"))
        if always != (self.durability == "fsync"):
            wanted = "always" if self.durability == "fsync" else "a time, as 10s"
            raise Unsupported(
                f"durability {self.durability!r} needs jetstream.sync_interval to be {wanted}, but "
                f"this server syncs {'always' if always else synced(settings)}"
            )

    def states(self, js: JetStream) -> dict[str, dict[str, Any]]:
        """Return what the server tells of each stream, by the streams' parts.

        Raises
        ------
        OperationFailed
            If one is gone.
        """
        found = {part: js.info(stream) for part, stream in self.streams.items()}
        states = {part: info for part, info in found.items() if info is not None}
        if len(states) < len(found):
            gone = ", ".join(self.streams[part] for part in found.keys() - states.keys())
            raise OperationFailed(f"nats: {gone} is gone")
        return states

    def configuration(self, js: JetStream) -> dict[str, str]:
        """Return the streams' settings in force that sizes and times depend on."""
        told = {
            f"{part}.{name}": str(info["config"].get(name, ""))
            for part, info in self.states(js).items()
            for name in _STREAM_SETTINGS
        }
        return told | self.layout.described()

    def _existing(self, js: JetStream) -> list[str]:
        """Return the streams of this name that are there, of whichever variant; all bear our mark.

        Raises
        ------
        NamespaceRefused
            If one does not.
        """
        found = []
        for part in PARTS:
            stream = stream_name(self.name, part)
            if (info := js.info(stream)) is None:
                continue
            marked = info["config"].get("metadata") or {}
            if marked.get(_MARK) != MARKER or marked.get("namespace") != self.name:
                raise NamespaceRefused(
                    f"stream {stream} is there without our marker; it is neither used nor "
                    "deleted: choose another namespace or look at it yourself"
                )
            found.append(stream)
        return found


def synced(settings: Mapping[str, Any]) -> str:
    """Return in words how often a server syncs: ``always`` or ``every 10 s``."""
    if settings.get("sync_always"):
        return "always"
    return f"every {settings.get('sync_interval', 0) / 10**9:g} s"
