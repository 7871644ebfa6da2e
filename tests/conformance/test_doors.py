"""One table of cases through every door: the same record, the same error, the same view, one entry
in the audit log.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import cases
from tests.conformance.cancels import CANCELS
from tests.conformance.cases import Case
from tests.conformance.doors import Cli, Door, Python, Tui
from tests.conformance.http_door import Http
from tests.conformance.steps import Add, Answer, Listing, Run, Schedules, Show
from tests.conformance.world import World, environment, opened
from tests.support.server import Server

CASES = {**cases.CASES, **CANCELS}
#: Fields of the public form that differ in every run.
TIMES = ("createdAt", "processedAt", "finishedAt", "runAt", "until")
#: Stands for a payload as it was written.
WRITTEN = "as it was written"
NOTED = ("act", "queue", "count", "ids", "where", "reason", "organizationId")


@dataclass(frozen=True)
class Outcome:
    """Everything that a door changed."""

    code: str
    view: Any
    records: dict[str, dict[str, str]]
    counts: dict[str, dict[str, int]]
    audit: list[dict[str, Any]]


@dataclass(frozen=True)
class House:
    world: World
    doors: dict[str, Door]
    server: Server


@pytest.fixture(scope="module")
def house(_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("home")
    with opened(_server, home) as world:
        found: list[Door] = [Python(home), Cli(), Http(), Tui(home)]
        yield House(world, {one.name: one for one in found}, _server)
        for one in found:
            one.close()


@pytest.fixture
def doors(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    for name, value in environment(house.server, house.world.home).items():
        monkeypatch.setenv(name, value)
    return house


@pytest.mark.parametrize("name", CASES)
def test_every_door_does_the_same(name: str, doors: House) -> None:
    case = CASES[name]
    found = {door: _outcome(case, doors.world, doors.doors[door]) for door in case.doors}
    for door, outcome in found.items():
        assert outcome.code == case.differs.get(door, case.code), (door, outcome.view)
        told = json.dumps(outcome.view, ensure_ascii=False)
        assert [one for one in case.never if one in told] == [], (door, told)
        _shows(case, door, outcome.view)
        if case.left is not None:
            assert _left(outcome.counts) == case.left, door
    first, *others = found
    for door in others:
        one, other = _comparable(case, first, door, found)
        assert list(_differences(asdict(one), asdict(other))) == [], (first, door)


def _outcome(case: Case, world: World, door: Door) -> Outcome:
    world.clear()
    for job in case.given:
        world.plant(job)
    before = world.records()
    answer: Answer = door.ask(case.step, case.who)
    records = world.records()
    for key in records.keys() - before.keys():
        # The engine's own ids are new each time; so is a schedule's run.
        if not (isinstance(case.step, Add) and case.step.id):
            records[f"{key.partition('/')[0]}/new"] = records.pop(key)
    if isinstance(case.step, Add) and door.name == "http" and case.step.user is None:
        # Over HTTP it is the token's user who adds, where no other is named.
        for key in records.keys() - before.keys():
            if records[key].get("u") == case.who.user:
                del records[key]["u"]
    if isinstance(case.step, Add) and door.name == "tui":
        # The TUI has no task's model, which would put the fields in order and fill them in, and no
        # task's code, which gives the job its key: the worker does.
        for key in records.keys() - before.keys():
            assert json.loads(records[key]["payload"]) == case.step.payload
            records[key]["payload"] = WRITTEN
            records[key].pop("ky", None)
    return Outcome(
        answer.code, _timeless(answer.view), records, world.counts(), _noted(case, door, world)
    )


def _noted(case: Case, door: Door, world: World) -> list[dict[str, Any]]:
    entries = world.audit()
    names = {"tui": "tui" if case.who.role == "operator" else "dashboard"}
    assert {one["door"] for one in entries} <= {names.get(door.name, door.name)}
    if isinstance(case.step, Add):
        # A job's own record says who added it. What a person writes by hand is an act besides.
        acts = [one["act"] for one in entries]
        by_hand = door.name in ("tui", "cli") and not case.code
        assert acts == (["enqueue"] if by_hand else []), door.name
        return []
    kept = [{name: one.get(name) for name in NOTED} for one in entries]
    for one in kept:
        if isinstance(case.step, Run):
            one["ids"] = len(one["ids"] or ())
    return kept


def _timeless(view: Any) -> Any:
    if isinstance(view, list):
        return [_timeless(one) for one in view]
    if isinstance(view, dict):
        kept = {name: bool(one) if name in TIMES else _timeless(one) for name, one in view.items()}
        # A cursor holds a moment.
        return kept | ({"next": bool(view["next"])} if "jobs" in view and "next" in view else {})
    return view


def _shows(case: Case, door: str, view: Any) -> None:
    for name, value in case.shows.items():
        if name == "next":
            value = bool(value)
        if isinstance(view, dict) and name in view:
            assert view[name] == value, (door, name)
        else:
            assert door == "cli" or isinstance(case.step, Listing) or view is None, (door, name)


def _left(counts: dict[str, dict[str, int]]) -> dict[str, str]:
    return {
        queue: " ".join(f"{state}={count}" for state, count in states.items() if count)
        for queue, states in counts.items()
    }


def _comparable(
    case: Case, first: str, door: str, found: dict[str, Outcome]
) -> tuple[Outcome, Outcome]:
    """Both views, without the fields that one of the two doors does not show."""
    one, other = found[first], found[door]
    if isinstance(case.step, Add) and door == "tui":
        kept = {
            key: {name: value for name, value in record.items() if name != "ky"}
            | {"payload": WRITTEN}
            for key, record in one.records.items()
        }
        one = replace(one, records=kept)
    views = [one.view, other.view]
    if isinstance(case.step, Show) and not case.code:
        # The command line's JSON is the job alone; its text has the lines.
        alone = {"text", "logs"} if "cli" in (first, door) else set()
        views = [{name: view[name] for name in view if name not in alone} for view in views]
    elif isinstance(case.step, Listing) and door == "tui" and not case.code:
        views = [
            {"total": view["total"], "ids": [job["id"] for job in view["jobs"]]} for view in views
        ]
    elif not isinstance(case.step, Schedules):
        shared = [set(view) for view in views if isinstance(view, dict)]
        names = set.intersection(*shared) if len(shared) == 2 else set()
        views = [{name: view[name] for name in names} if view else None for view in views]
        if not names:
            views = [None, None]
    return replace(one, view=views[0]), replace(other, view=views[1])


def _differences(one: Any, other: Any, where: str = "") -> Iterator[str]:
    """The differences between two outcomes."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in one.keys() | other.keys():
            yield from _differences(one.get(name), other.get(name), f"{where}.{name}")
    elif one != other:
        yield f"{where[1:]}: {one!r} != {other!r}"


def test_the_table_says_why_a_door_is_left_out() -> None:
    for name, case in CASES.items():
        assert case.doors, name
        assert set(case.differs) <= set(case.doors), name


def test_one_definition_each() -> None:
    """Cron, durations, the making of jobs, their public form and masking have one place each."""
    root = Path(__file__).parents[2]
    sources = {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in ("hsejobs", "hsejobs_cli", "hsejobs_http", "hsejobs_tui")
        for path in (root / folder).rglob("*.py")
    }
    forms = [name for name, text in sources.items() if '"attemptsMade":' in text]
    assert [name for name in forms if "openapi" not in name] == ["hsejobs/control/views.py"]
    maskers = [name for name, text in sources.items() if "record.result = scrub_data(" in text]
    assert maskers == ["hsejobs/control/views.py"]
    writers = [name for name, text in sources.items() if "fcntl.flock" in text and "audit" in name]
    assert writers == ["hsejobs/control/audit.py"]
    made = {
        name: len(re.findall(r"\bNewJob(?:\._make)?\((?!\"\")", text))
        for name, text in sources.items()
    }
    made["hsejobs/store/new_job.py"] -= 1  # its class
    assert [name for name, count in made.items() if count] == ["hsejobs/control/making.py"]
    crons = [name for name, text in sources.items() if "def next_run(" in text]
    assert crons == ["hsejobs/control/cron.py"]
    units = [name for name, text in sources.items() if re.search(r'"(?:min|h)": [36]', text)]
    assert units == ["hsejobs/rates.py"]
