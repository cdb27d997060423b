"""The client of an S3 bucket, made from its address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from deduplab.bound.sources.address import Address
from deduplab.bound.sources.base import driver
from deduplab.errors import PlanError

OPTIONS: Final = ("endpoint", "access_key", "region", "anonymous")


def check_address(address: Address) -> None:
    """Refuse what names no bucket, or half of a login.

    Raises
    ------
    PlanError
        With what is missing.
    """
    if not address.host:
        raise PlanError("s3: name a bucket: s3://BUCKET/PREFIX")
    if address.options.get("access_key") and not address.secret:
        raise PlanError(f"{address.shown}: access_key needs secret=env:NAME or file:PATH")


def open_bucket(address: Address, name: str) -> Any:
    """Return the client (``obstore.store.S3Store``); the secret is looked up now.

    Without ``access_key``, and not ``anonymous=yes``, the client's own ways to find
    credentials are used (``AWS_*`` variables, instance metadata). Nothing is asked yet.

    Parameters
    ----------
    name
        The bucket for people.

    Raises
    ------
    SystemUnavailable
        If obstore is missing.
    PlanError
        If the secret is not where its reference says.
    """
    stores: Any = driver("obstore.store", "s3", name)
    options = address.options
    endpoint = options.get("endpoint", "")
    given: dict[str, Any] = {
        "endpoint": endpoint or None,
        "region": options.get("region", "us-east-1" if endpoint else None),
        "access_key_id": options.get("access_key"),
        "secret_access_key": address.password(),
        "skip_signature": True if options.get("anonymous") == "yes" else None,
    }
    return stores.S3Store(
        address.host,
        **{name: value for name, value in given.items() if value is not None},
        client_options={"allow_http": endpoint.startswith("http://"), "timeout": "300s"},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
    )
