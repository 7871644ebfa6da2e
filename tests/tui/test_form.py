"""The form of a new job: fields from the schema, options, the editor one key away."""

from __future__ import annotations

from typing import Any

import pytest
from textual.widgets import TextArea

from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs.store import keys, registry
from hsejobs.store.registry import QueueInfo, ScheduleInfo, TaskInfo
from hsejobs_tui.core import form
from tests.tui.conftest import Stage
from tests.tui.driving import settle, shows, text_of, until
from tests.tui.test_gate import burst

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["to", "kind", "place"],
    "properties": {
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "for the [log]"},
        "to": {"type": "string", "minLength": 3},
        "kind": {"enum": ["daily", "weekly"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "urgent": {"type": "boolean", "default": False},
        "tags": {"type": "array", "items": {"type": "string"}},
        "place": {"$ref": "#/$defs/Place"},
    },
    "$defs": {
        "Place": {
            "type": "object",
            "required": ["city"],
            "properties": {"city": {"type": "string"}, "zip": {"type": "string"}},
        }
    },
}
TASK = TaskInfo("m.report", SCHEMA, ["note"], "Makes a report.", attempts=7)
INFO = QueueInfo("mail", [TASK], "m.report", priority=2)


@pytest.fixture
def described(stage: Stage) -> Stage:
    forget_tasks(stage)
    registry.save(stage.redis, "t", INFO)
    return stage


def forget_tasks(stage: Stage) -> None:
    """Removes the description of the queue, to which another one would be added."""
    base = keys.base("t", "mail")
    for name in ("queue", "releases", "seen", "masks"):
        stage.redis.command("DEL", keys.of(base, name))


def test_fields_kinds_and_allowed_values() -> None:
    found = {one.name: one for one in form.fields_of(TASK)}
    assert list(found)[:3] == ["to", "kind", "place.city"]
    assert {name: one.kind for name, one in found.items()} == {
        "to": "text",
        "kind": "choice",
        "place.city": "text",
        "place.zip": "text",
        "note": "text",
        "count": "integer",
        "urgent": "boolean",
        "tags": "json",
    }
    assert found["kind"].choices == ("daily", "weekly")
    assert found["kind"].start == "daily"
    assert "1 to 9" in found["count"].hint
    assert found["note"].secret


def test_values_become_the_payload() -> None:
    fields = form.fields_of(TASK)
    values = {
        "to": "ann",
        "kind": "weekly",
        "place.city": "Rome",
        "count": "3",
        "urgent": "yes",
        "tags": '["a", "b"]',
        "note": "  ",
    }
    payload = {
        "to": "ann",
        "kind": "weekly",
        "place": {"city": "Rome"},
        "count": 3,
        "urgent": True,
        "tags": ["a", "b"],
    }
    assert form.payload_of(fields, values) == payload
    assert form.payload_of(fields, form.values_of(fields, payload)) == payload
    # What is not of its kind is left for the schema to refuse.
    assert form.payload_of(fields, {"count": "many", "tags": "a, b"})["count"] == "many"


def test_options() -> None:
    made = form.add_options({"priority": "1", "delay": "90s", "attempts": "", "timeout": "2m"})
    assert made == (1, None, None, 120_000, 90_000)
    for name, text in (("priority", "9"), ("delay", "soon"), ("attempts", "x"), ("timeout", "0s")):
        with pytest.raises(InvalidOption):
            form.add_options({name: text})


@pytest.mark.anyio
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_a_job_is_added_with_its_form(described: Stage, size: tuple[int, int]) -> None:
    app = described.app()
    async with app.run_test(size=size, notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n")
        await shows(pilot, "New job of mail", "*to", "*kind", "*place.city", "required")
        await pilot.press(*"an", "down", "pagedown", "down", *"Rome", "ctrl+s")
        await shows(pilot, "to: must be at least 3 characters")
        await pilot.press("n")
        for _ in range(9):
            await pilot.press("down")
        await shows(pilot, "such as 90s")
        await pilot.press(*"5m", "ctrl+s")
        await shows(pilot, "Add this job to mail (no organization, priority 2, in 5m)?", "Rome")
        await pilot.press("y")
        await until(pilot, lambda: described.counts()["delayed"] == 1, "the job")
    (made,) = described.reader.page("mail", State.DELAYED).jobs
    assert made.data == {"to": "ann", "kind": "weekly", "place": {"city": "Rome"}}
    assert (made.attempts, made.priority) == (7, 2)


@pytest.mark.anyio
async def test_the_form_and_its_save_in_one_read(described: Stage) -> None:
    """Ctrl+S stands in line behind the typing, in the form and in the editor."""
    app = described.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        burst(app, "nann@example.com\r\rRome\x13y")
        await until(pilot, lambda: described.counts()["waiting"] == 1, "the job")
        await settle(pilot)
        burst(app, "nbob@example.com\r\rBern\x05\x13y")
        await until(pilot, lambda: described.counts()["waiting"] == 2, "the second job")
    cities = {
        job.data["place"]["city"] for job in described.reader.page("mail", State.WAITING).jobs
    }
    assert cities == {"Rome", "Bern"}


@pytest.mark.anyio
async def test_the_editor_is_one_key_away_and_esc_returns_to_the_form(described: Stage) -> None:
    app = described.app(ascii_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n", *"ann", "ctrl+e")
        await until(pilot, lambda: bool(app.screen.query(TextArea)), "the editor")
        await shows(pilot, '"to": "ann"')
        await pilot.press("escape")
        await shows(pilot, "*to", "ann")
        assert text_of(app).isascii()
        await pilot.press("escape", "escape")
        await settle(pilot)
        assert len(app.screen_stack) == 1


@pytest.mark.anyio
async def test_a_queue_of_several_tasks_asks_which_one(stage: Stage) -> None:
    tasks = [TASK, TaskInfo("m.tick", None), TaskInfo("m.other", {"properties": {"a": {}}})]
    forget_tasks(stage)
    schedules = [ScheduleInfo("tick", "* * * * *", "m.tick")]
    registry.save(stage.redis, "t", QueueInfo("mail", tasks, "m.report", schedules=schedules))
    app = stage.app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        await pilot.press("n")
        await shows(pilot, "One of: report, other")
        assert "tick" not in text_of(app)
        await pilot.press(*["backspace"] * 6, *"other", "enter")
        await shows(pilot, "New job of mail: m.other")


@pytest.mark.anyio
async def test_a_confined_session_adds_for_its_organization(described: Stage) -> None:
    app = described.app(organization_id="org-1")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await shows(pilot, "mail")
        burst(app, "nann\r\rRome\x13")
        await shows(pilot, "Add this job to mail (org-1, priority 2)?")
        await pilot.press("y")
        await until(pilot, lambda: described.counts()["waiting"] == 1, "the job")
    (made,) = described.reader.page("mail", State.WAITING).jobs
    assert made.organization_id == "org-1"
