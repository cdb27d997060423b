"""Real data for tests: excerpts beside the tests, or the whole files where the environment says."""

import os
import shutil
from pathlib import Path

import numpy as np

from deduplab.datasets import origins
from deduplab.datasets.payloads import Payloads

VARIABLE = "DEDUPLAB_REAL_DATA"
EXCERPTS = Path(__file__).parents[1] / "data" / "real"


def is_whole() -> bool:
    return bool(os.environ.get(VARIABLE))


def real_files(family: str) -> list[Path]:
    """Return the files of a family that come in packages, in the catalogue's order."""
    folder = Path(os.environ.get(VARIABLE) or EXCERPTS)
    return [
        folder / origin.file_name
        for origin in origins.origins_of(family)
        if origin.package is not None
    ]


def fill_cache(family: str, cache: Path) -> None:
    """Put the files of a family where a fetch would have put them; verify whole ones."""
    for origin, file in zip(
        [one for one in origins.origins_of(family) if one.package is not None],
        real_files(family),
        strict=True,
    ):
        if is_whole():
            origins.adopt(origin, file, cache)
        else:
            target = cache / "data" / family / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def written(payloads: Payloads, ids: list[int] | range) -> list[bytes]:
    """Return the payloads with these ids, written in one call and cut by their lengths."""
    wanted = np.array(ids, dtype=np.int64)
    lengths = payloads.lengths(wanted)
    out = bytearray(b"\xaa" * int(lengths.sum()))
    payloads.write(wanted, memoryview(out))
    ends = np.cumsum(lengths).tolist()
    starts = [0, *ends[:-1]]
    return [bytes(out[start:end]) for start, end in zip(starts, ends, strict=True)]
