"""The four doors. Each takes the same step and answers in the same form; where a door says things
differently by contract (HTTP in ms, tenants' ids with their organization), it is translated here.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import huey_config
from hsejobs.control import consumers, holding, schedules, sharing, views, why
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import FileLog
from hsejobs.control.search import listing
from hsejobs.engine.runtime import runtime
from hsejobs.errors import InvalidOption, JobsError
from hsejobs.model import State
from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo
from hsejobs_tui.core import compose
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.options import DashboardUser, Options
from hsejobs_tui.core.source import LiveSource
from tests.conformance.steps import (
    Add,
    Answer,
    Circuit,
    Clean,
    EraseTenant,
    Every,
    Listing,
    One,
    RemoveFile,
    Repair,
    Run,
    Schedules,
    SetTask,
    SetTenant,
    Show,
    Step,
    Supersede,
    Undo,
    Who,
    Whole,
    Workers,
)
from tests.conformance.world import PREFIX

TIMES = ("delay", "backoff", "timeout")


class Door:
    """A way in. ``takes``: whether it has the step at all, for any caller."""

    name: str

    def ask(self, step: Step, who: Who) -> Answer:
        """Takes the step; returns a JobsError as its code instead of raising it."""
        try:
            return Answer("", self.do(step, who))
        except JobsError as error:
            return Answer(error.code)

    def do(self, step: Step, who: Who) -> Any:
        """Takes the step; returns the view. Raises the door's own errors."""
        raise NotImplementedError

    def close(self) -> None:
        """Frees what the door holds; does nothing by default."""


def info_of(queue: str) -> QueueInfo:
    return registry.load(runtime().redis, PREFIX, queue)


def state_of(status: str) -> State:
    try:
        return State(status)
    except ValueError:
        raise InvalidOption("status", "unknown") from None


def last(steps: Iterator[Any]) -> Any:
    (*_, found) = steps
    return found


class Python(Door):
    """The Python API: ``JobHuey`` to add jobs, ``hsejobs.control`` for the rest."""

    name = "python"

    def __init__(self, home: Path) -> None:
        self.home = home

    def do(self, step: Step, who: Who) -> Any:
        here, actor = runtime(), Actor("python", who.role, who.org, who.user)
        acts = Acts(here.redis, PREFIX, actor, FileLog(self.home, "redis"))
        match step:
            case Add():
                huey = huey_config.QUEUES.get(step.queue)
                if huey is None:
                    info_of(step.queue)
                    raise AssertionError(step.queue)
                options = {**step.options, "task": step.task, "job_id": step.id}
                job = huey.submit(
                    step.payload, organization_id=step.org, user_id=step.user, **options
                )
                return {"created": job.created, "status": job.status}
            case Show():
                info = info_of(step.queue)
                record = why.read(here.reader, step.queue, step.id, actor)
                lines, _ = views.logs(here.reader, record, info, actor)
                return views.job(record, info, actor) | {"logs": lines}
            case Listing():
                info, cursor = info_of(step.queue), step.cursor
                for _ in range(step.pages):
                    page = listing(
                        here.reader,
                        info,
                        step.status,
                        actor,
                        limit=step.limit,
                        cursor=cursor,
                        organization_id=actor.organization_id,
                    )
                    cursor = page["next"]
                return page
            case Schedules():
                infos = registry.load_all(here.redis, PREFIX)
                return schedules.list_schedules(here.reader, infos)
            case _:
                return act(acts, step)


def act(acts: Acts, step: Step) -> Any:
    """An act, by the methods that every door has below it."""
    match step:
        case One():
            info_of(step.queue)
            acts.one(step.act, step.queue, step.id, reason=step.reason)
        case Every():
            return {"done": last(acts.every(step.act, step.queue)).done}
        case Clean():
            ms = int(step.grace * 1000)
            selection = acts.select_clean(step.queue, state_of(step.status), ms)
            swept = acts.sweep(
                "clean", step.queue, selection, state=State(step.status), grace_ms=ms
            )
            return {"removed": last(swept).done}
        case Whole("pause" | "resume"):
            info_of(step.queue)
            acts.pause(step.queue, step.act == "pause")
        case Whole():
            selection = acts.select(step.act, step.queue)
            swept = acts.sweep(step.act, step.queue, selection, force=step.force)
            return {"removed": last(swept).done}
        case Circuit():
            acts.circuit(step.name, step.act)
        case Workers():
            consumers.order(acts, step.act, [(step.queue, step.id)])
        case SetTenant():
            sharing.set_tenant(acts, step.queue, step.org, weight=step.weight)
        case SetTask():
            holding.set_task(acts, info_of(step.queue), step.task, paused=step.paused)
        case Undo():
            acts.one("remove", step.queue, step.id)
            last(acts.undo())
        case Run():
            for info in registry.load_all(runtime().redis, PREFIX):
                for one in info.schedules:
                    if one.name == step.name:
                        acts.run_schedule(info, one)
        case _:
            raise AssertionError(step)
    return None


class Tui(Door):
    """The TUI's session: of a person at a terminal, or of a token in the dashboard."""

    name = "tui"

    def __init__(self, home: Path) -> None:
        self.home = home

    def do(self, step: Step, who: Who) -> Any:
        in_browser = self.name == "dashboard" or who.role != "operator"
        viewer = DashboardUser(who.user, who.role) if in_browser else None
        options = Options(
            url=runtime().redis.url,
            prefix=PREFIX,
            home=self.home,
            place="redis",
            organization_id=who.org,
            viewer=viewer,
        )
        client = runtime().redis
        source = LiveSource(options, client)
        source.snapshot()
        match step:
            case Add():
                info = info_of(step.queue)
                text = json.dumps(step.payload)
                new = compose.new_job(
                    info, info.task(step.task), text, organization_id=who.org, sealed=False
                )
                added = acts_of(options, client).add(info, new)
                return {"created": added.created, "status": str(added.status)}
            case Supersede():
                info, of = info_of(step.queue), source.stored(step.queue, step.id)
                text = json.dumps(step.payload)
                new = compose.new_job(
                    info, info.task(None), text, organization_id=who.org, sealed=False, of=of
                )
                acts_of(options, client).supersede(info, new, of.id, of.version)
                return None
            case Show():
                info_of(step.queue)
                record, lines = source.job(step.queue, step.id)
                shown = views.public(record) | {"logs": lines}
                # A screen says in words what the others leave empty.
                if record.data == views.HIDDEN:
                    shown |= dict.fromkeys((*views.CONTENTS, "logs"))
                return shown
            case Listing():
                info_of(step.queue)
                page = source.window(
                    step.queue,
                    state_of(step.status),
                    limit=step.limit,
                    reverse=step.status not in ("waiting", "delayed"),
                )
                return {"total": page.total, "jobs": [{"id": row.id} for row in page.rows if row]}
            case Every("retry"):
                hits = last(source.search(step.queue, State.FAILED, _everything()))
                many = acts_of(options, client).many("retry", step.queue, hits.bound, where="")
                return {"done": last(many).done}
            case _:
                return act(acts_of(options, client), step)


class Dashboard(Tui):
    """The TUI in a browser, for operators too."""

    name = "dashboard"


def _everything() -> Any:
    from hsejobs.control.filters import parse

    return parse("")


class Cli(Door):
    """The command line, in this process."""

    name = "cli"

    def ask(self, step: Step, who: Who) -> Answer:
        """Its error is a line and an exit status."""
        words = self.words(step, who)
        status, out, told = self.run(*words)
        if status:
            found = re.search(r"\((\w+)\)\n$", told)
            assert found, (words, status, told)
            assert (status, out) == (self._status(found[1]), ""), (words, told)
            return Answer(found[1])
        match step:
            case Add():
                return Answer("", None)
            case Show():
                plain = self.run(*[word for word in words if word != "--json"])[1]
                return Answer("", json.loads(out) | {"text": plain})
            case Listing():
                page = json.loads(out)
                for _ in range(1, step.pages):
                    page = json.loads(self.run(*words, "--cursor", page["next"])[1])
                return Answer("", page)
            case Every():
                return Answer("", {"done": next(iter(json.loads(out).values()))})
            case Clean() | Whole("drain" | "obliterate") | Schedules():
                return Answer("", json.loads(out))
        return Answer("")

    @staticmethod
    def _status(code: str) -> int:
        return 2 if code.startswith(("invalid", "payload")) else 1

    @staticmethod
    def run(*words: str) -> tuple[int, str, str]:
        """Exit status, stdout, stderr."""
        from hsejobs_cli.app import run_command

        out, told = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["hsejobs", *words])
            patch.setattr(sys, "stdin", io.StringIO())
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
                status = run_command()
        return status, out.getvalue(), told.getvalue()

    @staticmethod
    def words(step: Step, who: Who) -> list[str]:
        org = ["--org", who.org] if who.org else []
        match step:
            case Add():
                words = ["enqueue", step.queue, json.dumps(step.payload)]
                named = {"org": step.org, "user": step.user, "id": step.id, "task": step.task}
                for name, value in {**named, **step.options}.items():
                    words += [f"--{name}={value}"] if value is not None else []
                return words
            case Show():
                return ["job", step.queue, step.id, "--json", *org]
            case Listing():
                cursor = ["--cursor", step.cursor] if step.cursor else []
                return [
                    "jobs",
                    step.queue,
                    "--status",
                    step.status,
                    "--limit",
                    str(step.limit),
                    "--json",
                    *cursor,
                    *org,
                ]
            case One():
                yes = ["--yes"] if step.act == "remove" else []
                why = [] if step.reason is None else ["--reason", step.reason]
                return [step.act, step.queue, step.id, "--json", *yes, *why, *org]
            case Every():
                return [step.act, step.queue, "--all", "--json", *org]
            case Clean():
                return [
                    "clean",
                    step.queue,
                    "--status",
                    step.status,
                    "--grace",
                    f"{step.grace:g}s",
                    "--yes",
                    "--json",
                    *org,
                ]
            case Whole("pause" | "resume"):
                return [step.act, step.queue]
            case Whole():
                force = ["--force"] if step.force else []
                return [step.act, step.queue, "--yes", "--json", *force]
            case Circuit():
                return ["circuits", step.act, step.name]
            case Workers():
                return ["workers", step.act, step.id]
            case SetTenant():
                weight = str(step.weight)
                return ["tenants", "set", step.org, "--queue", step.queue, "--weight", weight]
            case SetTask():
                flag = "--paused" if step.paused else "--resumed"
                return ["tasks", "set", step.task, "--queue", step.queue, flag]
            case EraseTenant():
                return ["tenants", "erase", step.org, "--yes"]
            case RemoveFile():
                return ["artifacts", "remove", step.file, "--yes"]
            case Repair():
                return ["verify", "--repair", step.queue]
            case Run():
                return ["schedules", "run", step.name]
            case Schedules():
                return ["schedules", "--json"]
            case _:
                raise AssertionError(step)
