"""The control plane of the tests is of one version, and everything in it has a checksum."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kubernetes import programs

SOURCE = Path(programs.__file__).parent / "source"


REPLACED = re.findall(
    r"^\t(k8s\.io/\S+) => (\S+) (\S+)$", (SOURCE / "go.mod").read_text(), re.MULTILINE
)
"""The parts of Kubernetes: a module, what stands for it, and of which version."""


def test_all_parts_of_kubernetes_are_of_its_version() -> None:
    assert len(REPLACED) > 30
    part = programs.version().replace("v1.", "v0.", 1)
    assert {(name == other, version) for name, other, version in REPLACED} == {(True, part)}


def test_every_module_has_a_checksum() -> None:
    summed = {tuple(line.split()[:2]) for line in (SOURCE / "go.sum").read_text().splitlines()}
    text = (SOURCE / "go.mod").read_text()
    required = dict(re.findall(r"^\t(\S+) (v\S+)", text, re.MULTILINE))
    required |= {name: version for name, _, version in REPLACED if name in required}
    assert len(required) > 150
    for name, version in required.items():
        assert (name, f"{version}/go.mod") in summed, name
    for name in ("k8s.io/kubernetes", "sigs.k8s.io/kwok", "go.etcd.io/etcd/server/v3"):
        assert (name, required[name]) in summed, name


def test_a_folder_that_lacks_a_program_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(programs.PROGRAMS_VARIABLE, str(tmp_path))
    (tmp_path / "etcd").touch()
    for look in (programs.find, programs.install):
        with pytest.raises(programs.NotThere, match="kube-apiserver") as caught:
            look()
        assert "etcd" not in str(caught.value)
