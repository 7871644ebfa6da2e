"""The examples of ``docs/integration.md`` run, and the helpers take the same options."""

from __future__ import annotations

import inspect
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tasks
from hsejobs import client
from hsejobs.control import views
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from tasks.shared.platform.database import database
from tasks.shared.platform.schema import ORGANIZATIONS, WEBHOOKS
from tests.support.consumers import Consumers

PAGE = (Path(__file__).parent.parent / "docs" / "integration.md").read_text()
EXAMPLES = dict(re.findall(r"<!-- example: (\S+) -->\n```python\n(.*?)```", PAGE, re.DOTALL))
NOW = "2026-01-01T00:00:00Z"

HELPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "queue_email": ("email", {"to": "user@example.com", "subject": "Hi", "text": "there"}),
    "queue_report": ("reports", {"type": "audits", "format": "json"}),
    "queue_data_export": ("data-exports", {"entities": ["stations"], "format": "json"}),
    "queue_webhook": (
        "webhooks",
        {"url": "https://a.example/", "payload": {"event": "x"}, "eventType": "x"},
    ),
    "queue_tenant_onboarding": (
        "tenant-onboarding",
        {"organizationName": "Acme", "adminEmail": "a@acme.example", "adminName": "A"},
    ),
}


def run(tmp_path: Path, name: str, **platform: Any) -> dict[str, Any]:
    """The names that an example defines, with these functions as the platform's."""
    file = tmp_path / f"{name}.py"
    file.write_text(EXAMPLES[name])
    return runpy.run_path(str(file), init_globals=platform, run_name=f"example_{name}")


def jobs(queue: str) -> list[Any]:
    """The waiting jobs of the queue, by id."""
    page = runtime().reader.page(queue, State.WAITING, limit=50)
    return sorted(page.jobs, key=lambda one: one.id)


def test_no_example_is_left_out() -> None:
    assert set(EXAMPLES) == {"signup", "schedule", "incident", "fan-out", "tenant", "client"}
    assert PAGE.count("```python") == len(EXAMPLES) + 1


def test_signup(platform_workers: Consumers, tmp_path: Path) -> None:
    user = SimpleNamespace(id="u-1", organization_id="org-1", name="Ann", email="ann@b.example")
    names = run(
        tmp_path,
        "signup",
        create_user=lambda form: user,
        render_welcome_email=lambda user: f"<h1>Hi {user.name}</h1>",
    )
    for _ in range(2):
        assert names["signup"]({}) == {"success": True}
    [job] = jobs("email")
    assert (job.id, job.organization_id, job.user_id) == ("welcome-u-1", "org-1", "u-1")
    assert job.data == {
        "to": ["ann@b.example"],
        "subject": "Welcome to HSE.Digital",
        "html": "<h1>Hi Ann</h1>",
        "text": "Welcome Ann!",
    }


def test_schedule(platform_workers: Consumers, tmp_path: Path) -> None:
    orgs = [SimpleNamespace(id=f"org-{n}", admin_email=f"a@org-{n}.example") for n in (1, 2)]
    names = run(tmp_path, "schedule", organizations=lambda: orgs, this_month=lambda: "2026-11")
    [schedule] = names["huey"].describe().schedules
    assert (schedule.name, schedule.cron) == ("monthly_compliance", "0 0 1 * *")
    for _ in range(2):
        names["monthly_compliance"].call_local()
    found = jobs("reports")
    assert [(one.id, one.organization_id) for one in found] == [
        ("compliance:2026-11:org-1", "org-1"),
        ("compliance:2026-11:org-2", "org-2"),
    ]
    assert found[1].data == {
        "type": "compliance",
        "organizationId": "org-2",
        "format": "pdf",
        "notifyEmail": "a@org-2.example",
    }


def test_incident(platform_workers: Consumers, tmp_path: Path) -> None:
    hooks = [
        SimpleNamespace(id="h-1", url="https://one.example/hook", secret="s3cr3t-s3cr3t"),
        SimpleNamespace(id="h-2", url="https://two.example/hook", secret=None),
    ]
    names = run(
        tmp_path,
        "incident",
        create_incident=lambda form: {"id": "i-1", **form},
        webhooks_of=lambda tenant, event: hooks,
    )
    for _ in range(2):
        assert names["report_incident"]({"title": "Spill"}, "org-1")["id"] == "i-1"
    found = jobs("webhooks")
    assert [one.id for one in found] == ["i-1:created:h-1", "i-1:created:h-2"]
    assert {one.organization_id for one in found} == {"org-1"}
    assert found[0].data["payload"] == {
        "event": "incident.created",
        "data": {"id": "i-1", "title": "Spill"},
    }


def subscribe(home: Path) -> None:
    """Adds an organization with a webhook to the platform's database in a JOBS_HOME."""
    with database(None, home).begin() as connection:
        connection.execute(
            ORGANIZATIONS.insert(),
            {
                "id": "org-1",
                "name": "A",
                "name_key": "a",
                "tier": "free",
                "admin_email": "a@b.c",
                "created_at": NOW,
            },
        )
        connection.execute(
            WEBHOOKS.insert(),
            {
                "organization_id": "org-1",
                "id": "h-1",
                "url": "https://one.example/",
                "secret": None,
                "events": ["incident.created"],
                "active": True,
                "created_at": NOW,
            },
        )


def test_fan_out(platform_workers: Consumers, tmp_path: Path) -> None:
    subscribe(tmp_path)
    names = run(tmp_path, "fan-out", create_incident=lambda form: {"id": "i-1", **form})
    for _ in range(2):
        names["report_incident"]({"title": "Spill"}, "org-1")
    [job] = jobs("webhooks")
    assert job.data["payload"]["data"] == {"id": "i-1", "title": "Spill"}


def test_tenant(platform_workers: Consumers, tmp_path: Path) -> None:
    job = run(tmp_path, "tenant")["job"]
    assert job.refresh().data["organizationName"] == "Acme Corp"
    platform_workers.start("huey_config.tenant_onboarding", "-w", "1")
    result = job.wait(60)
    described = re.findall(r"`(\w+)`", PAGE.partition("The result:")[2].partition("The same")[0])
    assert set(result) <= set(described)


def test_client(
    platform_workers: Consumers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_client", None)
    tasks.email.huey.register(again=True)
    user = SimpleNamespace(id="u-1", organization_id="org-1", email="ann@b.example")
    job = run(tmp_path, "client")["remind"](user, "2026-11-26")
    assert (job.id, job.refresh().organization_id) == ("due-u-1-2026-11-26", "org-1")
    client._default().close()


@pytest.mark.parametrize("name", HELPERS)
def test_the_helpers_take_the_same_options(platform_workers: Consumers, name: str) -> None:
    queue, payload = HELPERS[name]
    helper: Callable[..., Any] = getattr(tasks, name)
    signature = inspect.signature(helper)
    assert list(signature.parameters) == ["payload", "options"]
    assert signature.parameters["options"].annotation == "Unpack[AddKeywords]"
    assert signature.return_annotation == "Job[dict[str, Any]]"
    assert helper.__doc__
    chosen = {
        "organization_id": "org-7",
        "user_id": "u-7",
        "priority": 4,
        "delay": 60,
        "attempts": 6,
        "backoff": 1.5,
        "timeout": 7,
        "job_id": "mine",
    }
    job = helper(payload, **chosen)
    assert (job.id, job.created, job.status) == ("mine", True, State.DELAYED)
    assert not helper(payload, **chosen).created
    seen = views.public(runtime().reader.job(queue, "mine"))
    assert (seen["organizationId"], seen["userId"], seen["priority"]) == ("org-7", "u-7", 4)
    assert (seen["attempts"], seen["timeout"]) == (6, 7000)
    with pytest.raises(InvalidOption):
        helper(payload, priority=9)
    with pytest.raises(TypeError):
        helper(payload, prio=1)
    assert f"`{name}`" in PAGE or f"    {name},\n" in PAGE
