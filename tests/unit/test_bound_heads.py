"""Heads of chunks wait to be compressed, as long as there is memory for them."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from random import Random

from deduplab.bound.compression import CompressionSample, Picked
from deduplab.bound.heads import CODECS, Head, WaitingHeads


def test_heads_wait_until_they_take_too_much_memory() -> None:
    waiting = WaitingHeads(1000)
    heads = [waiting.new(bytes(100)) for _ in range(10)]
    assert [head.waiting_bytes for head in heads] == [100] * 10
    heads.append(waiting.new(bytes(100)))
    assert [head.waiting_bytes for head in heads] == [0] * 11
    assert all(0 < size < 100 for head in heads for size in head.compressed_bytes)
    assert waiting.new(bytes(100)).waiting_bytes == 100


def test_heads_that_were_dropped_take_none() -> None:
    waiting = WaitingHeads(1000)
    kept = [waiting.new(bytes(100)) for number in range(2)]
    for _ in range(50):
        waiting.new(bytes(100))
    assert [head.waiting_bytes for head in kept] == [100, 100]


def test_what_does_not_get_smaller_is_left_as_it_is() -> None:
    assert Head(b"?").compressed_bytes == (1,) * len(CODECS)


def test_threads_compress_at_the_same_time() -> None:
    # A compressor must not be used by two threads at once, though nothing keeps them from it.
    random = Random(1)
    contents = [random.randbytes(100_000) + bytes(random.randrange(100_000)) for _ in range(100)]
    alone = [Head(content).compressed_bytes for content in contents]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            heads = [Head(content) for content in contents]
            assert list(threads.map(lambda head: head.compressed_bytes, heads)) == alone


def test_samples_of_many_streams_share_the_memory() -> None:
    waiting = WaitingHeads(10_000)
    samples = [CompressionSample(heads=waiting) for _ in range(20)]
    for sample in samples:
        sample.add(lambda _, length: memoryview(bytes(length)), Picked([0], [1000], [1]))
    heads = [one.head for sample in samples for one in sample.chunks.values()]
    assert sum(head.waiting_bytes for head in heads) <= 10_000
    sent = pickle.loads(pickle.dumps(samples[-1]))
    assert [one.values() for one in sent.chunks.values()] == [
        one.values() for one in samples[-1].chunks.values()
    ]
