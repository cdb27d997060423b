"""The file of sinks in a cluster, as far as that needs none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deduplab import config
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests import sinks
from deduplab.ops.kubernetes.manifests.rendered import as_yaml, manifests
from deduplab.ops.kubernetes.marker import why_not_ours
from deduplab.servers._process import free_port
from tests.kubernetes.plans import REMOTE, SMALL, written
from tests.unit.test_kubernetes_manifests import SETTINGS, pod_of

ALL = """\
[json_lines]
path = "/results/events.jsonl"

[kafka]
address = "broker.lab.svc:9093"
topic = "t"
user = "u"
secret = "env:TRACE_PASSWORD"
ssl_ca = "/run/lab/ca.crt"

[prometheus]
listen = "0.0.0.0:9464"

[pushgateway]
url = "http://gateway.lab.svc:9091"
user = "u"
secret = "file:/run/lab/gateway"
"""


def read(folder: Path, text: str) -> sinks.Sinks:
    path = folder / "sinks.toml"
    path.write_text(text)
    return sinks.read(path)


def rendered(folder: Path, text: str, plan: str = SMALL) -> list[dict[str, Any]]:
    parsed = config.parse(plan, origin="plan.toml")
    return list(yaml.safe_load_all(as_yaml(manifests(parsed, SETTINGS, read(folder, text)))))


def test_the_file_goes_along_whole_and_secrets_stay_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is anything looked up here, nor does a value that is here get into a manifest."""
    monkeypatch.delenv("TRACE_PASSWORD", raising=False)
    without = rendered(tmp_path, ALL)
    password = os.urandom(8).hex()
    monkeypatch.setenv("TRACE_PASSWORD", password)
    objects = rendered(tmp_path, ALL)
    assert objects == without
    assert password not in json.dumps(objects)
    assert not [one for one in objects if why_not_ours(one, "small-one")]
    (held,) = [one for one in objects if "sinks.toml" in one.get("data", {})]
    assert held["data"]["sinks.toml"] == ALL
    assert held["immutable"] is True

    pod = pod_of(objects)
    (container,) = pod["containers"]
    secret = {"name": "small-one-secrets", "key": "TRACE_PASSWORD"}
    assert {"name": "TRACE_PASSWORD", "valueFrom": {"secretKeyRef": secret}} in container["env"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/run/lab/gateway"]["subPath"] == "gateway"
    assert mounts["/run/lab/ca.crt"]["subPath"] == "ca.crt"
    volume = {"name": "sinks", "configMap": {"name": held["metadata"]["name"]}}
    assert volume in pod["volumes"]
    assert container["args"][-2:] == [
        "--sinks",
        f"{mounts['/etc/deduplab-sinks']['mountPath']}/sinks.toml",
    ]
    assert container["ports"] == [{"name": "metrics", "containerPort": 9464}]


def test_without_sinks_nothing_of_them_is_there() -> None:
    parsed = config.parse(SMALL, origin="plan.toml")
    text = as_yaml(manifests(parsed, SETTINGS))
    assert "sinks" not in text
    assert "ports" not in text


def test_what_plan_and_sinks_both_refer_to_is_one_key(tmp_path: Path) -> None:
    pod = pod_of(rendered(tmp_path, ALL.replace("TRACE_", "LAB_"), SMALL + REMOTE))
    (container,) = pod["containers"]
    assert [one["name"] for one in container["env"]].count("LAB_PASSWORD") == 1
    paths = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert paths.count("/run/lab/ca.crt") == 1
    with pytest.raises(PlanError, match="would have the key 'cache-password'"):
        rendered(tmp_path, ALL.replace("/run/lab/gateway", "/x/cache-password"), SMALL + REMOTE)


@pytest.mark.parametrize(
    ("listen", "port", "remark"),
    [
        ("0.0.0.0:9464", 9464, ""),
        ("[::]:9464", 9464, ""),
        ("127.0.0.1:9464", None, "no Prometheus elsewhere"),
        ("localhost:9464", None, 'listen = "0.0.0.0:9464"'),
        ("[::1]:9464", None, "the pod's own"),
    ],
)
def test_a_port_is_declared_where_others_reach_it(
    tmp_path: Path, listen: str, port: int | None, remark: str
) -> None:
    found = read(tmp_path, f'[prometheus]\nlisten = "{listen}"\n')
    assert found.port == port
    assert remark in found.remark
    assert bool(found.remark) == bool(remark)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[json_lines]\npath = "run-events.jsonl"\n', "would be gone with the pod"),
        ('[json_lines]\npath = "/tmp/events.jsonl"\n', 'path = "/results/events.jsonl"'),
        ('[json_lines]\npath = "/results/../etc/x"\n', "would be gone"),
        ('[prometheus]\nlisten = "10.1.2.3:9464"\n', "before it is there"),
        ('[prometheus]\nlisten = "host.lab:9464"\n', "before it is there"),
        ('[prometheus]\nlisten = "9464"\n', ":2: listen: must be HOST:PORT"),
        (ALL.replace("file:/run", "file:~"), "write its whole path"),
        (ALL.replace("env:TRACE_PASSWORD", "hunter2"), "by reference"),
    ],
)
def test_sinks_that_no_pod_can_have_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(PlanError, match=words.replace(".", r"\.")):
        rendered(tmp_path, text)


def test_the_command_of_the_pod_tells_its_sinks(tmp_path: Path) -> None:
    """What stands in the manifests is run here, with the mounts' paths replaced."""
    listen = f"0.0.0.0:{free_port()}"
    lines_to = '[json_lines]\npath = "/results/events.jsonl"'
    text = f'{lines_to}\n[prometheus]\nlisten = "{listen}"\n'
    objects = rendered(tmp_path, text)
    (held,) = [one["data"] for one in objects if "sinks.toml" in one.get("data", {})]
    mounted = tmp_path / "mounted.toml"
    mounted.write_text(held["sinks.toml"].replace("/results", str(tmp_path / "results")))
    (tmp_path / "results").mkdir()
    (container,) = pod_of(objects)["containers"]
    replaced = {
        "/etc/deduplab/plan.toml": str(written(tmp_path)),
        "/etc/deduplab-sinks/sinks.toml": str(mounted),
        "/results": str(tmp_path / "results"),
        "/workspace/deduplab": str(tmp_path / "workspace" / "deduplab"),
    }
    _, *words = [replaced.get(word, word) for word in (*container["command"], *container["args"])]
    for _ in range(2):  # the second finds its events beside the run
        done = subprocess.run(
            [sys.executable, "-m", "deduplab", *words], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    lines = (tmp_path / "results" / "events.jsonl").read_text().splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert {"run_began", "cell_began", "sampled", "measured", "run_ended"} <= set(types)


def test_the_command_says_which_keys_the_secret_must_have(tmp_path: Path) -> None:
    path = tmp_path / "sinks.toml"
    path.write_text(ALL.replace("0.0.0.0", "127.0.0.1"))
    words = ["render", str(written(tmp_path)), "--image", "i", "--sinks", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "deduplab", "ops", "kubernetes", *words, "--secret", "mine"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "the Secret mine must have the keys TRACE_PASSWORD, ca.crt, gateway" in done.stderr
    assert "which is the pod's own" in done.stderr
    assert "containerPort" not in done.stdout
