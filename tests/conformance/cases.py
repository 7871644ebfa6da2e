"""The table: the jobs given, who asks for what, and what every door must answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hsejobs.control.views import BROKEN
from tests.conformance.steps import (
    ADMIN,
    MEMBER,
    OPERATOR,
    Add,
    Circuit,
    Clean,
    Every,
    Listing,
    One,
    Run,
    Schedules,
    Show,
    Step,
    Who,
    Whole,
)
from tests.conformance.world import Job

ALL = ("python", "cli", "http", "tui")
#: The TUI's form has no options: a job has its task's.
FORMLESS = ("python", "cli", "http")
#: What HTTP has no route for.
NO_ROUTE = ("python", "cli", "tui")
#: The command line acts for the user who runs it: it has no roles.
ROLES = ("python", "http", "tui")


@dataclass(frozen=True)
class Case:
    """``code``: of the error, '' for none. ``shows``: parts of the view that are as written here.

    ``left``: afterwards the jobs in each state, by queue. ``never``: texts that no door shows.
    ``differs``: the code at doors where it is another one by contract.
    """

    step: Step
    given: tuple[Job, ...] = ()
    who: Who = OPERATOR
    doors: tuple[str, ...] = ALL
    code: str = ""
    shows: Mapping[str, Any] = field(default_factory=dict)
    left: Mapping[str, str] | None = None
    never: tuple[str, ...] = ()
    differs: Mapping[str, str] = field(default_factory=dict)


SECRET = "whsec-4711"
MAIL = {"to": "user@example.com", "subject": "Hi", "text": "there"}
HOOK = {"url": "https://a.example/x", "payload": {"n": 1}, "secret": SECRET, "eventType": "e"}
REPORT = {"type": "audits", "format": "json"}
OWNED = {"organizationId": "org-9", "userId": "eve"}
FULL = {"priority": 1, "delay": 90.5, "attempts": 4, "backoff": 2.25, "timeout": 12.0}


def bad(code: str = "invalid_option", **options: Any) -> Case:
    """An add with an option that cannot be used."""
    return Case(Add("email", MAIL, options=options), doors=FORMLESS, code=code, left={})


ADDS = {
    "add": Case(Add("email", MAIL), left={"email": "waiting=1"}),
    "add, all options": Case(
        Add("email", MAIL, options=FULL), doors=FORMLESS, left={"email": "delayed=1"}
    ),
    "add, for somebody": Case(Add("email", MAIL, org="org-9", user="eve"), doors=FORMLESS),
    "add, owner in the payload": Case(Add("reports", REPORT | OWNED)),
    "add, a secret": Case(Add("webhooks", HOOK), never=(SECRET,)),
    "add, an id": Case(Add("email", MAIL, id="m-1"), doors=FORMLESS, left={"email": "waiting=1"}),
    "add, an id that is there": Case(
        Add("webhooks", HOOK, id="a"),
        (Job("a", "failed"),),
        doors=FORMLESS,
        left={"webhooks": "failed=1"},
    ),
    "add, a task by its short name": Case(Add("email", MAIL, task="send_email")),
    "add, field missing": Case(
        Add("email", {"to": "a@b.example"}), code="invalid_payload", left={}
    ),
    "add, field unknown": Case(Add("email", MAIL | {"no": 1}), code="invalid_payload", left={}),
    "add, field of another type": Case(
        Add("webhooks", HOOK | {"eventType": 5}), code="invalid_payload", left={}
    ),
    "add, no object": Case(Add("email", [1]), code="invalid_payload", left={}),
    "add, too large": Case(
        Add("email", MAIL | {"text": "x" * 103_000}), code="payload_too_large", left={}
    ),
    "add, queue unknown": Case(Add("nope", {}), code="unknown_queue", left={}),
    "add, task unknown": Case(Add("email", MAIL, task="nope"), code="unknown_task", left={}),
    "add, priority 0": bad(priority=0),
    "add, priority 6": bad(priority=6),
    "add, delay negative": bad(delay=-1),
    "add, delay above a year": bad(delay=400 * 86_400),
    "add, attempts 0": bad(attempts=0),
    "add, attempts too many": bad(attempts=100_000),
    "add, backoff negative": bad(backoff=-1),
    "add, timeout 0": bad(timeout=0),
    "add, id with a path": Case(
        Add("email", MAIL, id="../x"), doors=FORMLESS, code="invalid_job_id", left={}
    ),
    "add, id reserved": Case(
        Add("email", MAIL, id="periodic:x"), doors=FORMLESS, code="invalid_job_id", left={}
    ),
    "add, organization of unseen characters": Case(
        Add("email", MAIL, org="a\x07b"), doors=FORMLESS, code="invalid_option", left={}
    ),
}

NESTED = {"list": [{"password": SECRET}, {"deep": {"apiKey": SECRET, "n": 1}}], "n": 2}
ERROR = {"error": f"refused {SECRET}", "code": "error", "traceback": f"at {SECRET}", "attempt": 1}
MINE: dict[str, Any] = {"org": "org-1", "user": "ann"}
THEIRS: dict[str, Any] = {"org": "org-1", "user": "bob"}
FOREIGN: dict[str, Any] = {"org": "org-2", "user": "ann"}
NOTHING: dict[str, Any] = {
    "data": None,
    "result": None,
    "errors": None,
    "failedReason": None,
    "progressMessage": None,
}


def show(job: Job, who: Who = OPERATOR, **more: Any) -> Case:
    """One job, whole; in no window its secret."""
    return Case(Show(job.queue, job.id), (job,), who, never=(SECRET,), **more)


VIEWS = {
    "show, waiting": show(
        Job("a"),
        shows={"status": "waiting", "data": {"url": "https://a.example/", "secret": "***"}},
    ),
    "show, delayed": show(Job("a", "delayed"), shows={"status": "delayed"}),
    "show, active": show(
        Job("a", "active", progress="on its way"),
        shows={"status": "active", "progress": 40, "progressMessage": "on its way"},
    ),
    "show, completed": show(
        Job("a", "completed", result={"status": 200}),
        shows={"status": "completed", "progress": 100, "result": {"status": 200}},
    ),
    "show, failed": show(Job("a", "failed"), shows={"failedReason": "it broke"}),
    "show, a password in the result": show(
        Job("a", "completed", result={"password": SECRET, "n": 1}),
        shows={"result": {"password": "***", "n": 1}},
    ),
    "show, the payload's secret field in the result": show(
        Job("a", "completed", data={"n": 1}, result={"secret": SECRET}),
        shows={"result": {"secret": "***"}},
    ),
    "show, a secret's value in the result": show(
        Job("a", "completed", result={"said": f"got {SECRET}."}),
        shows={"result": {"said": "got ***."}},
    ),
    "show, a result that is a text": show(
        Job("a", "completed", result=f"is {SECRET}"), shows={"result": "is ***"}
    ),
    "show, secrets deep inside": show(
        Job("a", data=NESTED),
        shows={
            "data": {"list": [{"password": "***"}, {"deep": {"apiKey": "***", "n": 1}}], "n": 2}
        },
    ),
    "show, a secret in an error": show(
        Job("a", "failed", error=ERROR), shows={"failedReason": "refused ***"}
    ),
    "show, a secret in progress": show(
        Job("a", "active", progress=f"with {SECRET}"), shows={"progressMessage": "with ***"}
    ),
    "show, a secret in the log": show(Job("a", "failed", log=(f"used {SECRET}", "ended"))),
    "show, a payload that is cut": show(
        Job("a", "failed", data=b'{"secret": "whsec-4711"'), shows={"data": BROKEN}
    ),
    "show, sealed": show(
        Job("a", data={"url": {"$sealed": SECRET}, "n": 1}), shows={"data": {"url": "***", "n": 1}}
    ),
    "show, a task that is not listed": show(
        Job("a", data={"secret": SECRET}, task="tasks.webhooks.gone"),
        shows={"data": {"secret": "***"}},
    ),
    "show, id unknown": Case(Show("email", "nope"), code="not_found"),
    "show, queue unknown": Case(Show("nope", "a"), code="unknown_queue"),
    "show, an organization's own": show(
        Job("a", **MINE), ADMIN, shows={"organizationId": "org-1", "userId": "ann"}
    ),
    "show, another tenant's": show(Job("a", **FOREIGN), ADMIN, code="not_found"),
    "show, no organization's to a tenant": show(Job("a"), ADMIN, code="not_found"),
    "show, a member's own": show(
        Job("a", "failed", **MINE, log=("a line",)),
        MEMBER,
        doors=ROLES,
        shows={"failedReason": "it broke", "logs": ["a line"]},
    ),
    "show, a colleague's": show(
        Job("a", "failed", **THEIRS, log=("a line",)),
        MEMBER,
        doors=ROLES,
        shows={**NOTHING, "logs": None, "status": "failed", "userId": "bob"},
    ),
    "show, a colleague's to an admin": show(
        Job("a", "failed", **THEIRS), ADMIN, shows={"failedReason": "it broke"}
    ),
    "list, waiting in order": Case(
        Listing("webhooks"), (Job("b"), Job("a"), Job("c")), shows={"total": 3}, never=(SECRET,)
    ),
    "list, a page": Case(Listing("webhooks", limit=2), (Job("a"), Job("b"), Job("c"))),
    "list, the next page": Case(
        Listing("webhooks", limit=2, pages=2),
        (Job("a"), Job("b"), Job("c")),
        doors=FORMLESS,
        shows={"total": 3, "next": None},
    ),
    "list, failed with secrets": Case(
        Listing("webhooks", "failed"),
        (Job("a", "failed", error=ERROR),),
        never=(SECRET,),
        shows={"total": 1},
    ),
    "list, results with secrets": Case(
        Listing("webhooks", "completed"), (Job("a", "completed", result=NESTED),), never=(SECRET,)
    ),
    "list, paused where nothing is": Case(
        Listing("webhooks", "paused"), (Job("a"),), doors=FORMLESS, shows={"total": 0, "jobs": []}
    ),
    "list, status unknown": Case(Listing("email", "lost"), code="invalid_option"),
    "list, limit 0": Case(Listing("email", limit=0), doors=FORMLESS, code="invalid_option"),
    "list, limit 201": Case(Listing("email", limit=201), doors=FORMLESS, code="invalid_option"),
    "list, cursor of nowhere": Case(
        Listing("email", cursor="nope"), doors=FORMLESS, code="invalid_option"
    ),
    "list, queue unknown": Case(Listing("nope"), code="unknown_queue"),
    "list, a tenant's own": Case(
        Listing("webhooks"),
        (Job("a", **MINE), Job("b", **FOREIGN), Job("c")),
        ADMIN,
        shows={"total": 1},
    ),
    "list, a colleague's": Case(
        Listing("webhooks"),
        (Job("a", **THEIRS),),
        MEMBER,
        doors=("python", "http"),
        never=("a.example",),
    ),
    "schedules": Case(Schedules(), doors=FORMLESS),
}

HOOKS = "webhooks"
WORKING = (Job("w", "active"), Job("f", "failed"), Job("d", "delayed"), Job("a"))


def one(act: str, state: str, code: str = "", **more: Any) -> Case:
    """An act on a job in a state."""
    return Case(
        One(act, HOOKS, "a"), (Job("a", state, **more.pop("owner", {})),), code=code, **more
    )


ACTS = {
    "retry": one("retry", "failed", left={HOOKS: "waiting=1"}),
    "retry, waiting": one("retry", "waiting", "wrong_state", left={HOOKS: "waiting=1"}),
    "retry, active": one("retry", "active", "active"),
    "retry, gone": Case(One("retry", HOOKS, "nope"), code="not_found"),
    "retry, queue unknown": Case(One("retry", "nope", "a"), code="unknown_queue"),
    "retry, own": one("retry", "failed", who=ADMIN, owner=MINE, left={HOOKS: "waiting=1"}),
    "retry, another tenant's": one(
        "retry", "failed", "not_found", who=ADMIN, owner=FOREIGN, left={HOOKS: "failed=1"}
    ),
    "retry, a member": one(
        "retry",
        "failed",
        "forbidden",
        who=MEMBER,
        owner=MINE,
        doors=ROLES,
        left={HOOKS: "failed=1"},
    ),
    "retry, all": Case(
        Every("retry", HOOKS),
        (Job("a", "failed"), Job("b", "failed"), Job("c")),
        doors=NO_ROUTE,
        shows={"done": 2},
        left={HOOKS: "waiting=3"},
    ),
    "retry, all of a tenant": Case(
        Every("retry", HOOKS),
        (Job("a", "failed", **MINE), Job("b", "failed", **FOREIGN)),
        ADMIN,
        doors=NO_ROUTE,
        shows={"done": 1},
        left={HOOKS: "waiting=1 failed=1"},
    ),
    "promote": one("promote", "delayed", left={HOOKS: "waiting=1"}),
    "promote, completed": one("promote", "completed", "wrong_state"),
    "promote, all": Case(
        Every("promote", HOOKS),
        (Job("a", "delayed"), Job("b", "delayed")),
        doors=NO_ROUTE,
        shows={"done": 2},
        left={HOOKS: "waiting=2"},
    ),
    "remove, waiting": one("remove", "waiting", left={}),
    "remove, failed": one("remove", "failed", left={}),
    "remove, active": one("remove", "active", "active", left={HOOKS: "active=1"}),
    "remove, gone": Case(One("remove", HOOKS, "nope"), code="not_found"),
    "remove, another tenant's": one(
        "remove", "waiting", "not_found", who=ADMIN, owner=FOREIGN, left={HOOKS: "waiting=1"}
    ),
    "clean": Case(
        Clean(HOOKS, "failed"),
        (Job("a", "failed"), Job("b", "failed"), Job("c")),
        shows={"removed": 2},
        left={HOOKS: "waiting=1"},
    ),
    "clean, too young": Case(
        Clean(HOOKS, "failed", 3600),
        (Job("a", "failed"),),
        shows={"removed": 0},
        left={HOOKS: "failed=1"},
    ),
    "clean, own": Case(
        Clean(HOOKS, "delayed"),
        (Job("a", "delayed", **MINE), Job("b", "delayed", **FOREIGN)),
        ADMIN,
        shows={"removed": 1},
        left={HOOKS: "delayed=1"},
    ),
    "clean, active": Case(
        Clean(HOOKS, "active"),
        (Job("a", "active"),),
        code="invalid_option",
        left={HOOKS: "active=1"},
    ),
    "clean, status unknown": Case(Clean(HOOKS, "lost"), code="invalid_option"),
    "drain": Case(
        Whole("drain", HOOKS),
        WORKING,
        doors=NO_ROUTE,
        shows={"removed": 2},
        left={HOOKS: "active=1 failed=1"},
    ),
    "obliterate, busy": Case(
        Whole("obliterate", HOOKS),
        WORKING,
        doors=NO_ROUTE,
        code="queue_busy",
        left={HOOKS: "waiting=1 active=1 delayed=1 failed=1"},
    ),
    "obliterate, forced": Case(
        Whole("obliterate", HOOKS, force=True),
        WORKING,
        doors=NO_ROUTE,
        shows={"removed": 4},
        left={},
    ),
    "drain, of one organization": Case(
        Whole("drain", HOOKS),
        WORKING,
        Who("operator", "org-1"),
        doors=("python", "tui"),
        code="refused",
        left={HOOKS: "waiting=1 active=1 delayed=1 failed=1"},
    ),
    "pause": Case(Whole("pause", HOOKS), (Job("a"),), left={HOOKS: "waiting=1 is_paused=1"}),
    "resume, never paused": Case(Whole("resume", HOOKS), (Job("a"),), left={HOOKS: "waiting=1"}),
    "pause, queue unknown": Case(Whole("pause", "nope"), code="unknown_queue"),
    "pause, an admin": Case(
        Whole("pause", HOOKS),
        (Job("a"),),
        ADMIN,
        doors=ROLES,
        code="forbidden",
        left={HOOKS: "waiting=1"},
    ),
    "circuit open": Case(Circuit("open", "webhook:org-1:a.example:443"), doors=NO_ROUTE),
    "circuit open, no name": Case(
        Circuit("open", "nothing"), doors=NO_ROUTE, code="unknown_circuit"
    ),
    "circuit close, unknown": Case(
        Circuit("close", "webhook:org-1:a.example:443"), doors=NO_ROUTE, code="unknown_circuit"
    ),
    "run a schedule": Case(Run("hourly_cleanup"), doors=NO_ROUTE, left={"cleanup": "waiting=1"}),
}

CASES = {**ADDS, **VIEWS, **ACTS}
