"""One job for each subscribed webhook, once per event."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidPayload
from tasks import fan_out
from tasks.shared.platform.database import database
from tasks.shared.platform.schema import ORGANIZATIONS, WEBHOOKS

NOW = "2026-01-01T00:00:00Z"


def hook(name: str, *events: str, org: str = "org-1", **more: Any) -> dict[str, Any]:
    return {
        "organization_id": org,
        "id": name,
        "url": f"https://{name}.example/hook",
        "secret": None,
        "events": list(events),
        "active": True,
        "created_at": NOW,
        **more,
    }


@pytest.fixture
def hooks(fresh: None, tmp_path: Path) -> None:
    with database(None, tmp_path).begin() as connection:
        for org in ("org-1", "org-2"):
            connection.execute(
                ORGANIZATIONS.insert(),
                {
                    "id": org,
                    "name": org,
                    "name_key": org,
                    "tier": "starter",
                    "admin_email": "a@b.example",
                    "created_at": NOW,
                },
            )
        connection.execute(
            WEBHOOKS.insert(),
            [
                hook("a", "incident.created", secret="s3cr3t-s3cr3t"),
                hook("b", "audit.completed", "incident.created", secret=""),
                hook("c", "audit.completed"),
                hook("d", "incident.created", active=False),
                hook("e", "incident.created", url="http://user@evil.example/"),
                hook("f", "incident.created.more"),
                hook("a", "incident.created", org="org-2", url="https://two.example/hook"),
            ],
        )


def test_each_subscribed_once(hooks: None, caplog: pytest.LogCaptureFixture) -> None:
    jobs = fan_out("org-1", "incident.created", {"id": "i-1"}, event_id="i-1:created")
    seen = [job.refresh() for job in jobs]
    assert [one.data["url"] for one in seen] == ["https://a.example/hook", "https://b.example/hook"]
    assert [one.organization_id for one in seen] == ["org-1", "org-1"]
    assert seen[0].data["payload"] == {"event": "incident.created", "data": {"id": "i-1"}}
    assert seen[0].data["secret"] == "s3cr3t-s3cr3t"
    assert "secret" not in seen[1].data
    assert "a webhook is skipped" in caplog.text
    assert "user@" not in caplog.text

    again = fan_out("org-1", "incident.created", {"id": "i-1"}, event_id="i-1:created")
    assert [(job.id, job.created) for job in again] == [(job.id, False) for job in jobs]
    [theirs] = fan_out("org-2", "incident.created", {"id": "i-1"}, event_id="i-1:created")
    assert theirs.created
    assert theirs.refresh().data["url"] == "https://two.example/hook"
    assert len(fan_out("org-1", "incident.created", {})) == 2
    assert runtime().reader.stats(["webhooks"])[0].waiting == 5
    assert fan_out("org-1", "nothing", {}) == fan_out("org-3", "incident.created", {}) == []


def test_what_cannot_be_sent_adds_nothing(hooks: None) -> None:
    with pytest.raises(InvalidPayload, match=r"payload\.data\.n"):
        fan_out("org-1", "incident.created", {"n": 2**60})
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(InvalidPayload, match="deep"):
        fan_out("org-1", "incident.created", endless)
    assert runtime().reader.stats(["webhooks"])[0].waiting == 0


def test_the_events_of_a_row_are_looked_at_whole(hooks: None, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "platform.sqlite") as connection:
        connection.execute("UPDATE webhooks SET events = ?", (json.dumps("incident.created"),))
    connection.close()
    assert fan_out("org-1", "incident", {}) == []
