"""What is rendered for a cluster, as far as it needs none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deduplab import config
from deduplab.errors import PlanError
from deduplab.ops.kubernetes.manifests.rendered import as_yaml, manifests
from deduplab.ops.kubernetes.manifests.settings import Settings, quantity
from deduplab.ops.kubernetes.marker import checked_experiment, experiment_of_plan, why_not_ours
from tests.kubernetes.plans import REMOTE, SMALL, written

SETTINGS = Settings(experiment="small-one", namespace="lab", image="example/deduplab:1")


def rendered(text: str, settings: Settings = SETTINGS) -> list[dict[str, Any]]:
    plan = config.parse(text, origin="plan.toml")
    found = list(yaml.safe_load_all(as_yaml(manifests(plan, settings))))
    assert all(isinstance(one, dict) for one in found)
    return found


def pod_of(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (job,) = [one for one in objects if one["kind"] == "Job"]
    found: dict[str, Any] = job["spec"]["template"]["spec"]
    return found


def test_every_object_bears_the_marker_and_the_plan_is_whole() -> None:
    text = SMALL + "# a comment: it's kept, 'quotes' and \"all\", and umlauts: ä\n"
    objects = rendered(text)
    kinds = [one["kind"] for one in objects]
    assert kinds == ["ConfigMap", "PersistentVolumeClaim", "PersistentVolumeClaim", "Job"]
    assert not [one for one in objects if why_not_ours(one, "small-one")]
    assert objects[0]["data"]["plan.toml"] == text
    assert config.parse(text, origin="x").digest == config.parse(SMALL, origin="x").digest


def test_secrets_are_references_and_nothing_else() -> None:
    objects = rendered(SMALL + REMOTE)
    pod = pod_of(objects)
    (container,) = pod["containers"]
    secret = {"name": "small-one-secrets", "key": "LAB_PASSWORD"}
    assert {"name": "LAB_PASSWORD", "valueFrom": {"secretKeyRef": secret}} in container["env"]
    mounted = {
        mount["mountPath"]: mount["subPath"]
        for mount in container["volumeMounts"]
        if mount["name"] == "secrets"
    }
    assert mounted == {
        "/run/lab/ca.crt": "ca.crt",
        "/run/lab/cache-password": "cache-password",
    }
    assert not [one for one in objects if one["kind"] == "Secret"]


def test_the_pod_asks_for_what_it_gets_and_is_nobody() -> None:
    settings = Settings(
        experiment="x",
        namespace="lab",
        image="i",
        cpus=3,
        memory_bytes=1536 * 1024**2,
        nodes={"disk": "nvme"},
        mounts=(("photos", "/srv/photos"),),
        options=("--scale", "1/8"),
    )
    pod = pod_of(rendered(SMALL, settings))
    (container,) = pod["containers"]
    asked = {"cpu": "3", "memory": "1536Mi"}
    assert container["resources"] == {"requests": asked, "limits": asked}
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["nodeSelector"] == {"disk": "nvme"}
    claim = {"name": "data-0", "persistentVolumeClaim": {"claimName": "photos"}}
    assert claim in pod["volumes"]
    assert container["args"][:2] == ["--scale", "1/8"]


def test_the_command_of_the_pod_is_one_that_deduplab_takes(tmp_path: Path) -> None:
    """What stands in the manifest is run here, with the mounts' paths replaced."""
    (container,) = pod_of(rendered(SMALL))["containers"]
    plan = written(tmp_path)
    replaced = {"/etc/deduplab/plan.toml": str(plan), "/results": str(tmp_path / "results")}
    replaced["/workspace/deduplab"] = str(tmp_path / "workspace" / "deduplab")
    _, *words = [replaced.get(word, word) for word in (*container["command"], *container["args"])]
    for said in ("1 OK", "is finished, and no other is begun"):
        done = subprocess.run(
            [sys.executable, "-m", "deduplab", *words],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
    assert len(list((tmp_path / "results").glob("*/run.json"))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('volumes = ["none", "btrfs"]\n' + SMALL, "mounted by root"),
        (SMALL.replace("[systems", 'multiplicity = "scan.json"\n[systems'), "a file beside it"),
        (SMALL + REMOTE.replace("file:/run/lab", "file:~"), "write its whole path"),
        (SMALL + REMOTE.replace("cache-password", "ca.crt").replace("/lab/", "/x/", 1), "the key"),
    ],
)
def test_plans_that_no_pod_can_run_are_refused(tmp_path: Path, text: str, words: str) -> None:
    grain = '{"grain": "whole", "copies": [[1, 32]]}'
    (tmp_path / "scan.json").write_text(f'{{"grains": [{grain}]}}')
    with pytest.raises(PlanError, match=words):
        manifests(config.parse(text, origin=str(tmp_path / "p.toml")), SETTINGS)


def test_another_plan_is_another_object() -> None:
    first, second = (rendered(text)[0] for text in (SMALL, SMALL + "# more\n"))
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert first["immutable"] is True


def test_names_are_fit_for_labels_and_follow_from_the_plan() -> None:
    assert experiment_of_plan("my_plan_") == "my-plan"
    assert len(experiment_of_plan("x" * 41)) == 40
    for name in ("", "A", "1a", "a-", "a_b", "a" * 41, "a.b"):
        with pytest.raises(PlanError, match="is no name of an experiment"):
            checked_experiment(name)


def test_sizes_are_written_exactly() -> None:
    written_sizes = [quantity(n) for n in (4 * 1024**3, 1536 * 1024**2, 10 * 1024, 1000)]
    assert written_sizes == ["4Gi", "1536Mi", "10Ki", "1000"]


def test_rendering_asks_no_cluster_and_needs_no_client(tmp_path: Path) -> None:
    arguments = ["ops", "kubernetes", "render", str(written(tmp_path)), "--image", "i"]
    into = ["-o", str(tmp_path / "out")]
    code = (
        "import sys; sys.modules['kubernetes'] = None;"
        f" sys.argv = ['deduplab', *{arguments + into!r}];"
        " from deduplab.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "no --node" in done.stderr
    names = [path.name for path in sorted((tmp_path / "out").iterdir())]
    assert names[0].startswith("00-configmap-small-one-plan-")
    assert names[-1] == "03-job-small-one.yaml"
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in names]


def test_without_what_writes_yaml_the_extra_is_named(tmp_path: Path) -> None:
    arguments = ["ops", "kubernetes", "render", str(written(tmp_path)), "--image", "i"]
    code = (
        f"import sys; sys.modules['yaml'] = None; sys.argv = ['deduplab', *{arguments!r}];"
        " from deduplab.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "pip install 'deduplab[kubernetes]'" in done.stderr


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--memory", "lots"), "not a number of bytes"),
        (("--results-size", "0"), "nothing would fit"),
        (("--cpus", "0"), "--cpus"),
        (("--mount", "photos"), "is not CLAIM:PATH"),
        (("--node-label", "disk"), "is not KEY=VALUE"),
        (("--name", "My Name"), "is no name of an experiment"),
        (("--image", ""), "--image: '' is not allowed"),
        (("--image", "an image"), "--image: 'an image' is not allowed"),
        (("--namespace", "My_Lab"), "--namespace: 'My_Lab' is not allowed"),
        (("--secret", "a_secret"), "--secret: 'a_secret' is not allowed"),
        (("--results-class", "Fast"), "--results-class: 'Fast' is not allowed"),
        (("--workspace-class", "-"), "--workspace-class: '-' is not allowed"),
        (("--node", "node 1"), "--node or --node-label: 'node 1' is not allowed"),
        (("--node-label", "a b=c"), "--node-label: 'a b' is not allowed"),
        (("--node-label", "a/b/c=d"), "--node-label: 'a/b/c' is not allowed"),
        (("--mount", "Photos:/srv"), "--mount: 'Photos' is not allowed"),
        (("--mount", "photos:srv"), "--mount: 'srv' is not allowed"),
        (("--mount", "photos:/results/"), "something else is mounted at /results/"),
        (("--mount", "a:/srv", "--mount", "b:/srv"), "something else is mounted at /srv"),
    ],
)
def test_bad_options_are_refused_in_words(
    tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    arguments = ["ops", "kubernetes", "render", str(written(tmp_path)), "--image", "i", *more]
    done = subprocess.run(
        [sys.executable, "-m", "deduplab", *arguments], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stdout == ""


def test_what_a_cluster_allows_is_taken() -> None:
    settings = Settings(
        experiment="small-one",
        namespace="7-lab",
        image="[::1]:5000/Team/deduplab:1.0@sha256:0123456789abcdef",
        secret="a.secret",
        workspace_class="csi.local-nvme",
        nodes={"example.org/pool_1": "Bench.2", "kubernetes.io/hostname": "10.0.0.7"},
        mounts=(("photos", "/srv/My Photos"),),
    )
    pod = pod_of(rendered(SMALL, settings))
    assert pod["nodeSelector"] == settings.nodes
    assert pod["containers"][0]["volumeMounts"][-1]["mountPath"] == "/srv/My Photos"
