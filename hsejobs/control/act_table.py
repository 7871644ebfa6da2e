"""The table of acts: everything that a person can change, through whichever door.

What an act may touch, who may do it, whether it is confirmed, and how the audit log and the doors name
it. Every door checks its acts here; ``tests/conformance`` walks act, door, role and state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hsejobs.errors import InvalidOption
from hsejobs.model import State

WAITING, ACTIVE, DELAYED = State.WAITING, State.ACTIVE, State.DELAYED
COMPLETED, FAILED = State.COMPLETED, State.FAILED


class Confirm(Enum):
    """When a door asks before the act."""

    NEVER = "never"
    #: For more than one job; a command: for the jobs that match a filter, however many they are.
    MANY = "many"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Act:
    """One kind of act.

    ``role``: the least privileged role. ``past``: what was done, as "retried". ``touches``: what it
    changes: jobs, a queue, a tenant, a task, consumers, a circuit, a schedule, a file or an
    organization. ``states``: of the jobs that it may change. ``whole``: it affects the jobs of all
    organizations. ``confirm``: when a door that shows things asks; ``command``: when a command does, as it
    cannot be undone. ``untyped``: up to how many jobs yes or no is enough where a door that shows things
    asks; for more, their number must be typed.
    """

    role: str
    past: str
    touches: str = "jobs"
    states: tuple[State, ...] = ()
    whole: bool = False
    confirm: Confirm = Confirm.ALWAYS
    command: Confirm = Confirm.NEVER
    untyped: int = 1

    def asks(self, count: int) -> bool:
        """Whether a door that shows things asks first, for that many jobs."""
        many = self.confirm is Confirm.MANY and count > 1
        return many or self.confirm is Confirm.ALWAYS

    def command_asks(self, *, matching: bool) -> bool:
        """Whether a command asks first; ``matching``: for the jobs that match a filter."""
        many = self.command is Confirm.MANY and matching
        return many or self.command is Confirm.ALWAYS


#: A retry destroys nothing, and an undo takes back what has not begun. Of more jobs than this, too many have.
RETRIED = 10_000
IDLE = (WAITING, DELAYED, COMPLETED, FAILED)
#: Every act, by its name in the audit log. A member cancels only the jobs that it added. `enqueue`: the
#: queue says which role it needs.
ACTS: dict[str, Act] = {
    "retry": Act("admin", "retried", states=(FAILED,), confirm=Confirm.MANY, untyped=RETRIED),
    "promote": Act("admin", "promoted", states=(DELAYED,), confirm=Confirm.MANY),
    "cancel": Act("member", "cancelled", states=(WAITING, ACTIVE, DELAYED), command=Confirm.MANY),
    "remove": Act("admin", "removed", states=IDLE, command=Confirm.ALWAYS),
    "undo": Act("admin", "brought back", confirm=Confirm.NEVER),
    "clean": Act("admin", "removed", states=IDLE, command=Confirm.ALWAYS),
    "enqueue": Act("member", "added"),
    "supersede": Act("admin", "superseded", states=(FAILED,)),
    "remove file": Act("admin", "removed the file of", "file", IDLE, command=Confirm.ALWAYS),
    "repair": Act("operator", "repaired", states=IDLE, whole=True, confirm=Confirm.NEVER),
    "drain": Act(
        "operator", "removed", states=(WAITING, DELAYED), whole=True, command=Confirm.ALWAYS
    ),
    "obliterate": Act(
        "operator", "removed", states=tuple(State), whole=True, command=Confirm.ALWAYS
    ),
    "pause": Act("operator", "paused", "queue", whole=True),
    "resume": Act("operator", "resumed", "queue", whole=True, confirm=Confirm.NEVER),
    "tenants set": Act("operator", "set a tenant", "tenant", whole=True, confirm=Confirm.NEVER),
    "tasks set": Act("operator", "set a task", "task", whole=True, confirm=Confirm.NEVER),
    "tenants erase": Act("operator", "erased", "organization", IDLE, command=Confirm.ALWAYS),
    "run": Act("operator", "ran", "schedule", whole=True),
    "workers quiet": Act("operator", "quieted", "consumer", whole=True),
    "workers wake": Act("operator", "woke", "consumer", whole=True, confirm=Confirm.NEVER),
    "workers restart": Act("operator", "restarted", "consumer", whole=True),
    "circuit open": Act("operator", "opened a circuit", "circuit", whole=True),
    "circuit close": Act("operator", "closed a circuit", "circuit", whole=True),
}


def check_act(name: str) -> str:
    """The name, if there is an act of that name. Raises InvalidOption."""
    if name not in ACTS:
        raise InvalidOption("act", f"must be one of {', '.join(sorted(ACTS))}")
    return name
