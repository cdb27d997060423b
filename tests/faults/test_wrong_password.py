"""A wrong password: said with the user and where the secret came from, and tried once only."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from deduplab import registry
from deduplab.bench.lifecycle import BringUp, Notify
from deduplab.bench.runner import run_campaign
from deduplab.cell import RemoteAddress
from deduplab.errors import LoginRefused, SystemUnavailable
from deduplab.model import OutcomeKind, Stage
from deduplab.server import Endpoint, Secret
from tests.faults.campaigns import SILENT, Here, new_run, no_fault
from tests.faults.cells import cell_of, plan_of

pytestmark = pytest.mark.server


def address_of(endpoint: Endpoint) -> RemoteAddress:
    """Describe a server of ours as a plan would, with another secret than its own."""
    assert endpoint.host is not None
    assert endpoint.port is not None
    assert endpoint.user is not None
    names = ("master", "volumes")
    return RemoteAddress(
        endpoint.host,
        endpoint.port,
        endpoint.user,
        endpoint.database,
        "env:LAB_SECRET",
        tls="off",
        options=tuple((name, endpoint.options[name]) for name in names if name in endpoint.options),
    )


def test_it_is_said_whose_login_was_refused_and_it_is_not_tried_again(
    system: str,
    new_instance: Callable[[], Path],
    workspace: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    not_brought_up: Callable[[str, Exception], NoReturn],
) -> None:
    wrong = secrets.token_urlsafe(24)
    monkeypatch.setenv("LAB_SECRET", wrong)
    entry = registry.system(system)
    offers = entry.capabilities()
    attempts: list[int] = []

    def attempted(attempt: int) -> tuple[Notify, BringUp]:
        attempts.append(attempt)
        return no_fault(attempt)

    server = entry.server_class()(
        new_instance(), variant=offers.variant_names()[0], durability=offers.durability[0]
    )
    try:
        try:
            endpoint = server.start()
        except SystemUnavailable as error:
            not_brought_up(system, error)
        assert endpoint.secret is not None
        adapter = entry.adapter_class()()
        refused = dataclasses.replace(endpoint, secret=Secret(wrong, "env:LAB_SECRET"))
        with pytest.raises(LoginRefused) as caught:
            adapter.open(refused)
        adapter.close()

        cell = dataclasses.replace(cell_of(system, Stage.BULK), remote=address_of(endpoint))
        run = new_run(tmp_path / "run", (cell,), plan_of(system))
        counting = Here(run, workspace, attempted)
        tally = run_campaign(run, (cell,), counting, SILENT)
        assert (tally.not_run, tally.ended) == (1, {})
        reason = run.not_run()[cell.cell_id]
        assert attempts == [1, 1]  # once, and once more when everything else is done

        monkeypatch.setenv("LAB_SECRET", endpoint.secret.reveal())
        again = run_campaign(run, (cell,), Here(run, workspace), SILENT)
        assert run.not_run() == {}
        assert again.ended == {OutcomeKind.OK: 1}, run.cell(cell.cell_id).outcome
    finally:
        server.stop()
    for said in (str(caught.value), reason):
        assert f"refuses the login of user {endpoint.user!r}" in said
        assert f"{endpoint.host}:{endpoint.port}" in said
        assert "env:LAB_SECRET" in said
        assert wrong not in said
