"""Shards scanned by the workers of a Dask cluster, which must see the same files and servers."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

from deduplab.bound.scan import Progress, scan_shard
from deduplab.bound.settings import ScanSettings
from deduplab.bound.sketch import Sketch
from deduplab.bound.sketch_file import from_bytes
from deduplab.bound.stream import Source, split
from deduplab.errors import OperationFailed, SystemUnavailable

_Client = Any
"""``distributed.Client``, which is not typed, and imported late."""

SHARDS_PER_THREAD: Final = 4
"""More shards than threads, so that none waits long for the last one."""
_CONNECT_DEADLINE_S: Final = 30
_ALIVE_S: Final = 10
"""How long to wait for a shard before looking whether the cluster is still there."""


def scan_on_cluster(
    address: str,
    sources: Sequence[Source],
    settings: ScanSettings,
    progress: Progress | None,
) -> list[Sketch]:
    """Scan sources on a cluster, and return the sketches of the shards, in their order.

    Raises
    ------
    SystemUnavailable
        If the cluster can't be reached or has no workers, or ``distributed`` isn't installed.
    OperationFailed
        If all of its workers are lost meanwhile.
    """
    client = _client(address)
    try:
        threads = sum(client.nthreads().values())
        shards = split(sources, SHARDS_PER_THREAD * max(1, threads))
        # Never "pure": a source of the same name may have changed since the last scan.
        futures = client.map(scan_shard, shards, settings=settings, pure=False)
        places = {future.key: place for place, future in enumerate(futures)}
        sketches: dict[int, Sketch] = {}
        for future in _completed(client, futures):
            sketch = from_bytes(_content(future), "a shard's sketch")
            sketches[places[future.key]] = sketch
            if progress is not None:
                progress(sum(stream.logical_bytes for stream in sketch.streams.values()))
        return [sketches[place] for place in range(len(futures))]
    finally:
        client.close(timeout=_CONNECT_DEADLINE_S)


def _completed(client: _Client, futures: Sequence[Any]) -> Iterator[Any]:
    """Yield futures as they come to an end; fail if no worker is left."""
    wait_for = importlib.import_module("distributed").wait
    waiting = list(futures)
    while waiting:
        try:
            done, rest = wait_for(waiting, timeout=_ALIVE_S, return_when="FIRST_COMPLETED")
        except TimeoutError:
            if client.status != "running" or not client.nthreads():
                raise OperationFailed(
                    "the Dask cluster has lost its scheduler or all of its workers, so nothing "
                    "was counted; bring it up, and scan again"
                ) from None
            continue
        waiting = list(rest)
        yield from done


def _content(future: Any) -> bytes:
    killed: type[Exception] = importlib.import_module("distributed").KilledWorker
    try:
        content: bytes = future.result()
    except killed as error:
        raise OperationFailed(
            f"the Dask workers that scanned one of the parts have died ({error}), so nothing was "
            "counted; if memory was short, give them more, or scan with --sample"
        ) from error
    return content


def _client(address: str) -> _Client:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as error:
        raise SystemUnavailable(
            f"the package 'distributed' can't be imported ({error}); "
            "install it with: pip install 'deduplab[dask]'"
        ) from error
    client = None
    try:
        client = distributed.Client(address, timeout=_CONNECT_DEADLINE_S)
        client.wait_for_workers(1, timeout=_CONNECT_DEADLINE_S)
    except (OSError, ValueError) as error:
        if client is not None:
            client.close(timeout=_CONNECT_DEADLINE_S)
        raise SystemUnavailable(
            f"no Dask scheduler with workers answers at {address!r} ({error}); "
            "write its address like tcp://127.0.0.1:8786"
        ) from error
    return client
