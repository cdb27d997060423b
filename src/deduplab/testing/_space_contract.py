"""The part of the adapters' contract that is about deleting and reclaiming."""

from __future__ import annotations

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import Unsupported
from deduplab.testing._fixtures import AdapterFixtures, assert_holds, reclaim_where_offered
from deduplab.testing.payloads import batch_of, distinct_objects


class SpaceContract(AdapterFixtures):
    """Deleted objects are gone, and maintenance loses none of the others."""

    def test_delete_row_by_row(self, storing: Adapter) -> None:
        """The deleted objects are gone, all others stay."""
        objects = distinct_objects(20)
        storing.put_many(batch_of(objects))
        keys = list(objects)
        assert storing.delete(keys[:7]) == 7
        assert_holds(storing, {key: objects[key] for key in keys[7:]})
        assert all(storing.get(key) is None for key in keys[:7])
        assert storing.delete(keys[7:]) == 13
        assert storing.count() == 0

    def test_every_delete_mode_leaves_nothing_and_can_be_refilled(self, storing: Adapter) -> None:
        """After each way of deleting all, the same keys can be put again."""
        objects = distinct_objects(20)
        for mode in storing.capabilities.delete_modes:
            assert storing.put_many(batch_of(objects)) == 20
            storing.flush()
            if mode == "rowwise":
                assert storing.delete(list(objects)) == 20
            else:
                storing.empty(mode)
            assert storing.count() == 0
            storing.flush()
            assert storing.count() == 0
            assert all(storing.get(key) is None for key in objects)
        assert storing.put_many(batch_of(objects)) == 20
        assert_holds(storing, objects)

    def test_modes_that_are_not_offered_are_refused(self, entered: Adapter) -> None:
        """A mode that a system does not have is never passed over in silence."""
        offered = entered.capabilities.delete_modes
        for mode in {"truncate", "drop", "no-such-mode"} - set(offered):
            with pytest.raises(Unsupported):
                entered.empty(mode)
        with pytest.raises(Unsupported):
            entered.reclaim("no-such-mode")

    def test_reclaim_loses_nothing(self, storing: Adapter) -> None:
        """Maintenance works on full, half empty and empty containers, and loses nothing."""
        objects = distinct_objects(40)
        storing.put_many(batch_of(objects))
        storing.flush()
        keys = list(objects)
        for mode in storing.capabilities.reclaim_modes:
            reclaim_where_offered(storing, mode)
            assert_holds(storing, objects)
        storing.delete(keys[::2])
        left = {key: objects[key] for key in keys[1::2]}
        for mode in storing.capabilities.reclaim_modes:
            reclaim_where_offered(storing, mode)
            assert_holds(storing, left)
        storing.delete(list(left))
        for mode in storing.capabilities.reclaim_modes:
            reclaim_where_offered(storing, mode)
            assert storing.count() == 0
        assert storing.put_many(batch_of(objects)) == 40
        assert_holds(storing, objects)
