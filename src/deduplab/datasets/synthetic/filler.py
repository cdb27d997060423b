"""Filler text of a chosen compressibility, for one member of a JSON object.

It consists of units of 256 characters: random ones of base64's alphabet, and then
eight characters, of the object's own, over and over. How many are random follows
from the object's length, so that ``zstd -1`` takes away the asked share of the
whole object: of random characters it leaves 6 bits of 8 and a little more.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from deduplab.dataset_spec import DatasetSpec
from deduplab.datasets.sizes import Sizes
from deduplab.datasets.synthetic.cells import Cells, table_of
from deduplab.datasets.synthetic.draws import Draws, Numbers
from deduplab.datasets.synthetic.units_stream import Bytes, Integers, UnitStream
from deduplab.errors import PlanError

UNIT_BYTES: Final = 256
_RUN_BYTES: Final = 8
_CHARACTERS_A_DRAW: Final = 8
_DRAWS: Final = UNIT_BYTES // _CHARACTERS_A_DRAW
_LEAST_RANDOM: Final = 8
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# What zstd -1 leaves, measured over sizes from 1 KiB to 1 MiB: of 1000 random characters, of
# 1000 bytes of the other members, and for each unit's repeated part.
_RANDOM_LEFT_PERMILLE: Final = 757
_MEMBERS_LEFT_PERMILLE: Final = 840
_UNIT_LEFT_BYTES: Final = 5


class TextFiller(UnitStream):
    """Filler for objects that have so many bytes besides it.

    Raises
    ------
    PlanError
        If an object of ``spec.object_bytes`` can't be compressed by the asked share.
    """

    def __init__(self, spec: DatasetSpec, sizes: Sizes, members_bytes: int, purpose: str) -> None:
        super().__init__(UNIT_BYTES, sizes.greatest_bytes)
        assert spec.compressibility_percent is not None
        self._sizes = sizes
        self._members_bytes = members_bytes
        self._percent = spec.compressibility_percent
        self._check(spec)
        self._draws = Draws(spec.seed, f"{purpose} filler")
        self._runs = Draws(spec.seed, f"{purpose} runs")

    def units(self, counters: Numbers) -> Bytes:
        """Return the units with these counters, back to back."""
        owners = counters // np.uint64(self.units_an_object)
        lengths = self._sizes.lengths(owners.view(np.int64)) - self._members_bytes
        random = np.clip(self._random_characters(lengths), _LEAST_RANDOM, UNIT_BYTES)
        most = int(random.max(initial=0))
        made = np.empty((len(counters), UNIT_BYTES // _RUN_BYTES), dtype=f"V{_RUN_BYTES}")
        made[:] = self._characters(self._runs.numbers(owners)[0])[:, None]
        units = made.view(np.uint8)
        characters = self._random_units(counters, most)
        if most == random.min(initial=most):
            units[:, :most] = characters[:, :most]
        else:
            chosen = np.arange(most) < random[:, None]
            np.copyto(units[:, :most], characters[:, :most], where=chosen)
        return units.reshape(-1)

    def _random_units(self, counters: Numbers, most: int) -> npt.NDArray[np.uint8]:
        """Return at least ``most`` random characters for each unit."""
        draws = -(-most // _CHARACTERS_A_DRAW)
        places: Numbers = np.empty((len(counters), draws), dtype=np.uint64)
        places[:] = np.arange(draws, dtype=np.uint64)
        places += (counters * np.uint64(_DRAWS))[:, None]
        characters = self._characters(self._draws.numbers(places.reshape(-1))[0])
        return characters.view(np.uint8).reshape(len(counters), -1)

    def _characters(self, numbers: Numbers) -> Cells:
        """Return eight characters for each number."""
        return _pair_table().take(numbers.view("<u2")).view(f"V{_CHARACTERS_A_DRAW}")

    def _random_characters(self, lengths: Integers) -> Integers:
        """Return how many characters of each unit are random, in fillers of these lengths."""
        wanted = self._wanted(lengths)
        full, rest = np.divmod(lengths, UNIT_BYTES)
        even = wanted // (full + 1)
        # In the last unit, which is cut short, no more can be random than there are.
        return np.where(even <= rest, even, (wanted - rest) // np.maximum(full, 1))

    def _wanted(self, lengths: Integers) -> Integers:
        """Return how many characters of a filler have to be random for the share asked for."""
        whole = lengths + self._members_bytes
        left = whole * (100 - self._percent) // 100
        left = left - self._members_bytes * _MEMBERS_LEFT_PERMILLE // 1000
        left = left - _UNIT_LEFT_BYTES * (lengths // UNIT_BYTES + 1)
        return left * 1000 // _RANDOM_LEFT_PERMILLE

    def _check(self, spec: DatasetSpec) -> None:
        filler_bytes = spec.object_bytes - self._members_bytes
        least_left = self._members_bytes * _MEMBERS_LEFT_PERMILLE // 1000 + _UNIT_LEFT_BYTES * (
            filler_bytes // UNIT_BYTES + 1
        )
        most_left = least_left + filler_bytes * _RANDOM_LEFT_PERMILLE // 1000
        least = 100 - 100 * most_left // spec.object_bytes
        greatest = 100 - -(-100 * least_left // spec.object_bytes)
        # A point more or less is within what can be reached, and shapes differ by that much.
        if not least - 1 <= self._percent <= greatest + 1:
            raise PlanError(
                f"{spec.payload} of {spec.object_bytes} bytes can have a compressibility of "
                f"{least} % to {greatest} %, not of {self._percent} %; take one of these, "
                "or the payload random_binary, which can have any"
            )


@cache
def _pair_table() -> Cells:
    """Return two characters for each number of 16 bits, of which the lowest 12 count."""
    pairs = [left + right for right in _ALPHABET for left in _ALPHABET]
    return np.tile(table_of(pairs), (1 << 16) // len(pairs))
