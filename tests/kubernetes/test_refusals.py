"""What goes wrong on the way to a cluster, in words and with an exit code."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.kubernetes.control_plane import nobody_listens
from tests.kubernetes.lab import EXPERIMENT, OURS, Lab, replicated


def told(*arguments: str | Path, code: int, **environment: str) -> str:
    """Run 'status' with nothing that the user has, and return what it said."""
    words = ["-m", "deduplab", "ops", "kubernetes", "status", EXPERIMENT, *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, *words],
        env={"PATH": "/usr/bin:/bin", "HOME": "/nowhere", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}:\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stderr


def test_nothing_of_an_experiment_and_only_what_is_not_ours(lab: Lab) -> None:
    assert "there is nothing of experiment 'trial'" in lab.run("status", EXPERIMENT, code=2).stderr
    claimed = {"deduplab/experiment": EXPERIMENT}
    lab.make("Deployment", "foreign", replicated("foreign", 2), claimed)
    for verb in ("suspend", "restore", "status"):
        refused = lab.run(verb, EXPERIMENT, code=8)
        assert "Deployment/foreign: it lacks the label" in refused.stderr
    assert lab.get("Deployment", "foreign")["spec"]["replicas"] == 2


def test_a_namespace_that_is_not_there_holds_nothing(lab: Lab) -> None:
    refused = lab.run("status", EXPERIMENT, "-n", "unheard-of", code=2)
    assert "in namespace 'unheard-of'" in refused.stderr


def test_names_are_checked_before_anything_is_asked(lab: Lab) -> None:
    for name in ("Trial", "trial_1", "-x", "trial,other=x", "t" * 41):
        refused = lab.run("suspend", "--", name, code=2)
        assert "is no name of an experiment" in refused.stderr


def test_a_server_that_is_not_there(lab: Lab, tmp_path: Path) -> None:
    config = json.loads(lab.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{nobody_listens()}"
    path = tmp_path / "gone"
    path.write_text(json.dumps(config))
    assert "can't be reached" in told("--kubeconfig", path, code=3)


def test_a_server_that_is_another_one(lab: Lab, tmp_path: Path) -> None:
    config = json.loads(lab.kubeconfig().read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    path = tmp_path / "untrusted"
    path.write_text(json.dumps(config))
    words = told("--kubeconfig", path, code=3)
    assert "can't be reached" in words
    assert "certificate" in words.lower()


@pytest.mark.parametrize("page", ["<html>sign in</html>", "[]", "{}"])
def test_something_else_listens_there(tmp_path: Path, page: str) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            config = {
                "current-context": "other",
                "clusters": [
                    {"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
                ],
                "users": [],
                "contexts": [{"name": "other", "context": {"cluster": "c", "user": "u"}}],
            }
            path = tmp_path / "other"
            path.write_text(json.dumps(config))
            assert "is no API server of Kubernetes" in told("--kubeconfig", path, code=3)
        finally:
            server.shutdown()


def test_a_login_that_is_not_taken(lab: Lab) -> None:
    path = lab.kubeconfig("stranger")
    words = told("--kubeconfig", path, code=3)
    assert "does not take our login" in words
    token = json.loads(path.read_text())["users"][0]["user"]["token"]
    assert token not in words


def test_the_configuration_of_clusters(lab: Lab, tmp_path: Path) -> None:
    lab.make("Deployment", "ours", replicated("ours", 1), OURS)
    path = lab.kubeconfig()
    assert "there is no kubeconfig" in told(code=2)
    assert "there is no kubeconfig" in told("--kubeconfig", tmp_path / "none", code=2)
    told(code=0, KUBECONFIG=f"{tmp_path / 'none'}:{path}")
    told("--kubeconfig", path, "--context", "admin", code=0)
    unknown = told("--kubeconfig", path, "--context", "adnim", code=2)
    assert "adnim" in unknown
    assert "get-contexts" in unknown
    for text in ("", "[", "just words", '{"contexts": 3}'):
        (tmp_path / "bad").write_text(text)
        assert "can't be used" in told("--kubeconfig", tmp_path / "bad", code=2)


def test_a_login_by_a_program(lab: Lab, tmp_path: Path) -> None:
    """As clouds do it: a program prints a token, once for each command."""
    lab.make("Deployment", "ours", replicated("ours", 1), OURS)
    config = json.loads(lab.kubeconfig().read_text())
    token = config["users"][0]["user"]["token"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token},
    }
    program = tmp_path / "login"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(credential)}'\n")
    program.chmod(0o700)
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": str(program),
        "interactiveMode": "Never",
    }
    config["users"][0]["user"] = {"exec": plugin}
    path = tmp_path / "cloud"
    path.write_text(json.dumps(config))
    told("--kubeconfig", path, code=0)


def test_without_the_client_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['kubernetes'] = None; sys.argv = ['deduplab', 'ops',"
        " 'kubernetes', 'status', 'trial']; from deduplab.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "pip install 'deduplab[kubernetes]'" in done.stderr


@pytest.mark.parametrize("verb", ["render", "apply", "status", "suspend", "restore", "delete"])
def test_help_teaches_by_examples(verb: str) -> None:
    words = ["-m", "deduplab", "ops", "kubernetes", verb, "--help"]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert f"deduplab ops kubernetes {verb} " in done.stdout
