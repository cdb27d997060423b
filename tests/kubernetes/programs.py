"""The programs of a control plane: Kubernetes' own, etcd, and KWOK in place of kubelets.

They are built by the user's own Go from their modules. ``source/go.mod`` has the version of
each, ``source/go.sum`` the checksum of everything that they are made of. Kept in the
cache folder; ``DEDUPLAB_CONTROL_PLANE`` names another one. For the tests alone:
``python -m tests.kubernetes.programs`` builds them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deduplab.cache_folder import cache_folder
from deduplab.parent_death import die_with_parent

PROGRAMS_VARIABLE: Final = "DEDUPLAB_CONTROL_PLANE"
STAGES: Final = "stages.yaml"
"""What KWOK does with nodes and pods: its own files, but for the one that ends Jobs at once."""

_SOURCE: Final = Path(__file__).parent / "source"
_PACKAGES: Final = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
}
_KWOK: Final = "sigs.k8s.io/kwok"
_STAGE_FILES: Final = (
    "node/fast/node-initialize.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
_STAMP: Final = "k8s.io/component-base/version"
_BUILD_S: Final = 3600.0
_TAIL_LINES: Final = 15


class NotThere(Exception):
    """The programs are not here, or can't be built; the message says why, and what to do."""


def version() -> str:
    """Return the version of Kubernetes that is pinned, as ``v1.36.3``."""
    found = re.search(r"^\tk8s\.io/kubernetes (v\S+)$", _text("go.mod"), re.MULTILINE)
    assert found is not None
    return found[1]


def folder() -> Path:
    """Return where the programs lie, whether they are there or not."""
    named = os.environ.get(PROGRAMS_VARIABLE)
    if named:
        return Path(named).absolute()
    pins = hashlib.sha256((_text("go.mod") + _text("go.sum")).encode()).hexdigest()[:8]
    return cache_folder() / f"control-plane-{version()}-{pins}"


def find() -> Path:
    """Return the folder that holds all programs.

    Raises
    ------
    NotThere
        If one is missing.
    """
    found = folder()
    missing = [name for name in (*_PACKAGES, STAGES) if not (found / name).exists()]
    if missing:
        raise NotThere(
            f"the control plane of Kubernetes {version()} is not built ({', '.join(missing)} "
            f"missing in {found}); build it with: python -m tests.kubernetes.programs"
        )
    return found


def install() -> Path:
    """Build all programs, if they are not there; return their folder.

    Raises
    ------
    NotThere
        If there is no Go, a checksum differs, or the build fails; nothing half-done is left.
    """
    try:
        return find()
    except NotThere:
        if PROGRAMS_VARIABLE in os.environ:
            raise
    if shutil.which("go") is None:
        raise NotThere("Kubernetes is built from source by Go, and there is none on the path")
    home = folder()
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".control-plane-", dir=home.parent) as scratch:
        made = _build(Path(scratch))
        (made / STAGES).write_text(_stages(Path(scratch)), encoding="utf-8")
        made.chmod(0o755)
        made.rename(home)
    return home


def _build(scratch: Path) -> Path:
    """Build into a directory below ``scratch``, and return that."""
    for source in _SOURCE.iterdir():
        shutil.copy(source, scratch)
    made = scratch / "programs"
    made.mkdir()
    major, minor, _ = version().removeprefix("v").split(".")
    names = {"gitVersion": version(), "gitMajor": major, "gitMinor": minor}
    stamps = " ".join(f"-X {_STAMP}.{name}={value}" for name, value in names.items())
    # All at once, since they have most of their packages in common.
    _go(scratch, "build", "-trimpath", f"-ldflags=-s -w {stamps}", "-o", f"{made}/", *_named())
    (made / "server").rename(made / "etcd")
    return made


def _named() -> tuple[str, ...]:
    return tuple(_PACKAGES.values())


def _stages(scratch: Path) -> str:
    module = Path(_go(scratch, "list", "-m", "-f", "{{.Dir}}", _KWOK).strip())
    files = [module / "kustomize" / "stage" / name for name in _STAGE_FILES]
    return "---\n".join(path.read_text(encoding="utf-8") for path in files)


def _go(scratch: Path, *arguments: str) -> str:
    environment = {
        **os.environ,
        "GOFLAGS": "-mod=readonly",  # what is not in go.sum is not built
        "CGO_ENABLED": "0",
        "GOCACHE": str(scratch / "cache"),  # 3 GB, of no use to anybody afterwards
        "GOGC": "800",  # a compiler that tidies up less takes less time
    }
    try:
        done = subprocess.run(
            ["nice", "-n", "10", "go", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=scratch,
            env=environment,
            timeout=_BUILD_S,
            check=False,
            preexec_fn=die_with_parent,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotThere(f"go {arguments[0]} failed: {error}") from error
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).splitlines()[-_TAIL_LINES:])
        raise NotThere(f"go {arguments[0]} ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def _text(name: str) -> str:
    return (_SOURCE / name).read_text(encoding="utf-8")


def main() -> int:
    """Build them, and say so."""
    began = time.monotonic()
    try:
        there = find()
        words = "is there"
    except NotThere:
        sys.stdout.write(f"building the control plane of Kubernetes {version()}; some minutes\n")
        sys.stdout.flush()
        try:
            there = install()
        except NotThere as error:
            sys.stderr.write(f"{error}\n")
            return 1
        words = f"built in {time.monotonic() - began:.0f} s"
    sys.stdout.write(f"the control plane of Kubernetes {version()} {words}: {there}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
