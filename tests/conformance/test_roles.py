"""Which role may do which act, the same at every door that has roles."""

from __future__ import annotations

import pytest

from hsejobs.control.acts import ACTS
from hsejobs.model import ROLES
from hsejobs_tui.core.commands import COMMANDS
from tests.conformance.steps import Circuit, Clean, One, Run, Step, Who, Whole
from tests.conformance.test_doors import House, doors, house
from tests.conformance.world import Job

__all__ = ["doors", "house"]

CIRCUIT = "webhook:org-1:a.example:443"
#: The least role, what to do, to a job in which state, and whether HTTP has a route for it.
WALK: dict[str, tuple[str, Step, str, bool]] = {
    "retry": ("admin", One("retry", "webhooks", "a"), "failed", True),
    "promote": ("admin", One("promote", "webhooks", "a"), "delayed", True),
    "cancel": ("member", One("cancel", "webhooks", "a"), "waiting", True),
    "remove": ("admin", One("remove", "webhooks", "a"), "failed", True),
    "clean": ("admin", Clean("webhooks", "failed"), "failed", True),
    "drain": ("operator", Whole("drain", "webhooks"), "waiting", False),
    "obliterate": ("operator", Whole("obliterate", "webhooks"), "waiting", False),
    "pause": ("operator", Whole("pause", "webhooks"), "waiting", True),
    "resume": ("operator", Whole("resume", "webhooks"), "waiting", True),
    "run": ("operator", Run("hourly_cleanup"), "waiting", False),
    "circuit open": ("operator", Circuit("open", CIRCUIT), "waiting", False),
    "circuit close": ("operator", Circuit("close", CIRCUIT), "waiting", False),
}
#: The TUI's commands that are called otherwise.
COMMAND = {"run": "run_now", "circuit open": "circuit_open", "circuit close": "circuit_close"}


@pytest.mark.parametrize("name", WALK)
def test_the_roles_are_the_same_at_every_door(name: str, doors: House) -> None:
    least, step, state, routed = WALK[name]
    for role in ROLES:
        who = Who(role, None if role == "operator" else "org-1")
        for door in ("python", "tui", *(("http",) if routed else ())):
            doors.world.clear()
            doors.world.plant(Job("a", state, org="org-1", user="ann"))
            if name == "circuit close":
                doors.doors["python"].ask(Circuit("open", CIRCUIT), Who())
            before = doors.world.records(), doors.world.counts(), len(doors.world.audit())
            code = doors.doors[door].ask(step, who).code
            after = doors.world.records(), doors.world.counts(), len(doors.world.audit())
            if ROLES.index(role) < ROLES.index(least):
                assert (code, after) == ("forbidden", before), (role, door)
            else:
                assert (code, after[2] - before[2]) == ("", 1), (role, door)


def test_the_tui_offers_what_the_acts_allow() -> None:
    by_id = {one.id: one for one in COMMANDS}
    for name in WALK.keys() - {"resume"}:
        command = by_id[COMMAND.get(name, name)]
        assert (command.writes, command.whole) == (True, ACTS[name].whole), name
        assert command.member == (ACTS[name].role == "member"), name
