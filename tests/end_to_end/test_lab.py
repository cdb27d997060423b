"""Servers for use by hand, by the commands that one types: real products, and nothing is left."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import psutil
import pytest
from click.testing import CliRunner

from deduplab import config
from deduplab.bench import matrix
from deduplab.cli.systems_command import command as systems_command
from deduplab.executors.workspace import sweep
from deduplab.lab import take_down as taking_down
from deduplab.lab.place import Lab
from deduplab.lab.process_id import ProcessId
from deduplab.remote import resolve
from deduplab.runs_folder import find_run
from tests.end_to_end.conftest import (
    Cli,
    command,
    environment,
)
from tests.faults.cells import SERVERS, plan_of
from tests.faults.processes import inside
from tests.leftovers import own_segments, sockets_of

pytestmark = pytest.mark.server

NotUp = Callable[[str, Exception], NoReturn]

GONE_S: Final = 30.0

ROUND_TRIPS: Final[dict[str, list[tuple[list[str], str, str]]]] = {
    "postgresql": [
        (["-Atc", "CREATE TABLE mine (n int); INSERT INTO mine VALUES (41)"], "", "INSERT 0 1"),
        (["-Atc", "SELECT current_user, n + 1 FROM mine"], "", "deduplab|42"),
    ],
    "mariadb": [
        (["-e", "CREATE DATABASE mine; CREATE TABLE mine.t SELECT 41 AS n"], "", ""),
        (["-Ne", "SELECT current_user(), n + 1 FROM mine.t"], "", "deduplab@127.0.0.1\t42"),
    ],
    "redis": [
        (["SET", "deduplab:mine", "42"], "", "OK"),
        (["GET", "deduplab:mine"], "", "42"),
        (["ACL", "WHOAMI"], "", "deduplab"),
    ],
    "kafka": [
        (["kafka-topics", "--create", "--topic", "deduplab.mine"], "", "Created topic"),
        # What is typed into the shell that comes without a command.
        (
            [],
            "kafka-console-producer --topic deduplab.mine <<END\nforty-two\nEND\n"
            'test -r "$KAFKA_CLIENT_PROPERTIES" && kafka-console-consumer --topic deduplab.mine '
            "--from-beginning --max-messages 1 --group deduplab.mine\n",
            "forty-two",
        ),
        (["kafka-topics", "--list"], "", "deduplab.mine"),
    ],
    "nats": [
        (
            ["nats", "stream", "add", "deduplab-mine", "--subjects=deduplab.mine.>", "--defaults"],
            "",
            "deduplab-mine",
        ),
        ([], "nats pub deduplab.mine.one forty-two --jetstream\n", ""),
        (["nats", "stream", "get", "deduplab-mine", "1"], "", "forty-two"),
        (["nats", "stream", "ls", "--names"], "", "deduplab-mine"),
    ],
    "minio": [
        (
            [
                sys.executable,
                "-c",
                "import os\n"
                "from minio import Minio\n"
                "host = os.environ['AWS_ENDPOINT_URL'].removeprefix('http://')\n"
                "login = os.environ['AWS_ACCESS_KEY_ID'], os.environ['AWS_SECRET_ACCESS_KEY']\n"
                "client = Minio(host, *login, secure=False, region=os.environ['AWS_REGION'])\n"
                "client.make_bucket('deduplab-mine')\n"
                "print([bucket.name for bucket in client.list_buckets()])\n",
            ],
            "",
            "['deduplab-mine']",
        ),
        ([], 'echo "$MC_HOST_lab" | cut -c 1-17\n', "http://deduplab:"),
    ],
    "seaweedfs": [
        ([], "s3.bucket.create -name deduplab-mine\n", ""),
        ([], "s3.bucket.list\n", "deduplab-mine"),
    ],
    "cockroachdb": [(["-e", "SELECT current_user"], "", "deduplab")],
    "rest": [
        (
            ["sh", "-c", 'curl --fail -sS -K "$LAB_CURL" "$LAB_URL/v1/health"'],
            "",
            "deduplab-rest-server",
        ),
        ([], 'curl -sS -o /dev/null -w "%{http_code}" "$LAB_URL/v1/health"\n', "401"),
    ],
}
ROUND_TRIPS["valkey"] = ROUND_TRIPS["redis"]
"""By system: arguments behind ``--``, what is typed, and what is answered."""

Up = Callable[..., dict[str, Any]]


@pytest.fixture
def up(cli: Cli, not_brought_up: NotUp, workspace: Path) -> Iterator[Up]:
    """Bring one system up; return its row. All goes at the end, and leaves nothing."""

    def bring(system: str, *options: str) -> dict[str, Any]:
        done = cli("systems", "up", system, "--json", *options, timeout_s=300)
        if done.returncode == 3:
            not_brought_up(system, RuntimeError(done.stderr))
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        return dict(row)

    yield bring
    if workspace.exists() and list(workspace.iterdir()):
        done = cli("systems", "down", "--all")
        assert done.returncode == 0, done.stderr
        assert not list(workspace.iterdir())
    assert not own_segments(workspace)


def rows(workspace: Path) -> dict[str, dict[str, Any]]:
    """Return what ``status`` tells; here in this process, since it is asked often."""
    words = ["status", "--json", "--workspace", str(workspace)]
    done = CliRunner().invoke(systems_command, words, catch_exceptions=False)
    return {row["system"]: row for row in json.loads(done.output)}


def but_for_sizes(found: dict[str, Any]) -> dict[str, Any]:
    return {**found, "allocated_bytes": None}


def shell(
    cli_environment: Path, system: str, arguments: list[str], typed: str = "", *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command("systems", "shell", system, *options, "--", *arguments),
        env={**environment(cli_environment), "SHELL": "/bin/sh"},
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cli_environment,
        check=False,
    )


def secret_of(row: dict[str, Any]) -> str:
    return resolve(f"file:{row['secret_file']}").reveal()


def servers_of(row: dict[str, Any], workspace: Path) -> list[psutil.Process]:
    """Return the processes that work inside an instance, but its keeper."""
    directory = workspace / "lab" / row["system"]
    return [process for process in inside(directory) if process.pid != row["keeper"]]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + GONE_S
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def argv_of_all() -> str:
    words = []
    for process in psutil.process_iter():
        try:
            words += process.cmdline()
        except psutil.Error:
            continue
    return "\n".join(words)


@pytest.mark.parametrize("system", SERVERS)
def test_a_whole_life(
    system: str, up: Up, cli: Cli, workspace: Path, tmp_path: Path, not_brought_up: NotUp
) -> None:
    row = up(system)
    secret = secret_of(row)
    assert row["status"] == "up"
    assert row["version"]
    assert row["allocated_bytes"] >= 0
    for path in (workspace / "lab" / system).iterdir():
        if path.is_file() and path.name != "owner":
            assert path.stat().st_mode & 0o077 == 0, path
        if path.is_file() and path.name != "secret":
            assert secret not in path.read_text(), path
    sockets = sockets_of(servers_of(row, workspace))
    assert {k: but_for_sizes(v) for k, v in rows(workspace).items()} == {system: but_for_sizes(row)}
    said = cli("systems", "status").stdout
    assert system in said
    assert row["address"] in said
    again = cli("systems", "up", system)
    assert again.returncode == 0
    assert f"is up already at {row['address']}" in again.stdout
    assert secret not in argv_of_all() + said + again.stdout + again.stderr

    for arguments, typed, answer in ROUND_TRIPS[system]:
        done = shell(tmp_path, system, arguments, typed)
        if done.returncode in (3, 127):  # redis-cli and curl don't come with the servers
            not_brought_up(f"the client of {system}", RuntimeError(done.stderr))
        assert done.returncode == 0, done.stderr
        assert answer in done.stdout, done.stderr
        assert secret not in done.stdout + done.stderr

    down = cli("systems", "down", system)
    assert down.returncode == 0, down.stderr
    assert "server and keeper ended" in down.stdout
    assert not list(workspace.iterdir())
    assert not [path for path in sockets if path.exists()]
    assert cli("systems", "down", system).stdout == f"{system}: is not up\n"
    assert "deduplab systems up" in cli("systems", "status").stdout


def test_a_plan_measures_what_is_up_and_its_run_leaves_it_alone(
    up: Up, cli: Cli, workspace: Path, tmp_path: Path
) -> None:
    names = ("postgresql", "redis", "rest")
    before = {name: up(name) for name in names}
    plan = tmp_path / "p.toml"
    tables = "\n".join(row["plan"] for row in before.values())
    plan.write_text(f"{plan_of('plain', '64 KiB', '16 KiB')}\n{tables}")
    assert {cell.system for cell in matrix.cells(config.load(plan)) if cell.remote} == {*names}
    done = cli("run", plan, timeout_s=300)
    assert done.returncode == 0, done.stdout + done.stderr
    cells = find_run(tmp_path / "runs", "latest").cells()
    assert {cell.cell.system for cell in cells if cell.outcome.ok} == {"plain", *names}
    assert cli("clean").returncode == 0
    sweep(workspace)
    after = rows(workspace)
    assert {name: but_for_sizes(after[name]) for name in names} == {
        name: but_for_sizes(before[name]) for name in names
    }


@pytest.mark.parametrize("system", ["postgresql", "redis", "seaweedfs"])
def test_a_killed_keeper_takes_its_server_with_it_and_down_cleans_up(
    system: str, up: Up, cli: Cli, workspace: Path
) -> None:
    row = up(system)
    servers = servers_of(row, workspace)
    sockets = sockets_of(servers)
    assert servers
    os.kill(row["keeper"], signal.SIGKILL)
    _, alive = psutil.wait_procs(servers, timeout=GONE_S)
    assert not alive
    assert rows(workspace)[system]["status"] == "lost"
    assert "its keeper was killed" in cli("systems", "status").stdout
    refused = cli("systems", "shell", system)
    assert refused.returncode == 3
    assert f"was lost: its keeper was killed; bring it up by: deduplab systems up {system}" in (
        refused.stderr
    )
    done = cli("systems", "down", system)
    assert done.returncode == 0
    assert "its keeper had been killed, what it left is removed" in done.stdout
    assert not list(workspace.iterdir())
    assert not own_segments(workspace)
    assert not [path for path in sockets if path.exists()]


def test_up_cleans_what_a_killed_keeper_left_and_no_shell_of_a_person(
    up: Up, cli: Cli, tmp_path: Path, workspace: Path
) -> None:
    row = up("redis")
    assert shell(tmp_path, "redis", ["SET", "deduplab:mine", "42"]).returncode == 0
    with subprocess.Popen(["sleep", "60"], cwd=row["data_directory"]) as person:
        os.kill(row["keeper"], signal.SIGKILL)
        until(lambda: rows(workspace)["redis"]["status"] == "lost")
        fresh = up("redis")
        assert fresh["keeper"] != row["keeper"]
        assert secret_of(fresh)
        assert shell(tmp_path, "redis", ["GET", "deduplab:mine"]).stdout == "\n"
        assert person.poll() is None
        assert cli("systems", "down", "redis").returncode == 0
        assert person.poll() is None
        person.kill()


@pytest.mark.parametrize("system", ["postgresql", "rest"])
def test_a_server_that_was_killed_is_told_with_the_reason(
    system: str, up: Up, cli: Cli, workspace: Path
) -> None:
    row = up(system)
    (server,) = (one for one in servers_of(row, workspace) if one.ppid() == row["keeper"])
    server.kill()
    until(lambda: rows(workspace)[system]["status"] == "ended")
    told = rows(workspace)[system]
    assert "was killed by SIGKILL" in told["reason"]
    assert "was killed by SIGKILL" in cli("systems", "status").stdout
    assert "has ended by itself" in cli("systems", "shell", system).stderr
    until(lambda: not inside(workspace))  # its keeper has nothing to keep any more
    assert not own_segments(workspace)
    again = cli("systems", "up", system)
    assert again.returncode == 0
    assert "an instance that ended by itself" in again.stderr
    assert rows(workspace)[system]["status"] == "up"


def test_two_ups_at_once_bring_one_up(up: Up, cli: Cli, tmp_path: Path) -> None:
    both = [
        subprocess.Popen(
            command("systems", "up", "rest"),
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=60)[0].splitlines()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted("already" in line for line in said) == [False, True]
    address = up("rest")["address"]
    assert all(line.endswith(address) for line in said)


def test_a_variant_and_a_durability_are_what_was_asked_for(
    up: Up, cli: Cli, workspace: Path
) -> None:
    row = up("redis", "--variant", "aof", "--durability", "interval")
    assert (row["variant"], row["durability"]) == ("aof", "interval")
    assert row["plan"].startswith('# at the top of the plan: durability = "interval"\n')
    assert 'variants = ["aof"]' in row["plan"]
    assert "at the top" not in up("redis")["plan"].splitlines()[1:]
    for options in (["--variant", "string"], ["--durability", "fsync"]):
        refused = cli("systems", "up", "redis", *options)
        assert refused.returncode == 2
        assert "end it first, with its data, by: deduplab systems down redis" in refused.stderr
    assert but_for_sizes(rows(workspace)["redis"]) == but_for_sizes(row)


def test_a_keeper_that_is_told_to_end_leaves_nothing(up: Up, workspace: Path) -> None:
    row = up("postgresql")
    os.kill(row["keeper"], signal.SIGTERM)
    until(lambda: not inside(workspace))
    assert not list(workspace.iterdir())
    assert not own_segments(workspace)


def test_a_keeper_is_not_told_the_secret_of_another_system(
    up: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LAB_PASSWORD", "DEDUPLAB_MY_SECRET"):
        monkeypatch.setenv(name, secrets.token_urlsafe())
    told = psutil.Process(up("rest")["keeper"]).environ()
    assert not told.keys() & {"LAB_PASSWORD", "DEDUPLAB_MY_SECRET"}
    assert told["PATH"] == os.environ["PATH"]


def test_a_keeper_whose_directory_was_removed_touches_no_other(up: Up, workspace: Path) -> None:
    old = up("rest")
    shutil.rmtree(workspace / "lab" / "rest")
    assert rows(workspace) == {}
    new = up("rest")
    os.kill(old["keeper"], signal.SIGTERM)
    until(lambda: ProcessId.of(old["keeper"]) is None)
    assert but_for_sizes(rows(workspace)["rest"]) == but_for_sizes(new)


def test_a_keeper_that_hangs_is_ended_by_force(
    up: Up, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = up("rest")
    os.kill(row["keeper"], signal.SIGSTOP)
    monkeypatch.setattr(taking_down, "ORDER_DEADLINE_S", 0.3)
    lab = Lab(workspace)
    done = taking_down.take_down(lab, lab.instance("rest"))
    assert done is not None
    assert done.by_force
    assert not inside(workspace)
    assert not list(workspace.iterdir())


def test_one_that_does_not_come_up_is_told_in_its_own_words_and_leaves_nothing(
    cli: Cli, workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo v=7.0.0 && exit\necho no mood; exit 3\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("DEDUPLAB_REDIS_SERVER", str(program))
    done = cli("systems", "up", "redis", "rest")
    assert done.returncode == 3
    assert "redis did not come up: Redis ended with exit code 3" in done.stderr
    assert "no mood" in done.stderr
    assert "not brought up: redis" in done.stderr
    assert done.stdout.startswith("rest ")
    assert list(rows(workspace)) == ["rest"]
    assert cli("systems", "down", "--all").returncode == 0
    assert not list(workspace.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_that_is_interrupted_leaves_nothing(
    number: signal.Signals, cli: Cli, workspace: Path, tmp_path: Path
) -> None:
    with subprocess.Popen(
        command("systems", "up", "postgresql"),
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        until(lambda: list(workspace.glob("lab/postgresql/instance.json")))
        process.send_signal(number)
        assert process.wait(GONE_S) in (0, 130)
    cli("systems", "down", "--all")  # where it was up already
    assert not list(workspace.iterdir())
    assert not own_segments(workspace)


@pytest.mark.parametrize("system", ["kafka", "mariadb", "nats", "redis", "seaweedfs"])
def test_a_workspace_may_have_any_name(
    system: str, not_brought_up: NotUp, tmp_path: Path, workspace: Path
) -> None:
    inner = workspace / "a, blänk \"'$b\\x"
    call: dict[str, Any] = {
        "env": {**environment(tmp_path), "LC_ALL": "C"},
        "capture_output": True,
        "cwd": tmp_path,
        "timeout": 120,
    }
    done = subprocess.run(
        command("systems", "up", system, "--json", "--workspace", inner), text=True, **call
    )
    try:
        if done.returncode == 3 and "deduplab systems install" in done.stderr:
            not_brought_up(system, RuntimeError(done.stderr))
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        assert Path(row["data_directory"]).is_relative_to(inner.resolve())
        assert row["allocated_bytes"] > 0, "its data lies there"
        if system == "kafka":  # its tools take files by their names too
            words = command("systems", "shell", system, "--workspace", inner, "--", "kafka-topics")
            asked = subprocess.run([*words, "--list"], **call)
            assert asked.returncode == 0, asked.stderr
    finally:
        subprocess.run(command("systems", "down", "--all", "--workspace", inner), **call)
        left = list(workspace.rglob("*"))
        shutil.rmtree(workspace)
    assert left == [inner], "nothing lies anywhere else"


def test_streams_that_are_closed_are_empty_ones(up: Up, tmp_path: Path) -> None:
    up("rest")
    words = shlex.join(command("systems", "shell", "rest", "--", "sh", "-c", "wc -c; echo said"))
    for closed, said in (("<&-", "0\nsaid\n"), (">&-", ""), ("2>&-", "0\nsaid\n")):
        done = subprocess.run(
            f"{words} {closed}",
            shell=True,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, said, ""), closed


def test_what_is_not_ours_is_left_alone(cli: Cli, workspace: Path) -> None:
    foreign = workspace / "lab" / "redis"
    foreign.mkdir(parents=True)
    (foreign / "owner").write_text("somebody else\n")
    try:
        refused = cli("systems", "up", "redis")
        assert refused.returncode == 2
        assert "is not of deduplab's making" in refused.stderr
        assert cli("systems", "down", "redis").stdout == "redis: is not up\n"
        assert cli("systems", "down", "--all").stdout == "nothing is up\n"
        assert cli("systems", "status", "--json").stdout == "[]\n"
        assert [path.name for path in foreign.iterdir()] == ["owner"]
    finally:
        shutil.rmtree(workspace / "lab")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("up", 2, "name systems to bring up"),
        ("up rediss", 2, "did you mean 'redis'?"),
        ("up redis --variant aoff", 2, "unknown variant of redis 'aoff'; did you mean 'aof'?"),
        (
            "up seaweedfs --durability fsync",
            2,
            "unknown durability of seaweedfs 'fsync'; known: none",
        ),
        ("up redis sqlite", 2, "sqlite runs inside the process that uses it"),
        ("shell clickhouse", 2, "there is no server to bring up or to log in to"),
        ("shell plain", 2, "plain runs inside the process that uses it"),
        ("shell redis", 3, "redis is not up; bring it up by: deduplab systems up redis"),
        ("down", 2, "name systems to take down, or --all"),
        ("down --all redis", 2, "name systems to take down, or --all"),
        ("down rediss", 2, "did you mean 'redis'?"),
    ],
)
def test_what_can_not_be_done_is_told(
    words: str, code: int, said: str, cli: Cli, workspace: Path
) -> None:
    done = cli("systems", *words.split())
    assert done.returncode == code
    assert said in done.stderr
    assert not done.stdout
    assert not workspace.exists(), "nothing was started, and nothing made"


def test_a_client_that_is_missing_is_told_with_what_to_install(
    up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up("redis")
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))
    done = shell(tmp_path, "redis", ["PING"])
    assert done.returncode == 3
    assert "apt-get install redis-tools" in done.stderr


def test_the_exit_code_and_the_environment_are_the_clients(up: Up, tmp_path: Path) -> None:
    up("postgresql")
    assert shell(tmp_path, "postgresql", ["-c", "no statement"]).returncode == 1
    assert shell(tmp_path, "postgresql", ["sh", "-c", "exit 42"], "", "--env").returncode == 42
    missing = shell(tmp_path, "postgresql", ["no-such-program"], "", "--env")
    assert missing.returncode == 3
    assert "there is no program 'no-such-program'" in missing.stderr
    done = shell(tmp_path, "postgresql", [], shlex.join(["pg_dump", "--schema-only"]), "--env")
    assert "PostgreSQL database dump" in done.stdout, done.stderr
