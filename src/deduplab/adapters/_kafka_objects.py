"""What a namespace's topics hold as objects: one log by key, or payloads by hash and references.

In the second form a payload's message has the payload's hash as its key, so
the log cleaner keeps one message of all copies; an object is a message in
another topic, with the object's key and the hash as its value. So every object
stays readable when the copies' messages are gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence

from blake3 import blake3

from deduplab.adapters._kafka_log import Headers, KafkaLog
from deduplab.errors import Unsupported

_HASH_BYTES = 16


class Objects(ABC):
    """The objects of one namespace."""

    logs: tuple[KafkaLog, ...]

    @abstractmethod
    def put(self, key: str, value: bytes, headers: Headers | None) -> None:
        """Store one object."""

    @abstractmethod
    def put_many(self, keys: Sequence[str], values: list[bytes], headers: Headers | None) -> int:
        """Store many; return how many were acknowledged."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return the value of an object, or None."""

    @abstractmethod
    def delete(self, keys: Sequence[str]) -> int:
        """Delete these; return how many there were."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of objects, as the broker tells or as its messages do."""

    def locate(self) -> None:
        """Read the logs to find what is not remembered, so that no operation has to."""
        for log in self.logs:
            _ = log.places

    def look_again(self) -> None:
        """Read the logs anew: others have written to them."""
        for log in self.logs:
            log.look_again()
        self.locate()

    def truncated(self) -> None:
        """Take note that all records of all logs were deleted."""
        for log in self.logs:
            log.forget()


class _OneLog(Objects):
    """Objects whose messages all lie in one log."""

    def __init__(self, log: KafkaLog) -> None:
        self.logs = (log,)
        self._log = log

    def put(self, key: str, value: bytes, headers: Headers | None) -> None:
        """Write one message."""
        self._log.put(key, value, headers)

    def put_many(self, keys: Sequence[str], values: list[bytes], headers: Headers | None) -> int:
        """Write messages."""
        return self._log.put_many(keys, values, headers)

    def get(self, key: str) -> bytes | None:
        """Read the message where the key was last written."""
        return self._log.read(key)


class RetainedObjects(_OneLog):
    """Messages that all stay, in the order of their arrival.

    ``alone`` is false where other processes write and delete at the same time.
    """

    def __init__(self, log: KafkaLog, *, alone: bool = True) -> None:
        super().__init__(log)
        self._alone = alone

    def delete(self, keys: Sequence[str]) -> int:
        """Move the log's start behind these messages: they must be the oldest.

        Raises
        ------
        Unsupported
            If an older message would have to stay: a log has no other deletion. So it is for
            one of several clients, whose messages lie between those of the others.
        """
        if not self._alone:
            raise Unsupported(
                "kafka, delete policy: a log can only be cut off at its beginning (DeleteRecords), "
                "where the messages of all clients lie; delete with one client, by 'truncate' or "
                "'drop', or use the variant compact-by-key"
            )
        places = self._log.places
        found = sorted({places[key] for key in keys if key in places})
        if not found:
            return 0
        low, _ = self._log.reader.bounds()
        if found != list(range(low, low + len(found))):
            raise Unsupported(
                "kafka, delete policy: a log can only be cut off at its beginning (DeleteRecords), "
                "and these are not its oldest messages; delete in the order of insertion, or use "
                "a compact variant, which deletes by tombstones"
            )
        self._log.cut(found[-1] + 1)
        for key in keys:
            places.pop(key, None)
        return len(found)

    def count(self) -> int:
        """Return the distance between the log's first and last offset: no message lacks."""
        low, high = self._log.reader.bounds()
        return high - low


class CompactedObjects(_OneLog):
    """Messages of which the cleaner keeps the last of each key; tombstones delete."""

    def delete(self, keys: Sequence[str]) -> int:
        """Write a tombstone for each key that has a message."""
        found = [key for key in dict.fromkeys(keys) if key in self._log.places]
        self._log.erase(found)
        return len(found)

    def count(self) -> int:
        """Read the log, and count the keys whose last message is no tombstone."""
        return len(live_values(self._log))


class HashedObjects(Objects):
    """Payloads by their hash in one compacted topic, references to them in another."""

    def __init__(
        self, payloads: KafkaLog, references: KafkaLog, *, fresh: bool, alone: bool = True
    ) -> None:
        self.logs = (payloads, references)
        self._payloads = payloads
        self._references = references
        self._alone = alone
        self._known: dict[str, str] | None = {} if fresh else None
        self._uses: Counter[str] = Counter()

    def put(self, key: str, value: bytes, headers: Headers | None) -> None:
        """Write the payload and the reference; both are awaited."""
        digest = hash_of(value)
        self._hashes()
        payload = self._payloads.send(digest, value, headers)
        reference = self._references.send(key, digest.encode())
        self._payloads.places[digest] = payload.offset()
        self._references.places[key] = reference.offset()
        self._refer(key, digest)

    def put_many(self, keys: Sequence[str], values: list[bytes], headers: Headers | None) -> int:
        """Write all payloads, copies too, then all references."""
        digests = [hash_of(value) for value in values]
        self._hashes()
        self._payloads.put_many(digests, values, headers)
        acknowledged = self._references.put_many(keys, [digest.encode() for digest in digests])
        for key, digest in zip(keys, digests, strict=True):
            self._refer(key, digest)
        return acknowledged

    def get(self, key: str) -> bytes | None:
        """Read the payload that the key's reference names."""
        digest = self._hashes().get(key)
        return None if digest is None else self._payloads.read(digest)

    def delete(self, keys: Sequence[str]) -> int:
        """Write tombstones for references, then for payloads that nothing refers to any more.

        Raises
        ------
        Unsupported
            If others delete at the same time: then nobody knows what is referred to.
        """
        if not self._alone:
            raise Unsupported(
                "kafka, compact-by-hash: a payload is deleted by the client that deletes its last "
                "reference, and of several clients none knows which is the last; delete with one "
                "client, by 'truncate' or 'drop'"
            )
        known = self._hashes()
        found = [key for key in dict.fromkeys(keys) if key in known]
        self._references.erase(found)
        digests = [known.pop(key) for key in found]
        self._uses.subtract(digests)
        unused = [digest for digest in dict.fromkeys(digests) if self._uses[digest] == 0]
        self._payloads.erase(unused)
        for digest in unused:
            del self._uses[digest]
        return len(found)

    def count(self) -> int:
        """Read both logs, and count the references whose payload is there."""
        payloads = live_values(self._payloads)
        references = live_values(self._references, kept=True)
        return sum(value.decode() in payloads for value in references.values())

    def locate(self) -> None:
        """Read the logs, and the references' values."""
        super().locate()
        self._hashes()

    def look_again(self) -> None:
        """Read both logs anew."""
        self._known = None
        super().look_again()

    def truncated(self) -> None:
        """Take note that all records of both logs were deleted."""
        super().truncated()
        self._known = {}
        self._uses.clear()

    def _hashes(self) -> dict[str, str]:
        """Return the hash of each object's payload; read from the log where it is not known."""
        if self._known is None:
            found = live_values(self._references, kept=True)
            self._known = {key: value.decode() for key, value in found.items()}
            self._uses = Counter(self._known.values())
        return self._known

    def _refer(self, key: str, digest: str) -> None:
        known = self._hashes()
        before = known.get(key)
        if before is not None:
            self._uses[before] -= 1
        known[key] = digest
        self._uses[digest] += 1


def live_values(log: KafkaLog, *, kept: bool = False) -> dict[str, bytes]:
    """Read a log; return its live keys, with their values where they are to be kept."""
    found: dict[str, bytes] = {}
    for _, key, value in log.reader.scan():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = value if kept else b""
    return found


def hash_of(value: bytes) -> str:
    """Return the key of a payload: 128 bits of its BLAKE3, as hexadecimal digits."""
    return blake3(value).hexdigest(_HASH_BYTES)
