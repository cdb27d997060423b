"""What every probe must do, as tests."""

from __future__ import annotations

import pytest

from deduplab.errors import ProbeError
from deduplab.model import Layer
from deduplab.probe import Probe


class ProbeContract:
    """The contract of :class:`deduplab.probe.Probe`.

    A sub-class gives two fixtures: ``probe``, which can read something that is
    not empty, and ``blind``, whose layer can't be read.
    """

    @pytest.fixture
    def probe(self) -> Probe:
        """Return a probe of something that is not empty; a sub-class must override this."""
        raise NotImplementedError("give the contract a fixture 'probe'")

    @pytest.fixture
    def blind(self) -> Probe:
        """Return a probe that can't read its layer; a sub-class must override this."""
        raise NotImplementedError("give the contract a fixture 'blind'")

    def test_it_reads_one_layer(self, probe: Probe) -> None:
        """All readings are of the probe's own layer."""
        readings = probe.measure()
        assert readings
        assert isinstance(probe.layer, Layer)
        assert {reading.layer for reading in readings} == {probe.layer}

    def test_it_reads_each_ruler_once(self, probe: Probe) -> None:
        """No ruler is read twice."""
        rulers = [reading.ruler for reading in probe.measure()]
        assert len(set(rulers)) == len(rulers)

    def test_a_reading_says_what_it_is(self, probe: Probe) -> None:
        """A reading has bytes, a source and a time."""
        for reading in probe.measure():
            assert reading.total_bytes > 0
            assert reading.source
            assert reading.at_unix_ns > 0

    def test_components_add_up(self, probe: Probe) -> None:
        """The components are the total."""
        for reading in probe.measure():
            assert all(value >= 0 for value in reading.components.values())
            if reading.components:
                assert sum(reading.components.values()) == reading.total_bytes

    def test_two_readings_at_rest_agree(self, probe: Probe) -> None:
        """Measuring changes nothing."""
        first, second = probe.measure(), probe.measure()
        assert [(r.ruler, r.total_bytes, r.components) for r in first] == [
            (r.ruler, r.total_bytes, r.components) for r in second
        ]

    def test_it_raises_and_never_substitutes(self, blind: Probe) -> None:
        """What can't be read is an error with a reason, never a number."""
        with pytest.raises(ProbeError) as caught:
            blind.measure()
        assert str(caught.value), "the message is the reason that is recorded"
