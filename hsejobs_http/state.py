"""State shared by the routes: settings, keys, queues, and access to the store."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from hsejobs import application, tracing
from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts, Hooks
from hsejobs.control.audit import FileLog
from hsejobs.control.making import TaskTarget
from hsejobs.engine.register import announce
from hsejobs.engine.runtime import Runtime
from hsejobs.errors import SettingsError, UnknownQueue
from hsejobs.forks import cached_property
from hsejobs.model import QUEUE_NAME, ROLES, check_organization
from hsejobs.services.artifacts import removal
from hsejobs.services.artifacts.access import Files, FileViewer
from hsejobs.services.artifacts.store import open_store
from hsejobs.settings import Settings, redact_url, redis_target
from hsejobs.store import registry
from hsejobs.store.registry import QueueInfo
from hsejobs.store.tallies import Tallies
from hsejobs.watch import logs
from hsejobs_http.adding import Adder
from hsejobs_http.counting import Counts
from hsejobs_http.problems import Problem
from hsejobs_http.tokens import Caller, TokenVerifier
from hsejobs_http.viewing import Viewers
from hsejobs_http.watching import Watcher

#: Seconds for which a queue's description is cached.
CACHE_SECONDS = 5.0
#: Pages of jobs that are made at once, and acts on many jobs; others wait without occupying a thread.
PAGES_AT_ONCE, BULK_AT_ONCE = 4, 2


class Shim:
    """The state of one shim process. Connects on first use; raises SettingsError without a key."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.settings = runtime.settings
        self.verifier = TokenVerifier(runtime.settings)
        self.tallies = Tallies(runtime.redis, runtime.prefix)
        self.counts = Counts(self.tallies)
        self.viewers = Viewers(runtime.settings)
        self.pages = asyncio.Semaphore(PAGES_AT_ONCE)
        self.bulk = asyncio.Semaphore(BULK_AT_ONCE)
        self._infos: dict[str, tuple[float, QueueInfo]] = {}
        self._reading: dict[str, asyncio.Future[QueueInfo]] = {}
        #: By queue, task as named, and whether an operator adds: the description and what came of it.
        self.targets: dict[tuple[str, str | None, bool], tuple[QueueInfo, TaskTarget]] = {}
        self._registered = False
        self.application = _application(runtime.settings)
        # Again: the application may have set a tracer provider.
        tracing.start()
        self.queues = self.application.queues

    @cached_property
    def adder(self) -> Adder:
        """The thread that adds jobs; started on first use."""
        return Adder()

    @cached_property
    def watcher(self) -> Watcher:
        """What wakes the requests that wait for events."""
        return Watcher(self.runtime.reader)

    @property
    def files(self) -> Files:
        """Access to artifacts, the files that jobs produced."""
        store = open_store(self.settings.artifacts_url, self.settings.jobs_home)
        return Files(store, self.runtime.redis, self.runtime.prefix)

    @cached_property
    def audit_log(self) -> FileLog:
        """The copy of the audit log in JOBS_HOME."""
        return FileLog(self.settings.jobs_home, redact_url(redis_target(self.settings)))

    def acts(self, who: Caller) -> Acts:
        """Returns the acts of a caller."""
        return self.acts_as(actor(who))

    def acts_as(self, who: Actor) -> Acts:
        """Returns the acts of an actor; removing a job removes its files too."""

        def removed(queue: str, job_id: str | None) -> None:
            removal.after_act(self.files, queue, job_id)

        hooks = Hooks(removed, lambda: logs.emit("audit_unwritten", logging.ERROR))
        return Acts(self.runtime.redis, self.runtime.prefix, who, self.audit_log, hooks=hooks)

    @cached_property
    def salt(self) -> bytes:
        """The key for the fingerprints of bodies."""
        return (self.settings.secret_key or "hsejobs").encode("utf-8", "surrogateescape")

    def register(self, *, again: bool = False) -> None:
        """Registers the descriptions of the application's queues. Raises RedisUnavailable.

        ``again``: even if done before, for a Redis that has lost them.
        """
        if again or not self._registered:
            announce(self.queues.values())
            self._registered = True

    def info(self, queue: str) -> QueueInfo:
        """Returns a queue's description. Raises UnknownQueue, RedisUnavailable."""
        known = self._infos.get(queue)
        now = time.monotonic()
        if known is not None and now - known[0] < CACHE_SECONDS:
            return known[1]
        if not QUEUE_NAME.fullmatch(queue):
            raise UnknownQueue("there is no queue with this name")
        self.names()
        try:
            found = registry.load(self.runtime.redis, self.runtime.prefix, queue)
        except UnknownQueue:
            raise UnknownQueue("there is no queue with this name") from None
        self._infos[queue] = (now, found)
        return found

    async def info_soon(self, queue: str) -> QueueInfo:
        """As `info`, in a thread; requests that need it at the same time share one read."""
        reading = self._reading.get(queue)
        if reading is None:
            reading = asyncio.ensure_future(run_in_threadpool(self.info, queue))
            self._reading[queue] = reading
            reading.add_done_callback(lambda done: self._read(queue, done))
        return await asyncio.shield(reading)

    def _read(self, queue: str, done: asyncio.Future[QueueInfo]) -> None:
        del self._reading[queue]
        if not done.cancelled():
            # Its error is raised to those that wait for it, if there are any left.
            done.exception()

    def known(self, queue: str) -> QueueInfo | None:
        """Returns the cached description, or None; never asks Redis."""
        found = self._infos.get(queue)
        fresh = found is not None and time.monotonic() - found[0] < CACHE_SECONDS
        return found[1] if fresh and found else None

    def names(self) -> list[str]:
        """Returns all queues, sorted; registers the application's queues again if Redis has lost them."""
        self.register()
        found = registry.names(self.runtime.redis, self.runtime.prefix)
        if self.queues.keys() <= set(found):
            return found
        self.register(again=True)
        return registry.names(self.runtime.redis, self.runtime.prefix)

    def infos(self) -> list[QueueInfo]:
        """Returns the descriptions of all queues."""
        self.names()
        return registry.load_all(self.runtime.redis, self.runtime.prefix)


def _application(settings: Settings) -> application.Application:
    """Returns the application if it can be loaded; the shim also works without one."""
    try:
        return application.find(settings)
    except SettingsError as error:
        logs.emit("no application", 30, error=str(error))
        return application.NONE


def shim(request: Request) -> Shim:
    """Returns the state of this process's shim."""
    found: Shim = request.app.state.shim
    return found


def caller(request: Request) -> Caller:
    """Returns the caller; the gate has verified its token."""
    found: Caller = request.scope["caller"]
    return found


def actor(who: Caller) -> Actor:
    """Returns the caller in its role of reading and acting on jobs."""
    return Actor("http", who.role, who.scope, who.user_id)


def viewer(who: Caller) -> FileViewer:
    """Returns the caller in its role of reading files."""
    return FileViewer(who.role, who.organization_id, who.user_id)


def require_role(request: Request, role: str) -> Caller:
    """Returns the caller if it has this role or a higher one. Raises Problem 403."""
    return check_role(caller(request), role)


def check_role(who: Caller, role: str) -> Caller:
    """Returns the caller if it has this role or a higher one. Raises Problem 403."""
    if who.rank < ROLES.index(role):
        raise Problem(403, "forbidden", f"this needs the role {role}")
    return who


def organization_in_view(who: Caller, organization_id: str | None) -> str | None:
    """Returns the organization to show: the caller's, or the one that an operator chose.

    Raises Problem 403 if any other role names another organization.
    """
    if who.role == "operator":
        return organization_id
    if organization_id is not None and organization_id != who.organization_id:
        raise Problem(403, "forbidden", "the query names another organization than the token does")
    return who.organization_id


def scope(request: Request) -> str | None:
    """Returns the organization to show: the caller's, or an operator's choice in the query.

    Raises Problem 403, InvalidOption.
    """
    given = check_organization(request.query_params.get("organizationId") or None, "organizationId")
    return organization_in_view(caller(request), given)


def number(request: Request, name: str, default: int) -> Any:
    """Returns a whole number from the query. Raises Problem 422."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        problem = "must be a whole number"
        raise Problem(422, "invalid_option", f"{name}: {problem}", errors=((name, problem),))
    return int(text)
