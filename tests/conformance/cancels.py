"""Cancel through every door; the cases of the other acts are in ``cases``."""

from __future__ import annotations

from tests.conformance.cases import FOREIGN, HOOKS, MINE, Case, one
from tests.conformance.steps import ADMIN, MEMBER, One
from tests.conformance.world import Job

#: The command line has no members.
MEMBERS = ("python", "http", "tui")

CANCELS = {
    "cancel": one("cancel", "waiting", left={HOOKS: "failed=1"}),
    "cancel, delayed, with a reason": Case(
        One("cancel", HOOKS, "a", "wrong month"),
        (Job("a", "delayed"),),
        left={HOOKS: "failed=1"},
    ),
    "cancel, active": one("cancel", "active", left={HOOKS: "active=1"}),
    "cancel, completed": one("cancel", "completed", "wrong_state", left={HOOKS: "completed=1"}),
    "cancel, failed": one("cancel", "failed", "wrong_state", left={HOOKS: "failed=1"}),
    "cancel, gone": Case(One("cancel", HOOKS, "nope"), code="not_found"),
    "cancel, two lines": Case(
        One("cancel", HOOKS, "a", "two\nlines"),
        (Job("a"),),
        code="invalid_option",
        left={HOOKS: "waiting=1"},
    ),
    "cancel, another tenant's": one(
        "cancel", "waiting", "not_found", who=ADMIN, owner=FOREIGN, left={HOOKS: "waiting=1"}
    ),
    "cancel, a member's own": one(
        "cancel",
        "waiting",
        who=MEMBER,
        owner=MINE,
        doors=MEMBERS,
        left={HOOKS: "failed=1"},
    ),
    "cancel, another member's": one(
        "cancel",
        "waiting",
        "forbidden",
        who=MEMBER,
        owner={"org": "org-1", "user": "bob"},
        doors=MEMBERS,
        left={HOOKS: "waiting=1"},
    ),
}
