"""A look behind the NATS adapter's back, with the vendor's own client for Python."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import nats
from blake3 import blake3
from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from deduplab.server import Endpoint

PARTS = ("objects", "payloads", "references")

_T = TypeVar("_T")


def asked(endpoint: Endpoint, work: Callable[[Any, Any], Awaitable[_T]]) -> _T:
    """Do something with a client and its JetStream context, and return what it returns."""

    async def connected() -> _T:
        assert endpoint.secret is not None
        client = await nats.connect(
            f"nats://{endpoint.host}:{endpoint.port}",
            user=endpoint.user,
            password=endpoint.secret.reveal(),
            allow_reconnect=False,
        )
        try:
            return await work(client, client.jetstream(timeout=20))
        finally:
            await client.close()

    return asyncio.run(connected())


def subject(namespace: str, part: str, key: str) -> str:
    token = quote(key, safe="_/=+-").replace(".", "%2E").replace("~", "%7E")
    return f"deduplab.{namespace}.{part}.{token or '%'}"


async def infos(context: Any, namespace: str) -> dict[str, Any]:
    """What the server tells of the streams that are there, by their part."""
    found = {}
    for part in PARTS:
        try:
            found[part] = await context.stream_info(f"deduplab-{namespace}-{part}")
        except NotFoundError:
            continue
    return found


async def body(context: Any, namespace: str, part: str, key: str) -> bytes | None:
    stream = f"deduplab-{namespace}-{part}"
    try:
        message = await context.get_last_msg(stream, subject(namespace, part, key))
    except NotFoundError:
        return None
    return message.data or b""


class NatsLook:
    """Counts and reads messages; by hash, it follows references and computes hashes again."""

    def count(self, endpoint: Endpoint, namespace: str) -> int:
        async def work(_: Any, context: Any) -> int:
            found = await infos(context, namespace)
            keyed = found.get("references") or found["objects"]
            return int(keyed.state.messages)

        return asked(endpoint, work)

    def fetch(self, endpoint: Endpoint, namespace: str, key: str) -> bytes | None:
        async def work(_: Any, context: Any) -> bytes | None:
            if "objects" in await infos(context, namespace):
                return await body(context, namespace, "objects", key)
            digest = await body(context, namespace, "references", key)
            if digest is None:
                return None
            payload = await body(context, namespace, "payloads", digest.decode())
            assert payload is None or blake3(payload).hexdigest(16).encode() == digest
            return payload

        return asked(endpoint, work)

    def exists(self, endpoint: Endpoint, namespace: str) -> bool:
        async def work(_: Any, context: Any) -> bool:
            return bool(await infos(context, namespace))

        return asked(endpoint, work)

    def make_foreign(self, endpoint: Endpoint, namespace: str) -> None:
        async def work(_: Any, context: Any) -> None:
            await context.add_stream(
                name=f"deduplab-{namespace}-objects", subjects=[f"deduplab.{namespace}.theirs"]
            )
            await context.publish(f"deduplab.{namespace}.theirs", b"somebody else's")

        asked(endpoint, work)

    def remove_marker(self, endpoint: Endpoint, namespace: str) -> None:
        async def work(_: Any, context: Any) -> None:
            for info in (await infos(context, namespace)).values():
                assert info.config.metadata["namespace"] == namespace
                settings: StreamConfig = info.config
                settings.metadata = None
                await context.update_stream(settings)

        asked(endpoint, work)

    def messages(self, endpoint: Endpoint, namespace: str) -> dict[str, int]:
        """Messages of each stream, by its part."""

        async def work(_: Any, context: Any) -> dict[str, int]:
            found = await infos(context, namespace)
            return {part: int(info.state.messages) for part, info in found.items()}

        return asked(endpoint, work)
