"""A Git repository as a target: the small files of a run, committed on a branch."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deduplab.bound.sources.address import Address
from deduplab.errors import PlanError, StoreError
from deduplab.exports.content import Content
from deduplab.exports.git_program import Answer, Git, failure, identity, login
from deduplab.exports.manifest import FILE_NAME, Manifest
from deduplab.exports.target import StoredFile, Target
from deduplab.units import MIB, format_bytes, parse_bytes

OPTIONS: Final = ("branch", "largest")
BRANCH: Final = "deduplab-runs"
LARGEST_BYTES: Final = MIB
PUSHES: Final = 5
"""How often a push is tried that others were faster than."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_RACE: Final = re.compile(
    r"\[rejected\]|cannot lock ref|failed to update ref|incorrect old value|already exists"
)
_HERE: Final = "refs/deduplab/there"


class GitTarget(Target):
    """A branch of a repository, with a folder for each run.

    Nothing is forced: a commit is added to what is there. Who commits is what git's
    configuration says.

    Parameters
    ----------
    url
        As git takes it, without a password.
    address
        What was written, with the options ``branch`` (:data:`BRANCH`) and ``largest`` (files
        that are larger are left out).
    """

    takes_all = False

    def __init__(self, url: str, address: Address) -> None:
        self._url = url
        self._address = address
        self._branch = address.options.get("branch", BRANCH)
        if not _NAME.fullmatch(self._branch) or ".." in self._branch:
            raise PlanError(f"{address.shown}: not a usable name of a branch: {self._branch!r}")
        self._largest_bytes = parse_bytes(address.options.get("largest", LARGEST_BYTES))
        self._path = Path(url) if address.scheme == "git+file" else None
        where = str(self._path) if self._path else address.shown
        self.shown = f"{where} branch {self._branch}"
        if self._path:
            options = f"branch={quote(self._branch)}&largest={self._largest_bytes}"
            self.reopen = f"git+file://{quote(str(self._path))}?{options}"
        self._behind = 0

    @property
    def remark(self) -> str:
        """How often others were faster."""
        return f"others were faster {self._behind} times" if self._behind else ""

    def taken(self, content: Content) -> Content:
        """Return the part that is small enough."""
        return content.smaller(self._largest_bytes)

    def check(self) -> None:
        """Ask for the branch, and for who commits."""
        identity(self.shown)
        super().check()

    def lies_in(self, directory: Path) -> bool:
        """Whether the repository is in a directory, links followed."""
        return self._path is not None and self._path.resolve().is_relative_to(directory.resolve())

    def manifest(self, name: str) -> Manifest | None:
        """Fetch the branch and read the manifest in a run's folder."""
        with _repository(self.shown, self._login()) as git:
            if not self._fetch(git):
                return None
            return self._manifest(git, name)

    def write(self, content: Content) -> None:
        """Commit on top of what is there and push; once more from there where others were faster.

        Raises
        ------
        StoreError
            If the push is refused, or others were faster :data:`PUSHES` times.
        PlanError
            If git does not know who commits.
        """
        who = identity(self.shown)
        with _repository(self.shown, self._login() | who) as git:
            for self._behind in range(PUSHES):
                commit = self._commit(git, content, parent=self._fetch(git))
                pushed = git.ask(
                    "push", "--porcelain", self._url, f"{commit}:refs/heads/{self._branch}"
                )
                if not pushed.code:
                    return
                if not _RACE.search(pushed.text + pushed.errors):
                    raise _refusal(self.shown, pushed)
            raise StoreError(f"{self.shown}: others pushed before us {PUSHES} times; export again")

    def read(self, name: str) -> Iterator[StoredFile]:
        """Fetch the branch anew and yield the files of a run's folder."""
        with _repository(self.shown, self._login()) as git:
            if not self._fetch(git):
                return
            listed = git("ls-tree", "-r", "-z", "--full-tree", _HERE, f"{name}/").text
            entries = [entry.partition("\t") for entry in listed.split("\0") if entry]
            wanted = "".join(f"{entry.split()[2]}\n" for entry, _, _ in entries)
            blobs = git("cat-file", "--batch", given=wanted.encode()).output
            begin = 0
            for _, _, path in entries:
                # Each is "<id> blob <length>", its bytes, and a line feed.
                head = blobs.index(b"\n", begin)
                end = head + 1 + int(blobs[begin:head].rpartition(b" ")[2])
                yield path.removeprefix(f"{name}/"), [blobs[head + 1 : end]]
                begin = end + 1

    def _login(self) -> dict[str, str]:
        password = self._address.password()
        return login(self._address.user or "git", password) if password else {}

    def _fetch(self, git: Git) -> bool:
        """Fetch the tip of the branch; return whether there is one."""
        found = git("ls-remote", self._url, f"refs/heads/{self._branch}").text
        if not found:
            return False
        git("fetch", "--quiet", "--depth=1", "--no-tags", self._url,
            f"+refs/heads/{self._branch}:{_HERE}")  # fmt: skip
        return True

    def _manifest(self, git: Git, name: str) -> Manifest | None:
        if not git("ls-tree", _HERE, name).text:
            return None
        found = git.ask("cat-file", "blob", f"{_HERE}:{name}/{FILE_NAME}")
        if found.code:
            raise StoreError(
                f"{self.shown}: {name} is there and is no export ({FILE_NAME} is missing), so it "
                "is left as it is; name another branch"
            )
        return Manifest.parse(found.output, f"{self.shown}: {name}/{FILE_NAME}")

    def _commit(self, git: Git, content: Content, *, parent: bool) -> str:
        """Make a commit with the run's folder as it is to be, all else as it is there."""
        git("read-tree", _HERE if parent else "--empty")
        git("rm", "-r", "--cached", "--quiet", "--ignore-unmatch", f"{content.name}/")
        # Without filters: what is committed are the bytes that the checksums are of.
        names = sorted(content.files)
        sources = "".join(f"{content.files[name].absolute()}\n" for name in names)
        blobs = git("hash-object", "-w", "--no-filters", "--stdin-paths", given=sources.encode())
        entries = list(zip(names, blobs.text.splitlines(), strict=True))
        manifest = git("hash-object", "-w", "--stdin", given=content.manifest.to_bytes()).text
        lines = [
            f"100644 {blob}\t{content.name}/{name}\n"
            for name, blob in [*entries, (FILE_NAME, manifest)]
        ]
        git("update-index", "--add", "--index-info", given="".join(lines).encode())
        tree = git("write-tree").text
        parents = ("-p", _HERE) if parent else ()
        return git("commit-tree", tree, *parents, given=_message(content).encode()).text


@contextmanager
def _repository(shown: str, environment: dict[str, str]) -> Iterator[Git]:
    """Give an empty repository of ours for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="deduplab-git-") as directory:
        git = Git(Path(directory), shown, environment)
        git("init", "--quiet")
        yield git


def _message(content: Content) -> str:
    lines = [
        f"Run {content.name}",
        "",
        f"{len(content.files)} files, {format_bytes(content.total_bytes)}, exported by deduplab.",
    ]
    if content.left_out:
        lines.append(f"{content.left_out} larger files are not here.")
    if content.damaged:
        lines.append(f"{len(content.damaged)} cells are damaged: see DAMAGED.txt.")
    return "\n".join([*lines, ""])


def _refusal(shown: str, pushed: Answer) -> Exception:
    """Return the error for a push that the other side did not take."""
    lines = [line for line in pushed.text.splitlines() if line.startswith("!")]
    if not lines:
        return failure(shown, pushed.errors)
    said = "; ".join(line.rpartition("\t")[2] for line in lines)
    words = " ".join(line for line in pushed.errors.splitlines() if line.startswith("remote:"))
    return StoreError(f"{shown}: the push was refused: {said} {words[:300]}".rstrip())
