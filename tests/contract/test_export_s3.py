"""Exports to S3 buckets of real servers: MinIO and SeaweedFS."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from deduplab import registry
from deduplab.bound.sources.address import parse_address
from deduplab.bound.sources.s3_bucket import OPTIONS, open_bucket
from deduplab.errors import LoginRefused, PlanError, StoreError, SystemUnavailable
from deduplab.executors.workspace import instance_directory, prepared
from deduplab.exports.catalogue import open_target
from deduplab.exports.export import What
from deduplab.exports.receipts import read_receipts, standing
from deduplab.exports.s3 import S3Target
from deduplab.exports.still_there import require_still_there
from deduplab.exports.target import Target
from deduplab.server import Endpoint
from deduplab.store import Run
from deduplab.units import MIB
from tests.end_to_end.conftest import workspace_of
from tests.unit.exported_runs import RUN_ID, a_run, brought, one_more, opened_up

pytestmark = pytest.mark.server
obstore = pytest.importorskip("obstore", exc_type=ImportError)
SECRET = "LAB_EXPORT_SECRET"


@dataclass
class Bucket:
    system: str
    url: str
    store: Any

    def target(self, prefix: str, **more: str) -> Target:
        return open_target(self.address(prefix, **more))

    def address(self, prefix: str, **more: str) -> str:
        options = "".join(f"&{name}={value}" for name, value in more.items())
        return self.url.replace("/PREFIX", f"/{prefix}") + options

    def keys(self, prefix: str) -> dict[str, bytes]:
        pages = obstore.list(self.store, prefix)
        keys = [str(entry["path"]) for page in pages for entry in page]
        return {key: bytes(obstore.get(self.store, key).bytes()) for key in keys}


@pytest.fixture(scope="module", params=["minio", "seaweedfs"])
def bucket(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> Iterator[Bucket]:
    entry = registry.system(request.param)
    offers = entry.capabilities()
    variant, durability = offers.variant_names()[0], offers.durability[0]
    workspace = prepared(workspace_of(tmp_path_factory.mktemp(request.param)))
    try:
        with instance_directory(workspace) as directory, pytest.MonkeyPatch.context() as patched:
            server = entry.server_class()(directory, variant=variant, durability=durability)
            try:
                try:
                    endpoint = server.start()
                except SystemUnavailable as error:
                    not_brought_up(request.param, error)
                yield _bucket(request.param, endpoint, patched)
            finally:
                server.stop()
    finally:
        shutil.rmtree(workspace)


def _bucket(system: str, endpoint: Endpoint, patched: pytest.MonkeyPatch) -> Bucket:
    from minio import Minio

    assert endpoint.secret is not None
    secret = endpoint.secret.reveal()
    Minio(endpoint.address, endpoint.user, secret, secure=False).make_bucket("deduplab-results")
    patched.setenv(SECRET, secret)
    url = (
        f"s3://deduplab-results/PREFIX?endpoint=http://{endpoint.address}"
        f"&access_key={endpoint.user}&secret=env:{SECRET}"
    )
    return Bucket(system, url, open_bucket(parse_address(url, OPTIONS), "results"))


def test_an_export_is_there_once_its_manifest_is(bucket: Bucket, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    large = run.root / "set_aside" / f"{'b' * 20}-1" / "latency-0.npy"
    large.parent.mkdir(parents=True)
    large.write_bytes(random.Random(1).randbytes(11 * MIB))  # it travels in several parts
    target = bucket.target("lab/runs/")
    assert brought(run, target).what is What.WRITTEN
    stored = bucket.keys("lab/runs")
    for path in (run.root / "cells").rglob("*.json"):
        assert stored[f"lab/runs/{RUN_ID}/{path.relative_to(run.root)}"] == path.read_bytes()
    assert f"lab/runs/{RUN_ID}/SHA256SUMS" in stored
    assert brought(run, bucket.target("lab/runs")).what is What.THERE
    with run.locked():
        require_still_there(run, [target])
    one_more(run)
    assert brought(run, target).what is What.RENEWED
    assert standing(run).reason == ""
    (receipt,) = read_receipts(run.root)
    assert "secret" not in str(receipt).lower().replace(SECRET.lower(), "")
    obstore.delete(bucket.store, f"lab/runs/{RUN_ID}/figures.csv")
    with run.locked(), pytest.raises(StoreError, match=r"figures\.csv is missing"):
        require_still_there(run, [target])


def test_a_credential_is_in_no_exported_byte(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    brought(run, bucket.target("secrets"))
    secret = os.environ[SECRET].encode()
    stored = b"".join(opened_up(content) for content in bucket.keys("secrets").values())
    assert len(stored) > 10_000
    assert secret not in stored
    assert secret not in (run.root / "receipts.json").read_bytes()


class CutShort(S3Target):
    """Ends after some objects, as a connection may."""

    def _put(self, key: str, content: Any) -> None:
        if key.endswith("report.html"):
            raise SystemUnavailable("the connection is gone")
        super()._put(key, content)


def test_an_upload_that_was_cut_short_does_not_count_and_is_gone_on_with(
    bucket: Bucket, tmp_path: Path
) -> None:
    run = a_run(tmp_path)
    with pytest.raises(SystemUnavailable):
        brought(run, CutShort(parse_address(bucket.address("cut"), OPTIONS)))
    assert bucket.keys(f"cut/{RUN_ID}")
    assert standing(run).reason == "it is not exported"
    target = bucket.target("cut")
    assert target.manifest(RUN_ID) is None
    other = a_run(tmp_path / "other")
    header = other.root / "run.json"
    header.write_text(header.read_text().replace("Example CPU", "Another CPU"))
    before = bucket.keys("cut")
    with pytest.raises(StoreError, match="that are no export of this run"):
        brought(Run.open(other.root), target)
    assert bucket.keys("cut") == before
    assert brought(run, target).what is What.WRITTEN
    with pytest.raises(StoreError, match="another run of that name"):
        brought(Run.open(other.root), target)


class CutLate(S3Target):
    """Ends when all is written, and the first thing is to be deleted that is no manifest."""

    def _delete(self, keys: list[str]) -> None:
        if keys and not keys[0].endswith("SHA256SUMS"):
            raise SystemUnavailable("the connection is gone")
        super()._delete(keys)


@pytest.mark.parametrize("cut", [CutShort, CutLate])
@pytest.mark.parametrize("renewed", [False, True])
def test_what_an_upload_left_that_the_run_has_no_more_is_taken_away(
    bucket: Bucket, tmp_path: Path, cut: type[S3Target], renewed: bool
) -> None:
    """As after ``run --again``: a cell that was put is set aside, so its objects have no place."""
    prefix = f"again-{cut.__name__}-{renewed}".lower()
    run = a_run(tmp_path)
    target = bucket.target(prefix)
    if renewed:
        brought(run, target)
        one_more(run)
    with pytest.raises(SystemUnavailable):
        brought(run, cut(parse_address(bucket.address(prefix), OPTIONS)))
    assert target.manifest(RUN_ID) is None
    cell = min(run.committed_ids())
    with run.locked():
        run.set_aside(cell)
    folder = f"{prefix}/{RUN_ID}"
    left = [key for key in bucket.keys(prefix) if key.startswith(f"{folder}/cells/{cell}/")]
    assert left
    assert brought(run, target).what is What.WRITTEN
    stored = bucket.keys(prefix)
    assert not set(left) & set(stored)
    assert [key for key in stored if key.startswith(f"{folder}/set_aside/{cell}-1/")]
    listed = {
        line.split("  ", 1)[1] for line in stored[f"{folder}/SHA256SUMS"].decode().splitlines()
    }
    assert set(stored) == {f"{folder}/{path}" for path in {*listed, "SHA256SUMS"}}
    assert standing(run).reason == ""
    with run.locked():
        require_still_there(run, [target])


def test_what_others_put_there_meanwhile_is_left_and_named(bucket: Bucket, tmp_path: Path) -> None:
    run = a_run(tmp_path)
    target = bucket.target("others")
    with pytest.raises(SystemUnavailable):
        brought(run, CutShort(parse_address(bucket.address("others"), OPTIONS)))
    cell = min(run.committed_ids())
    with run.locked():
        run.set_aside(cell)
    theirs = {
        f"others/{RUN_ID}/cells/{cell}/cell.json": b"somebody's own, in the place of ours",
        f"others/{RUN_ID}/notes.txt": b"somebody's notes",
    }
    for key, content in theirs.items():
        obstore.put(bucket.store, key, content)
    with pytest.raises(StoreError, match=r"is too many \(and 1 more\)"):
        brought(run, target)
    assert theirs.items() <= bucket.keys("others").items()
    assert standing(run).reason == "it is not exported"


def test_results_that_are_not_here_any_more_are_not_taken_away(
    bucket: Bucket, tmp_path: Path
) -> None:
    run = a_run(tmp_path)
    with pytest.raises(SystemUnavailable):
        brought(run, CutShort(parse_address(bucket.address("lost"), OPTIONS)))
    shutil.rmtree(run.root / "cells" / min(run.committed_ids()))
    before = bucket.keys("lost")
    with pytest.raises(StoreError, match="has results that are not here"):
        brought(run, bucket.target("lost"))
    assert bucket.keys("lost") == before


def test_a_refused_login_and_what_is_not_there_are_told(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    bucket.target("nothing/there").check()
    missing = bucket.url.replace("s3://deduplab-results", "s3://deduplab-no-such")
    with pytest.raises(StoreError, match="make the bucket"):
        brought(run, open_target(missing))
    monkeypatch.setenv(SECRET, "not-the-secret-of-this-server")
    with pytest.raises(LoginRefused, match="check access_key, the secret") as refused:
        brought(run, bucket.target("wrong"))
    assert refused.value.exit_code == 3
    with pytest.raises(LoginRefused):
        bucket.target("wrong").check()
    assert "not-the-secret" not in str(refused.value)
    monkeypatch.delenv(SECRET)
    with pytest.raises(PlanError, match=f"{SECRET} is not set"):
        brought(run, bucket.target("wrong"))
    nobody = "s3://deduplab-results/x?endpoint=http://127.0.0.1:1&anonymous=yes"
    with pytest.raises(SystemUnavailable, match="check the endpoint"):
        brought(run, open_target(nobody))
    assert not read_receipts(run.root)
