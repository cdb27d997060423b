"""What a server behind the REST contract answers: documents, checked by type and range."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from deduplab.adapters._http_connection import HttpAnswer
from deduplab.errors import OperationFailed, SystemUnavailable

JSON_TYPE: Final = b"application/json"
_CONTRACT: Final = "1"
_MOST: Final = (1 << 63) - 1  # no container holds more; results are kept in 64 bits

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]
Counter: TypeAlias = Annotated[int, msgspec.Meta(ge=-_MOST - 1, le=_MOST)]
_Told = TypeVar("_Told")


class Health(msgspec.Struct):
    """Who answers, and what its settings are."""

    contract: str
    product: str
    version: str
    instance: str
    configuration: dict[str, str]


class Stored(msgspec.Struct):
    """How many objects a bulk request stored."""

    stored: Count


class Deleted(msgspec.Struct):
    """How many objects a request deleted."""

    deleted: Count


class Objects(msgspec.Struct):
    """How many objects a database holds."""

    objects: Count


class Stats(msgspec.Struct):
    """A database's bytes; the components add up to the total."""

    bytes: dict[str, Count]
    total: Count
    at_unix_ns: Count


class Activity(msgspec.Struct):
    """Work under way (all 0 is idle), and cheap counters."""

    busy: dict[str, Count]
    counters: dict[str, Counter]


def told(kind: type[_Told], what: str, answer: HttpAnswer) -> _Told:
    """Return what an answer tells.

    Raises
    ------
    OperationFailed
        If it is none of the contract's.
    """
    try:
        if answer.media_type != JSON_TYPE.decode():
            raise ValueError(f"it is of type {answer.media_type!r}, not {JSON_TYPE.decode()!r}")
        return msgspec.json.decode(answer.body, type=kind)
    except ValueError as error:  # a MsgspecError of the body is one
        raise OperationFailed(
            f"rest: {what}: the answer is not what the contract asks for: {error}: "
            f"{answer.body[:200]!r}"
        ) from error


def check_contract(health: Health) -> None:
    """Refuse a server of another contract.

    Raises
    ------
    SystemUnavailable
        With the version that it speaks.
    """
    if health.contract.partition(".")[0] != _CONTRACT:
        raise SystemUnavailable(
            f"rest: {health.product} {health.version} speaks version {health.contract} of the "
            f"contract, and this client version {_CONTRACT}"
        )
