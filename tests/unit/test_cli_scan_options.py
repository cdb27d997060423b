from __future__ import annotations

import pytest

from deduplab.bound.grains import ALL_GRAINS
from deduplab.cli import scan_options
from deduplab.errors import PlanError


def test_groups_of_grains() -> None:
    assert scan_options.grains_of(()) == ALL_GRAINS
    assert scan_options.grains_of(("cdc",)) == ALL_GRAINS[6:]
    assert scan_options.grains_of(("fixed", "whole")) == (*ALL_GRAINS[1:6], "whole")
    assert scan_options.grains_of(("other",)) == ("other",)


@pytest.mark.parametrize("text", ["1/64", "0.015625"])
def test_shares(text: str) -> None:
    assert scan_options.share_of(text) == 1 / 64


@pytest.mark.parametrize("text", ["", "1/0", "many"])
def test_no_shares(text: str) -> None:
    with pytest.raises(PlanError, match="is not a share"):
        scan_options.share_of(text)
