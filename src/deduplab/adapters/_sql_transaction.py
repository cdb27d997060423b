"""One transaction, on a connection that takes its statements as text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from deduplab.errors import DeduplabError


@contextlib.contextmanager
def transaction(query: Callable[[str], object], begin: str) -> Iterator[None]:
    """Run what is inside between ``begin`` and ``COMMIT``; an error rolls it back.

    So the connection can go on after it.
    """
    query(begin)
    try:
        yield
    except BaseException:
        with contextlib.suppress(DeduplabError):  # what went wrong first is what counts
            query("ROLLBACK")
        raise
    query("COMMIT")
