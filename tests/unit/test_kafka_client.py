"""Kafka's adapter without a broker: the login's arithmetic, answers, errors, variants, objects."""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
from typing import Any

import pytest

from deduplab.adapters._kafka_answer import Answer
from deduplab.adapters._kafka_client import LEAST_METADATA_LEVEL, _supported_level
from deduplab.adapters._kafka_errors import translated
from deduplab.adapters._kafka_objects import HashedObjects, RetainedObjects, hash_of
from deduplab.adapters._kafka_scram import Scram
from deduplab.adapters._kafka_topics import DURABILITIES, SCHEMES, topic_name
from deduplab.adapters.kafka import KafkaAdapter
from deduplab.errors import OperationFailed, SystemUnavailable, Unsupported

SALT = b"some salt"
ROUNDS = 4096


def _server_side(password: bytes) -> tuple[bytes, bytes]:
    """Return what a server keeps of a password: StoredKey and ServerKey (RFC 5802, section 3)."""
    salted = hashlib.pbkdf2_hmac("sha512", password, SALT, ROUNDS)
    client_key = hmac.digest(salted, b"Client Key", "sha512")
    return hashlib.sha512(client_key).digest(), hmac.digest(salted, b"Server Key", "sha512")


def _challenge(nonce: str, rounds: int = ROUNDS) -> str:
    return f"r={nonce},s={base64.b64encode(SALT).decode()},i={rounds}"


def test_the_proof_is_what_a_server_can_check() -> None:
    stored_key, server_key = _server_side(b"secret")
    scram = Scram("a=b,c", "secret", nonce="abc")
    greeting = scram.greeting().decode()
    assert greeting == "n,,n=a=3Db=2Cc,r=abc"
    challenge = _challenge("abcdef")
    bare, _, proof = scram.answer(challenge.encode()).decode().rpartition(",p=")
    signed = f"{greeting[3:]},{challenge},{bare}".encode()
    signature = hmac.digest(stored_key, signed, "sha512")
    client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
    assert hashlib.sha512(client_key).digest() == stored_key
    final = base64.b64encode(hmac.digest(server_key, signed, "sha512"))
    scram.verify(b"v=" + final)
    with pytest.raises(SystemUnavailable, match="prove"):
        scram.verify(b"v=" + base64.b64encode(bytes(64)))


@pytest.mark.parametrize(("nonce", "rounds"), [("other", ROUNDS), ("abcdef", 1)])
def test_a_challenge_of_somebody_else_is_refused(nonce: str, rounds: int) -> None:
    with pytest.raises(SystemUnavailable, match="challenge"):
        Scram("user", "secret", nonce="abc").answer(_challenge(nonce, rounds).encode())


def test_answers_are_read_in_order() -> None:
    tags = bytes([1, 5, 2]) + b"xx"
    answer = Answer(struct.pack(">hi", -2, 7) + b"\x00\x03abc" + b"\xff\xff" + b"\xac\x02" + tags)
    assert (answer.number("h"), answer.number("i")) == (-2, 7)
    assert (answer.text(), answer.text()) == ("abc", "")
    assert answer.varint() == 300
    answer.skip_tags()
    with pytest.raises(struct.error):
        answer.number("b")


class _Error:
    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name

    def str(self) -> str:
        return "what the library says"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_TRANSPORT", SystemUnavailable),
        ("_MSG_TIMED_OUT", SystemUnavailable),
        ("KAFKA_STORAGE_ERROR", SystemUnavailable),
        ("TOPIC_AUTHORIZATION_FAILED", OperationFailed),
        ("MSG_SIZE_TOO_LARGE", OperationFailed),
        ("POLICY_VIOLATION", OperationFailed),
    ],
)
def test_errors_are_told_apart(name: str, kind: type[Exception]) -> None:
    error: Any = _Error(name)
    found = translated(error, "write")
    assert type(found) is kind
    assert name in str(found)
    assert "what the library says" in str(found)


class _Wire:
    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = levels

    def feature_levels(self) -> dict[str, int]:
        return self._levels


def test_an_unexpected_version_is_unavailable() -> None:
    new: Any = _Wire({"metadata.version": LEAST_METADATA_LEVEL})
    assert _supported_level(new) == LEAST_METADATA_LEVEL
    olds: list[Any] = [_Wire({"metadata.version": LEAST_METADATA_LEVEL - 1}), _Wire({})]
    for old in olds:
        with pytest.raises(SystemUnavailable, match="too old"):
            _supported_level(old)


def test_every_variant_has_a_scheme_and_every_durability_settings() -> None:
    assert tuple(SCHEMES) == KafkaAdapter.capabilities.variant_names()
    for scheme in SCHEMES.values():
        synced = {d: scheme.settings(d) for d in DURABILITIES}
        assert synced["fsync"]["flush.messages"] == "1"
        assert "flush.messages" not in synced["interval"]
        assert {"flush.ms", "flush.messages"}.isdisjoint(synced["none"])
        assert synced["none"]["retention.ms"] == "-1"
        assert ("compact" in synced["none"]["cleanup.policy"]) is scheme.compacted


def test_names_of_topics_differ_by_more_than_dots() -> None:
    names = [
        topic_name(namespace, part).replace(".", "_")
        for namespace in ("abc", "abc_objects", "a_b", "a-b")
        for part in ("objects", "marker", "payloads", "references")
    ]
    assert len(set(names)) == len(names)


class _Log:
    """A log in memory: messages in order, the last one of each key in force."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes | None]] = []
        self.places: dict[str, int] = {}
        self.reader = self
        self.low = 0

    def send(self, key: str, value: bytes | None, headers: Any = None) -> Any:
        self.messages.append((key, value))
        at = len(self.messages) - 1

        class Sent:
            def offset(self) -> int:
                return at

        return Sent()

    def put_many(self, keys: Any, values: Any, headers: Any = None) -> int:
        for key, value in zip(keys, values, strict=True):
            self.places[key] = self.send(key, value).offset()
        return len(keys)

    def erase(self, keys: Any) -> None:
        for key in keys:
            self.send(key, None)
            del self.places[key]

    def read(self, key: str) -> bytes | None:
        return self.messages[self.places[key]][1] if key in self.places else None

    def scan(self) -> Any:
        return ((at, key, value) for at, (key, value) in enumerate(self.messages))

    def bounds(self) -> tuple[int, int]:
        return self.low, len(self.messages)

    def cut(self, offset: int) -> None:
        self.low = offset


def test_a_payload_goes_with_its_last_reference() -> None:
    payloads, references = _Log(), _Log()
    logs: list[Any] = [payloads, references]
    objects = HashedObjects(*logs, fresh=True)
    assert objects.put_many(["a", "b"], [b"same", b"same"], None) == 2
    objects.put("c", b"other", None)
    assert objects.count() == 3
    assert objects.delete(["a", "no-such", "a"]) == 1
    assert (objects.get("a"), objects.get("b")) == (None, b"same")
    assert payloads.read(hash_of(b"same")) == b"same"
    assert objects.delete(["b"]) == 1
    assert payloads.read(hash_of(b"same")) is None
    assert objects.count() == 1
    objects.put("c", b"again", None)
    assert objects.get("c") == b"again"
    again = HashedObjects(*logs, fresh=False)
    again.locate()
    assert again.get("c") == b"again"
    assert again.delete(["c"]) == 1
    assert payloads.read(hash_of(b"again")) is None


def test_a_log_is_cut_off_at_its_beginning_only() -> None:
    log = _Log()
    wrapped: Any = log
    objects = RetainedObjects(wrapped)
    objects.put_many(["a", "b", "c", "d"], [b"1", b"2", b"3", b"4"], None)
    with pytest.raises(Unsupported, match="oldest"):
        objects.delete(["b"])
    assert objects.count() == 4
    assert objects.delete(["b", "a", "no-such"]) == 2
    assert (objects.count(), objects.get("a"), objects.get("c")) == (2, None, b"3")
    assert objects.delete(["a"]) == 0
    assert objects.delete(["c", "d"]) == 2
    assert objects.count() == 0
