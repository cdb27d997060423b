"""Systems of third parties: an entry point that is no use is a sentence."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from deduplab import registry
from deduplab.errors import PlanError


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "no_such_module:ENTRY",
            "can't be loaded .*No module named 'no_such_module'.*mend or remove",
        ),
        ("deduplab.registry:NOTHING", "can't be loaded .*has no attribute 'NOTHING'"),
        ("deduplab.registry:ENTRY_POINT_GROUP", "is not a SystemEntry"),
    ],
)
def test_an_entry_point_that_is_no_use(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint("theirs", value, registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point])
    with pytest.raises(PlanError, match=message):
        registry.systems.__wrapped__()
