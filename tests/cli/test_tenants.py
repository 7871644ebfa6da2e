"""`hsejobs tenants`: the list of a queue beside the commands for an organization's data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import huey_config
from hsejobs.engine.runtime import reset_runtime
from hsejobs.errors import InvalidOption, Refused
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from tests.cli.test_commands import MAIL
from tests.conformance.doors import Cli


@pytest.fixture(autouse=True)
def here(redis_url: str) -> Iterator[None]:
    """The commands run in this process, which has registered its queues on the test's server."""
    for queue in huey_config.QUEUES.values():
        queue.register(again=True)
    yield
    reset_runtime()


def run(*words: str) -> str:
    status, out, told = Cli.run(*words)
    assert (status, told) == (0, "")
    return out


def document(*words: str) -> Any:
    return json.loads(run(*words, "--json"))


def test_a_queue_and_a_subcommand_live_together(tmp_path: Path) -> None:
    for number, org in enumerate(("org-1", "org-2", "org-2")):
        run("enqueue", "email", MAIL, "--org", org, "--id", f"m{number}")
    listed = document("tenants", "email")
    assert [one["organizationId"] for one in listed["tenants"]] == ["org-2", "org-1"]
    assert (listed["queue"], listed["next"]) == ("email", None)
    assert document("tenants", "list", "email") == listed
    first = json.loads(run("tenants", "--json", "email", "--limit", "1"))
    assert first["tenants"] == listed["tenants"][:1]
    second = document("tenants", "email", "--limit", "1", "--cursor", first["next"])
    assert (second["tenants"], second["next"]) == (listed["tenants"][1:], None)
    done = run("tenants", "set", "org-1", "--queue", "email", "--weight", "3", "--paused")
    assert done == "org-1 in email: paused, weight 3, no limit of its own\n"
    one = document("tenants", "set", "org-1", "--queue", "email", "--limit", "5", "--resumed")
    assert one == {**listed["tenants"][1], "weight": 3, "limit": 5}
    run("tenants", "set", "org-2", "--queue", "email", "--paused")
    table = run("tenants", "email")
    assert "org-2 (paused)" in table
    assert "share" in table
    one = document("tenants", "set", "org-1", "--queue", "email", "--limit", "none")
    assert (one["limit"], one["weight"]) == (None, 3)
    acts = document("audit")["entries"]
    assert [(one["act"], one["door"]) for one in acts] == [("tenants set", "cli")] * 4 + [
        ("enqueue", "cli")
    ] * 3
    copies = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    lines = [one for one in copies if one["act"] == "tenants set"]
    assert [one["where"].split()[0] for one in lines] == [
        f"org={org}" for org in ("org-1", "org-1", "org-2", "org-1")
    ]
    assert document("tenants", "erase", "org-1", "--dry-run")["jobs"] == {"email": {"waiting": 1}}
    help_text = run("tenants", "--help")
    for name in ("list", "set", "erase", "export"):
        assert f" {name} " in help_text


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["nope"], 1, "unknown_queue"),
        (["email", "--limit", "0"], 2, "limit"),
        (["email", "--cursor", "x"], 2, "cursor"),
        (["set", "org-1"], 2, "queue"),
        (["set", "org-1", "--queue", "email"], 2, "weight"),
        (["set", "org-1", "--queue", "nope", "--paused"], 1, "unknown_queue"),
        (["set", "org-1", "--queue", "email", "--weight", "0"], 2, "weight"),
        (["set", "org-1", "--queue", "email", "--limit", "some"], 2, "limit"),
        (["set", "org-1", "--queue", "email", "--limit", "-5"], 2, "limit"),
        (["set", "", "--queue", "email", "--paused"], 2, "organizationId"),
    ],
)
def test_what_is_refused_says_why(words: list[str], status: int, says: str) -> None:
    found, out, told = Cli.run("tenants", *words)
    assert (found, says in told, out) == (status, True, ""), told


def test_python_and_the_tui_read_the_same(redis_url: str, tmp_path: Path) -> None:
    queue = huey_config.QUEUES["email"]
    queue.submit(json.loads(MAIL), organization_id="org-1")
    one = queue.set_tenant("org-2", weight=2, limit=3)
    assert (one.organization_id, one.weight, one.limit, one.paused) == ("org-2", 2, 3, False)
    assert queue.set_tenant("org-2", paused=True).limit == 3
    page = queue.tenants()
    assert [one.organization_id for one in page.tenants] == ["org-1", "org-2"]
    with pytest.raises(InvalidOption, match="weight"):
        queue.set_tenant("org-2", weight=0)
    assert '"door": "python"' in (tmp_path / "audit.log").read_text()
    for org in (None, "org-1"):
        options = Options(
            url=redis_url, prefix="hsejobs", home=tmp_path, place="redis", organization_id=org
        )
        source = LiveSource(options, queue.runtime.redis)
        if org is None:
            assert source.tenants("email", limit=1).tenants == page.tenants[:1]
        else:
            with pytest.raises(Refused):
                source.tenants("email")
