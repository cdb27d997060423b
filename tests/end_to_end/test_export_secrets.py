"""A secret that a plan refers to is in no exported byte, packed or not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deduplab.executors.workspace import instance_directory, prepared
from deduplab.servers.rest import RestServer
from tests.end_to_end.conftest import command, environment, workspace_of
from tests.end_to_end.test_remote import plan_of, table_of
from tests.unit.exported_runs import opened_up

READY_S = 120
WHO = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{role}_NAME": "Ada" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "ada@lab.example" for role in ("AUTHOR", "COMMITTER")},
}


@pytest.mark.server
def test_a_secret_of_a_plan_is_in_no_exported_byte(tmp_path: Path) -> None:
    workspace = prepared(workspace_of(tmp_path))
    try:
        with instance_directory(workspace) as directory:
            server = RestServer(directory, variant="default", durability="fsync")
            try:
                endpoint = server.start()
                assert endpoint.secret is not None
                secret = endpoint.secret.reveal()
                plan = tmp_path / "plan.toml"
                plan.write_text(plan_of(table_of("rest", endpoint, "env:LAB_SECRET")))

                def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
                    return subprocess.run(
                        command(*arguments),
                        env=environment(tmp_path) | {"LAB_SECRET": secret} | WHO,
                        cwd=tmp_path, capture_output=True, text=True, timeout=READY_S, check=False,
                    )  # fmt: skip

                done = call("run", plan)
                assert done.returncode == 0, done.stderr
                subprocess.run(["git", "init", "-q", "--bare", tmp_path / "r.git"], check=True)
                targets = ("out", "{run}.tar.gz", "{run}.zip", "r.git")
                done = call("export", *(word for name in targets for word in ("--to", name)))
                assert done.returncode == 0, done.stderr
                assert secret not in done.stdout
            finally:
                server.stop()
        (run,) = (tmp_path / "runs").iterdir()
        require_absent(tmp_path, run, secret.encode())
        planted = next(run.glob("cells/*/cell.json"))
        content = planted.read_bytes()
        assert b'"reason":""' in content
        planted.write_bytes(content.replace(b'"reason":""', b'"reason":"%s"' % secret.encode(), 1))
        (planted.parent / "checksums.json").unlink()
        refused = call("export", "--to", "planted")
        assert refused.returncode == 5
        assert "holds the secret of env:LAB_SECRET, so nothing is exported" in refused.stderr
        assert secret not in refused.stderr
        assert not (tmp_path / "planted").exists()
    finally:
        shutil.rmtree(workspace)


def require_absent(tmp_path: Path, run: Path, secret: bytes) -> None:
    git = ["git", "-C", str(tmp_path / "r.git")]
    objects = subprocess.run(
        [*git, "cat-file", "--batch-all-objects", "--batch"], capture_output=True, check=True
    ).stdout
    exported = [tmp_path / f"{run.name}.tar.gz", tmp_path / f"{run.name}.zip"]
    exported += [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    found = objects + b"".join(opened_up(path.read_bytes()) for path in exported)
    assert os.fsencode(run.name) in found
    assert b"dedup_efficiency" in found
    assert secret not in found
    assert secret not in (run / "receipts.json").read_bytes()
