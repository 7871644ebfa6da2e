"""Act x door x role x state: who may do what, to what, and that each act is one entry in the audit log."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from hsejobs import codec
from hsejobs.control.act_table import ACTS
from hsejobs.control.bulk import STATES as MATCHING
from hsejobs.model import ROLES, State
from hsejobs.store import keys
from hsejobs.store.work import WorkerStore
from hsejobs_tui.core.commands import COMMANDS
from tests.conformance.doors import Cli, Dashboard, Door
from tests.conformance.steps import (
    Act,
    Add,
    Circuit,
    Clean,
    EraseTenant,
    One,
    RemoveFile,
    Repair,
    Run,
    SetTask,
    SetTenant,
    Supersede,
    Undo,
    Who,
    Whole,
    Workers,
)
from tests.conformance.test_doors import House, doors, house
from tests.conformance.world import PREFIX, Job

__all__ = ["doors", "house"]

QUEUE, CIRCUIT, FILE = "webhooks", "webhook:org-1:a.example:443", "f" * 32
HOOK = {"url": "https://a.example/x", "eventType": "e", "payload": {}, "secret": "s"}
STATES = tuple(state.value for state in State)
#: The interfaces that there are, and those without routes or commands for an act.
ALL = ("python", "cli", "http", "tui", "dashboard")
NO_HTTP = tuple(door for door in ALL if door != "http")
SCREENS = ("tui", "dashboard")


def _plant(house: House, state: str) -> None:
    file = FILE if state in ("completed", "failed", "active") else ""
    house.world.plant(Job("a", state, org="org-1", user="ann", file=file))


def _break(house: House, state: str) -> None:
    _plant(house, state)
    base = keys.base(PREFIX, QUEUE)
    house.world.client.zrem(keys.index(base, State(state)), "a")


def _pause(house: House, state: str) -> None:
    if state == "paused":
        house.world.writer.pause(QUEUE)


def _hold(house: House, state: str) -> None:
    if state == "paused":
        house.doors["python"].ask(SetTask(QUEUE, "deliver_webhook", True), Who())
        house.world.forget_audit()


def _circuit(house: House, state: str) -> None:
    for act in {"open": ("open",), "closed": ("open", "close")}.get(state, ()):
        house.doors["python"].ask(Circuit(act, CIRCUIT), Who())
    house.world.forget_audit()


def _consumer(house: House, state: str) -> None:
    record = {
        "id": "w-1",
        "queue": QUEUE,
        "host": "h",
        "pid": 1,
        "workers": "threads",
        "concurrency": 1,
        "slots": [],
        "state": state,
    }
    work = WorkerStore(house.world.redis, PREFIX, QUEUE, patience=2)
    work.heartbeat("w-1", codec.dumps(record), 60_000)


def _workers(act: str) -> Cells:
    step = Workers(act, QUEUE, "w-1")
    return Cells(step, ALL, ("running", "quiet"), _consumer)


@dataclass(frozen=True)
class Cells:
    """An act, at each of its doors, for each role, in each state.

    ``states``: the states of what it is about; ``prepare`` makes them. ``codes``: the refusals by
    state of a caller with the role. ``counts``: of the entry, by state; 1 if not given.
    """

    step: Act | Add
    doors: tuple[str, ...] = ALL
    states: tuple[str, ...] = STATES
    prepare: Callable[[House, str], None] = _plant
    codes: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    queue: str | None = QUEUE


def _others(act: str, code: str, **more: str) -> dict[str, str]:
    """The code in each state that the act may not touch."""
    return {one: more.get(one, code) for one in STATES if State(one) not in ACTS[act].states}


def _of(act: str, **more: Any) -> Cells:
    return Cells(One(act, QUEUE, "a"), codes=_others(act, "wrong_state", active="active"), **more)


NOT_IDLE = dict.fromkeys(("active", "completed", "failed"), 0)
ORG_BUSY = {"active": "queue_busy"}
#: Every cell of the table of acts. An act without cells fails below.
CELLS: dict[str, Cells] = {
    "retry": _of("retry"),
    "promote": _of("promote"),
    "cancel": _of("cancel"),
    "remove": _of("remove"),
    "undo": Cells(Undo(QUEUE, "a"), SCREENS, codes={"active": "active"}, counts={"active": 0}),
    "enqueue": Cells(
        Add(QUEUE, HOOK),
        ("cli", *SCREENS),
        ("none",),
        lambda house, state: None,
    ),
    "supersede": Cells(
        Supersede(QUEUE, "a", HOOK),
        SCREENS,
        codes=_others("supersede", "wrong_state", active="active"),
    ),
    "remove file": Cells(
        RemoveFile(QUEUE, "a", FILE),
        ("cli", "http"),
        ("active", "completed", "failed"),
        codes={"active": "active"},
    ),
    "repair": Cells(Repair(QUEUE), ("cli",), prepare=_break),
    "drain": Cells(Whole("drain", QUEUE), NO_HTTP, counts=NOT_IDLE),
    "obliterate": Cells(Whole("obliterate", QUEUE, force=True), NO_HTTP),
    "pause": Cells(Whole("pause", QUEUE), ALL, ("running", "paused"), _pause, {}, {"paused": 0}),
    "resume": Cells(Whole("resume", QUEUE), ALL, ("running", "paused"), _pause, {}, {"running": 0}),
    "tenants set": Cells(
        SetTenant(QUEUE, "org-1", 3),
        ALL,
        ("none",),
        lambda house, state: None,
    ),
    "tasks set": Cells(
        SetTask(QUEUE, "deliver_webhook", True),
        ALL,
        ("running", "paused"),
        _hold,
        counts={"paused": 0},
    ),
    "tenants erase": Cells(EraseTenant("org-1"), ("cli",), codes=ORG_BUSY, queue=None),
    "run": Cells(
        Run("hourly_cleanup"), NO_HTTP, ("none",), lambda house, state: None, queue="cleanup"
    ),
    **{f"workers {act}": _workers(act) for act in ("quiet", "wake", "restart")},
    "circuit open": Cells(
        Circuit("open", CIRCUIT),
        NO_HTTP,
        ("none", "open", "closed"),
        _circuit,
        counts={"open": 0},
        queue=None,
    ),
    "circuit close": Cells(
        Circuit("close", CIRCUIT),
        NO_HTTP,
        ("none", "open", "closed"),
        _circuit,
        {"none": "unknown_circuit"},
        {"closed": 0},
        queue=None,
    ),
}
#: A clean names the state, so that each is a step of its own.
CLEANS = {
    state: Cells(Clean(QUEUE, state), states=(state,), codes=_others("clean", "invalid_option"))
    for state in STATES
}
WALKS = [*CELLS.items(), *(("clean", one) for one in CLEANS.values())]
#: Refusals of a request that could never be an act: they leave no entry.
NO_ACT = ("forbidden", "invalid_option", "unknown_circuit")


def _roles(door: str) -> tuple[str, ...]:
    """The command line has no roles: it acts for the user who runs it."""
    return ("operator",) if door == "cli" else ROLES


def _of_door(house: House, name: str) -> Door:
    return Dashboard(house.world.home) if name == "dashboard" else house.doors[name]


def test_every_act_has_its_cells() -> None:
    assert CELLS.keys() | {"clean"} == ACTS.keys()
    for name, cells in CELLS.items():
        walked = set(STATES) if "jobs" in ACTS[name].touches and "none" not in cells.states else ()
        assert set(walked) <= set(cells.states), name


@pytest.mark.parametrize(
    ("name", "cells"),
    [pytest.param(name, one, id=f"{name} {number}") for number, (name, one) in enumerate(WALKS)],
)
def test_every_cell(name: str, cells: Cells, doors: House) -> None:
    for door in cells.doors:
        for role in _roles(door):
            for state in cells.states:
                _walk(name, cells, doors, door, role, state)


def _walk(name: str, cells: Cells, house: House, door: str, role: str, state: str) -> None:
    where = (name, door, role, state)
    house.world.clear()
    cells.prepare(house, state)
    before = house.world.records(), house.world.counts()
    who = Who(role, None if role == "operator" else "org-1")
    code = _of_door(house, door).ask(cells.step, who).code
    entries = [one for one in house.world.audit() if one["act"] == name]
    if ROLES.index(role) < ROLES.index(ACTS[name].role):
        assert (code, entries) == ("forbidden", []), where
        assert (house.world.records(), house.world.counts()) == before, where
        return
    assert code == cells.codes.get(state, ""), where
    if code in NO_ACT or (name == "undo" and code):
        assert entries == [], where
        return
    [entry] = entries
    actor = "tui" if door == "tui" and role == "operator" else door.replace("tui", "dashboard")
    by_name = actor in ("tui", "cli")
    assert (entry["door"], entry["queue"]) == (actor, cells.queue), where
    assert entry["who"] == (getpass.getuser() if by_name else who.user), where
    count = 0 if code else cells.counts.get(state, 1)
    assert entry["count"] == count, where
    if code or not count:
        assert house.world.counts() == before[1], where


@pytest.mark.parametrize("name", sorted(ACTS.keys() - {"undo", "supersede"}))
def test_a_command_asks_before_what_cannot_be_undone(name: str, doors: House) -> None:
    cells = CELLS.get(name) or CLEANS["failed"]
    state = next(one for one in ("failed", "none", "running") if one in cells.states)
    doors.world.clear()
    cells.prepare(doors, state)
    cli = doors.doors["cli"]
    assert isinstance(cli, Cli)
    words = [word for word in cli.words(cells.step, Who()) if word != "--yes"]
    status, _, told = cli.run(*words)
    asked = "There is no terminal to ask on; add --yes" in told
    asks = ACTS[name].command_asks(matching=False)
    assert (asked, status == 2) == (asks, asks), told
    if asked:
        assert [one for one in doors.world.audit() if one["act"] == name] == []


@pytest.mark.parametrize("name", sorted(MATCHING))
def test_a_command_asks_before_an_act_on_what_matches(name: str, doors: House) -> None:
    doors.world.clear()
    CELLS[name].prepare(doors, str(ACTS[name].states[0]))
    cli = doors.doors["cli"]
    assert isinstance(cli, Cli)
    status, _, told = cli.run(name, QUEUE, "--where", "until=0s")
    asks = ACTS[name].command_asks(matching=True)
    assert ("There is no terminal to ask on; add --yes" in told, status == 2) == (asks, asks), told
    assert [one["count"] for one in doors.world.audit()] == ([] if asks else [1])


def test_the_tui_offers_what_the_acts_allow() -> None:
    by_id = {one.id: one for one in COMMANDS}
    named = {
        "tasks set": "hold",
        "tenants set": "tenant_edit",
        "run": "run_now",
        "circuit open": "circuit_open",
        "circuit close": "circuit_close",
        "workers quiet": "quiet",
        "workers restart": "restart",
    }
    screens = {name for name, cells in CELLS.items() if "tui" in cells.doors} | {"clean"}
    for name in screens - {"resume", "workers wake", "undo", "enqueue"}:
        command = by_id[named.get(name, name)]
        assert (command.writes, command.whole) == (True, ACTS[name].whole), name
        assert command.member == (ACTS[name].role == "member"), name


def _rows() -> Iterator[tuple[str, ...]]:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    table = page.split("### The audit log")[1].split("### ")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            yield tuple(cells)


def test_the_page_has_the_table_of_acts() -> None:
    asks = {"never": "never", "many": "for more than one job", "always": "always"}
    want = {
        (
            f"`{name}`",
            {"cancel": "member, own jobs only", "enqueue": "by queue"}.get(name, act.role),
            asks[act.confirm.value],
            {**asks, "many": "with `--where`"}[act.command.value],
        )
        for name, act in ACTS.items()
    }
    assert {(row[0], *row[2:]) for row in _rows()} == want
