"""``run --again``: what does not count is measured anew, and nothing is lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from deduplab.checksums import write_checksums
from deduplab.store import Run
from tests.end_to_end.conftest import Cli, write_plan


def fail(cell: Path) -> None:
    """Make a committed cell one that is FAILED."""
    result = json.loads((cell / "cell.json").read_bytes())
    result["outcome"] = {"kind": "FAILED", "reason": "it was killed"}
    (cell / "cell.json").write_text(json.dumps(result))
    (cell / "checksums.json").unlink()
    write_checksums(cell)


def test_what_does_not_count_is_measured_again_and_what_does_stays(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    directory = tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"]
    sound, damaged, failed = sorted((directory / "cells").iterdir())
    (damaged / "latency-0.npy").unlink()
    fail(failed)
    before = {path.name: (path / "cell.json").read_bytes() for path in (sound, damaged, failed)}

    refused = cli("report", "latest")
    assert (refused.returncode, refused.stdout) == (5, "")
    advised = refused.stderr.strip().rpartition("anew: deduplab ")[2].split()
    told = cli(*advised)
    assert told.returncode == 0, told.stderr
    assert f"damaged: {damaged / 'latency-0.npy'} is missing" in told.stdout
    assert "set aside, to be measured anew: 1 FAILED, 1 damaged" in told.stdout
    assert "2 results were set aside by run --again" in told.stdout
    assert "2 results were set aside by run --again" in (directory / "report.html").read_text()
    assert all(cell.outcome.ok for cell in Run.open(directory).cells())
    assert (sound / "cell.json").read_bytes() == before[sound.name]
    aside = {path.name: path for path in (directory / "set_aside").iterdir()}
    assert set(aside) == {f"{damaged.name}-1", f"{failed.name}-1"}
    for path in (damaged, failed):
        assert (aside[f"{path.name}-1"] / "cell.json").read_bytes() == before[path.name]

    more = json.loads(cli("run", plan, "--again", "--json").stdout)
    assert (more["run"], more["set_aside_cells"], more["resumed_cells"]) == (directory.name, 0, 3)
    assert more["coverage"]["set_aside"] == 2


def test_an_unfinished_run_is_gone_on_with_and_what_failed_in_it_measured_again(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    directory = tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"]
    missing, failed, _ = (directory / "cells").iterdir()
    shutil.rmtree(missing)
    fail(failed)
    gone_on = json.loads(cli("run", plan, "--again", "--json").stdout)
    assert gone_on["run"] == directory.name
    assert (gone_on["set_aside_cells"], gone_on["resumed_cells"]) == (1, 1)
    assert gone_on["cells"]["OK"] == 2


def test_where_there_is_no_run_nothing_is_measured_again(tmp_path: Path, cli: Cli) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    refused = cli("run", plan, "--again")
    assert refused.returncode == 2
    assert "no run of exactly this plan, scale and --only in" in refused.stderr
    assert not list((tmp_path / "runs").glob("*"))
    assert cli("run", plan, "--again", "--fresh").returncode == 2

    told = json.loads(cli("run", plan, "--json").stdout)
    assert cli("run", plan, "--again", "--scale", "2").returncode == 2
    header = tmp_path / told["directory"] / "run.json"
    elsewhere = json.loads(header.read_text())
    elsewhere["environment"]["kernel"] = "another"
    header.write_text(json.dumps(elsewhere))
    refused = cli("run", plan, "--again")
    assert refused.returncode == 2
    assert f"{told['run']} was begun in another environment" in refused.stdout
    assert len(list((tmp_path / "runs").iterdir())) == 1


def test_a_flipped_bit_is_noticed_by_the_report_and_measured_again(
    tmp_path: Path, cli: Cli
) -> None:
    plan = write_plan(tmp_path / "p.toml", ["null"])
    directory = tmp_path / json.loads(cli("run", plan, "--json").stdout)["directory"]
    first, second, _ = sorted((directory / "cells").iterdir(), reverse=True)
    for path in (first / "latency-2.npy", second / "cell.json"):  # the former of no figure's
        raw = bytearray(path.read_bytes())
        raw[-3] ^= 1
        path.write_bytes(raw)
        for arguments in (("report",), ("report", "--json"), ("report", "--coverage")):
            refused = cli(*arguments)
            assert refused.returncode == 5
            assert f"{path} is damaged" in refused.stderr
    told = json.loads(cli("run", plan, "--again", "--json").stdout)
    assert told["set_aside_cells"] == 2
    assert cli("report").returncode == 0
