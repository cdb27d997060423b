"""What a namespace's streams hold as objects: a message each, or payloads by hash and references.

In the second form a payload is a message whose subject (and id, where the scheme gives it one)
is the payload's hash, so the server refuses its copies; an object is a message in another stream,
under the object's key, with the hash as its body. So every object stays readable.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from blake3 import blake3

from deduplab.adapters._nats_api import JetStream
from deduplab.adapters._nats_errors import SUBJECT_IS_TAKEN, refused
from deduplab.adapters._nats_messages import Framed, Value, check_length, message, pieces
from deduplab.adapters._nats_streams import (
    OBJECTS,
    PAYLOADS,
    REFERENCES,
    SHORTEST_WINDOW_NS,
    Scheme,
    stream_name,
    subject_prefix,
    token,
    tokens,
)
from deduplab.errors import OperationFailed, Unsupported

_HASH_BYTES: Final = 16
_REFUSED: Final = SUBJECT_IS_TAKEN.encode()
_FORGET_STEPS: Final = 600
_FORGET_STEP_S: Final = 0.06
_STEP_NS: Final = 10**6


class Objects(ABC):
    """The objects of one namespace."""

    def __init__(self, js: JetStream, namespace: str, scheme: Scheme) -> None:
        self._js = js
        self._namespace = namespace
        self._scheme = scheme
        self._keyed = REFERENCES if scheme.by_hash else OBJECTS
        self._stream = stream_name(namespace, self._keyed)
        self._stream_bytes = self._stream.encode()
        self._prefix = subject_prefix(namespace, self._keyed)

    @abstractmethod
    def put(self, key: str, value: Value) -> None:
        """Store one object."""

    @abstractmethod
    def put_many(self, keys: Sequence[str], values: Iterable[Value]) -> None:
        """Store many; return when all are acknowledged."""

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return the value of an object, or None."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of objects, as the server tells."""

    def delete(self, keys: Sequence[str]) -> int:
        """Purge the keys' subjects; return how many there were."""
        subjects = (self._prefix + each for each in tokens(list(dict.fromkeys(keys))))
        return self._js.purge_subjects(self._stream, subjects)

    def truncate(self) -> None:
        """Purge all streams."""
        for part in self._scheme.parts:
            self._js.purge(stream_name(self._namespace, part))

    def sweep(self) -> None:
        """Delete what no object refers to.

        Raises
        ------
        Unsupported
            If the scheme has nothing of the kind.
        """
        raise Unsupported(
            "nats has no maintenance to ask for: the server compacts blocks on its own; 'sweep' "
            "is for the variants unique-content.., whose payloads outlive the last object"
        )

    def _publish_one(self, framed: Framed, messages: int, inbox: bytes) -> None:
        """Send what one object needs, and look at the acknowledgements."""
        wire = self._js.wire
        check_length(framed[1], wire.info["max_payload"])
        self._look_at(wire.exchange(inbox, framed[0], messages))

    def _publish_many(self, messages: Iterable[Framed], each: int, inbox: bytes) -> None:
        """Send messages in pieces, and look at every acknowledgement."""
        wire = self._js.wire
        self._look_at(wire.publish(inbox, pieces(messages, each, wire.info["max_payload"])))

    def _look_at(self, answers: Iterable[bytes]) -> None:
        """Raise the first refusal, when all acknowledgements are there."""
        failure: OperationFailed | None = None
        for answer in answers:
            if b'"seq":' not in answer or b'"error":' in answer or self._is_looked_at(answer):
                failure = failure or self._refusal(answer)
        if failure is not None:
            raise failure

    def _is_looked_at(self, answer: bytes) -> bool:
        """Whether an acknowledgement without an error may be a refusal all the same."""
        return False

    def _refusal(self, answer: bytes) -> OperationFailed | None:
        """Return what is to be raised for such an answer."""
        error = json.loads(answer).get("error", {})
        if error.get("description") == SUBJECT_IS_TAKEN:
            return OperationFailed("nats: the key exists; an object is never replaced")
        found = refused("write", error)
        if isinstance(found, OperationFailed):
            return found
        raise found


class WholeObjects(Objects):
    """Objects that are one message each."""

    def put(self, key: str, value: Value) -> None:
        """Publish one message."""
        inbox = self._js.wire.new_inbox()
        self._publish_one(message(self._prefix + token(key), value, inbox), 1, inbox)

    def put_many(self, keys: Sequence[str], values: Iterable[Value]) -> None:
        """Publish messages."""
        inbox, prefix = self._js.wire.new_inbox(), self._prefix
        pairs = zip(tokens(keys), values, strict=True)
        self._publish_many(
            (message(prefix + name, value, inbox) for name, value in pairs), 1, inbox
        )

    def get(self, key: str) -> bytes | None:
        """Read the message of the key's subject."""
        return self._js.last(self._stream_bytes, self._prefix + token(key))

    def count(self) -> int:
        """Return the number of messages."""
        return _messages(self._js, self._stream)


class HashedObjects(Objects):
    """Payloads by their hash in one stream, references to them in another."""

    def __init__(self, js: JetStream, namespace: str, scheme: Scheme) -> None:
        super().__init__(js, namespace, scheme)
        self._contents = stream_name(namespace, PAYLOADS)
        self._contents_bytes = self._contents.encode()
        self._contents_prefix = subject_prefix(namespace, PAYLOADS)
        self._of_contents = b'"%b"' % self._contents_bytes
        self._swept_up_to = 0

    def put(self, key: str, value: Value) -> None:
        """Publish the payload and the reference; both are awaited."""
        inbox = self._js.wire.new_inbox()
        self._publish_one(self._both(token(key), value, inbox), 2, inbox)

    def put_many(self, keys: Sequence[str], values: Iterable[Value]) -> None:
        """Publish all payloads, copies too, and all references."""
        inbox = self._js.wire.new_inbox()
        pairs = zip(tokens(keys), values, strict=True)
        self._publish_many((self._both(name, value, inbox) for name, value in pairs), 2, inbox)

    def get(self, key: str) -> bytes | None:
        """Read the payload that the key's reference names."""
        digest = self._js.last(self._stream_bytes, self._prefix + token(key))
        if digest is None:
            return None
        return self._js.last(self._contents_bytes, self._contents_prefix + digest)

    def count(self) -> int:
        """Read the references, and count those whose payload is there."""
        there = self._hashes()
        return sum(digest in there for _, digest in self._js.scan(self._stream))

    def truncate(self) -> None:
        """Purge both streams; a purge leaves the ids, so they have to be forgotten."""
        super().truncate()
        self._forget_ids()

    def sweep(self) -> None:
        """Purge payloads that no reference names, and have all ids forgotten."""
        there = self._hashes()
        unused = there - {digest for _, digest in self._js.scan(self._stream)}
        if not unused:
            return
        if unused == there:
            self._js.purge(self._contents)
        else:
            subjects = (self._contents_prefix + digest for digest in unused)
            self._js.purge_subjects(self._contents, subjects)
        self._forget_ids()

    def _both(self, name: bytes, value: Value, inbox: bytes) -> Framed:
        digest = blake3(value).hexdigest(_HASH_BYTES).encode()
        subject = self._contents_prefix + digest
        given = digest if self._scheme.window_ns else b""
        parts, length_bytes = message(subject, value, inbox, given)
        more, more_bytes = message(self._prefix + name, digest, inbox)
        return parts + more, length_bytes + more_bytes

    def _is_looked_at(self, answer: bytes) -> bool:
        return bool(self._swept_up_to) and b'"duplicate"' in answer

    def _refusal(self, answer: bytes) -> OperationFailed | None:
        """Return nothing for a copy that was refused and whose first is there."""
        if self._of_contents in answer:
            if _REFUSED in answer:
                return None
            found = json.loads(answer)
            if found.get("duplicate"):
                if found["seq"] > self._swept_up_to:
                    return None
                return OperationFailed(
                    "nats: a payload was refused as the copy of one that was deleted: its id was "
                    "still known, so the object is lost; create the namespace anew"
                )
        return super()._refusal(answer)

    def _hashes(self) -> set[bytes]:
        pattern = self._contents_prefix.decode() + ">"
        start = len(self._contents_prefix)
        return {subject[start:] for subject in self._js.subjects(self._contents, pattern)}

    def _forget_ids(self) -> None:
        """Have the server forget the ids of all payloads, by the shortest windows there are.

        Ids are forgotten in their order, and nothing tells of it. A witness with an id of its
        own is written, and again until it is taken: then its id is forgotten, and so is every
        earlier one. No witness stays. A change of the window has the server look for ids that are
        past it, but it may look by the window from before; so the window is changed each time.
        """
        if not self._scheme.window_ns:
            return
        found = self._js.info(self._contents)
        assert found is not None
        settings = found["config"]
        identifier = b"witness-" + secrets.token_hex(8).encode()
        write = self._witness(identifier)
        write()
        try:
            for step in range(_FORGET_STEPS):
                window_ns = SHORTEST_WINDOW_NS + step % 2 * _STEP_NS
                self._js.update(settings | {"duplicate_window": window_ns})
                self._js.wire.listen(_FORGET_STEP_S)
                answer = write()
                if b'"duplicate"' not in answer:
                    self._swept_up_to = int(json.loads(answer)["seq"])
                    break
            else:
                raise OperationFailed(f"nats, {self._contents}: ids were not forgotten in time")
        finally:
            self._js.update(settings)
            self._js.purge_subjects(self._contents, [self._contents_prefix + identifier])

    def _witness(self, identifier: bytes) -> Callable[[], bytes]:
        def write() -> bytes:
            inbox = self._js.wire.new_inbox()
            subject = self._contents_prefix + identifier
            parts, _ = message(subject, b"", inbox, identifier)
            (answer,) = self._js.wire.publish(inbox, [(parts, 1)])
            if b'"error":' in answer:
                raise refused("write", json.loads(answer)["error"])
            return answer

        return write


def _messages(js: JetStream, stream: str) -> int:
    found = js.info(stream)
    if found is None:
        raise OperationFailed(f"nats: the stream {stream} is gone")
    return int(found["state"]["messages"])
