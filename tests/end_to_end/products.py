"""Prometheus and its Pushgateway, from the system's packages, as private processes of a test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from deduplab.errors import SystemUnavailable
from deduplab.servers._process import free_port
from tests.soon import soon

DEADLINE_S = 30.0
Missing = Callable[[str, Exception], NoReturn]


def program(name: str, missing: Missing) -> str:
    """Return a program of a system package; skip, or fail where it is required, without it."""
    found = shutil.which(name)
    if found is None:
        missing(name, SystemUnavailable(f"there is no {name}; scripts/system-packages.txt has it"))
    return found


@contextmanager
def pushgateway(directory: Path, missing: Missing, password: str = "") -> Iterator[str]:
    """Run a Pushgateway and yield its URL; with a password, for the user ``lab`` alone."""
    options = ["--log.level=error"]
    if password:
        web = directory / "web.yml"
        web.write_text(f"basic_auth_users:\n  lab: {_bcrypt(password)}\n")
        web.chmod(0o600)
        options.append(f"--web.config.file={web}")
    with _served(program("prometheus-pushgateway", missing), directory, options) as url:
        yield url


@contextmanager
def prometheus(directory: Path, missing: Missing, targets: list[str]) -> Iterator[str]:
    """Run a Prometheus that scrapes these addresses twice a second, and yield its URL."""
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        "global: {scrape_interval: 500ms, evaluation_interval: 500ms}\n"
        "scrape_configs:\n"
        "  - job_name: deduplab\n"
        "    honor_labels: true\n"
        f"    static_configs: [{{targets: {json.dumps(targets)}}}]\n"
    )
    options = [f"--config.file={configuration}", f"--storage.tsdb.path={directory / 'data'}"]
    options.append("--log.level=error")
    with _served(program("prometheus", missing), directory, options) as url:
        yield url


def queried(url: str, query: str) -> list[dict[str, Any]]:
    """Return what Prometheus answers to an instant query."""
    where = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(where, timeout=DEADLINE_S) as answer:
        told = json.load(answer)
    assert told["status"] == "success", told
    found: list[dict[str, Any]] = told["data"]["result"]
    return found


@contextmanager
def _served(path: str, directory: Path, options: list[str]) -> Iterator[str]:
    port = free_port()
    with (directory / f"{Path(path).name}.log").open("wb") as log:
        process = subprocess.Popen(
            [path, f"--web.listen-address=127.0.0.1:{port}", *options], stdout=log, stderr=log
        )
        try:
            url = f"http://127.0.0.1:{port}"
            soon(lambda: process.poll() is not None or _answers(url), "answer")
            assert process.poll() is None, Path(log.name).read_text()[-2000:]
            yield url
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/-/ready", timeout=5).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True


def _bcrypt(password: str) -> str:
    """Hash by crypt(3), as Perl calls it."""
    salt = "$2y$04$" + os.urandom(11).hex()
    done = subprocess.run(
        ["perl", "-e", "print crypt(scalar(<STDIN>), $ARGV[0])", salt],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
