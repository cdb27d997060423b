"""The part of the adapters' contract that is about namespaces, their marker and their settings."""

from __future__ import annotations

from typing import Final

import pytest

from deduplab.adapter import Adapter
from deduplab.errors import NamespaceRefused, Unsupported
from deduplab.server import Endpoint
from deduplab.testing._fixtures import AdapterFixtures, NewWorkspace, assert_holds
from deduplab.testing.payloads import AWKWARD_PAYLOADS, batch_of, distinct_objects
from deduplab.testing.system import SystemUnderTest

_REFUSED_NAMES: Final = (
    "",
    "ab",
    "1st",
    "Upper",
    "a b",
    "../up",
    "x" * 64,
    'quo"te',
    "semi;colon",
    "line\n",
)


class NamespaceContract(AdapterFixtures):
    """What is ours is entered, emptied and dropped; what is not is left alone."""

    def test_create_enters_an_empty_namespace(self, entered: Adapter) -> None:
        """A new namespace holds nothing."""
        assert entered.count() == 0
        assert entered.get("nothing") is None

    def test_create_empties_a_namespace_of_ours(
        self, sut: SystemUnderTest, entered: Adapter, namespace: str
    ) -> None:
        """What is left of an earlier run is gone after create."""
        objects = distinct_objects(3)
        assert entered.put_many(batch_of(objects)) == 3
        entered.create(namespace, **sut.default_settings)
        assert entered.count() == 0
        assert all(entered.get(key) is None for key in objects)

    def test_create_refuses_what_is_not_ours(
        self, sut: SystemUnderTest, endpoint: Endpoint, adapter: Adapter, namespace: str
    ) -> None:
        """Something of that name without our marker is left alone."""
        sut.raw.make_foreign(endpoint, namespace)
        with pytest.raises(NamespaceRefused):
            adapter.create(namespace, **sut.default_settings)
        adapter.close()
        assert sut.raw.exists(endpoint, namespace)

    def test_destroy_leaves_nothing(
        self, sut: SystemUnderTest, endpoint: Endpoint, entered: Adapter, namespace: str
    ) -> None:
        """After destroy there is nothing of that name."""
        entered.put_many(batch_of(distinct_objects(3)))
        entered.destroy()
        entered.close()
        assert not sut.raw.exists(endpoint, namespace)

    def test_destroy_refuses_without_the_marker(
        self, sut: SystemUnderTest, endpoint: Endpoint, entered: Adapter, namespace: str
    ) -> None:
        """What lost its marker is not ours any more, so it stays."""
        entered.put("kept", b"payload")
        sut.raw.remove_marker(endpoint, namespace)
        with pytest.raises(NamespaceRefused):
            entered.destroy()
        entered.close()
        assert sut.raw.exists(endpoint, namespace)

    @pytest.mark.parametrize("name", _REFUSED_NAMES)
    def test_names_are_checked_at_the_door(
        self, sut: SystemUnderTest, adapter: Adapter, name: str
    ) -> None:
        """A name that could do harm never reaches the system."""
        with pytest.raises(NamespaceRefused):
            adapter.create(name, **sut.default_settings)

    @pytest.mark.parametrize("setting", ["layout", "variant", "durability"])
    def test_unknown_settings_are_refused(
        self,
        sut: SystemUnderTest,
        endpoint: Endpoint,
        adapter: Adapter,
        namespace: str,
        setting: str,
    ) -> None:
        """An unknown setting is refused before anything is made."""
        settings = {**sut.default_settings, setting: "no-such-thing"}
        with pytest.raises(Unsupported):
            adapter.create(namespace, **settings)
        adapter.close()
        assert not sut.raw.exists(endpoint, namespace)

    def test_every_variant_stores_and_returns(
        self,
        sut: SystemUnderTest,
        endpoint: Endpoint,
        new_workspace: NewWorkspace,
    ) -> None:
        """No variant changes what comes back."""
        first, *others = sut.capabilities.variant_names()
        assert first == sut.default_settings["variant"]
        for variant in others:
            settings = {**sut.default_settings, "variant": variant}
            server = sut.server(new_workspace(), variant, settings["durability"])
            adapter = sut.adapter()
            try:
                adapter.open(server.start())
                adapter.create("variant-of-it", **settings)
                assert adapter.put_many(batch_of(AWKWARD_PAYLOADS)) == len(AWKWARD_PAYLOADS)
                adapter.flush()
                assert_holds(adapter, AWKWARD_PAYLOADS)
                adapter.destroy()
            finally:
                adapter.close()
                server.stop()
