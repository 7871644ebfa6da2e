"""Erases an organization, in bounded steps, while the others' jobs run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from hsejobs.errors import QueueBusy
from hsejobs.model import State
from hsejobs.services.artifacts.removal import delete_of_organization
from hsejobs.services.tenants import Tenant
from hsejobs.store.work import WorkerStore

#: Older than any job, and younger than none: the grace of a clean that takes all, in ms.
ALL_MS = -10 * 366 * 86_400_000
#: Seconds that jobs which began meanwhile, and the last heartbeats about them, are waited for.
PATIENCE = 60.0
#: Seconds that the server has to write its file anew.
REWRITE_SECONDS = 600.0
#: How often it is begun again because jobs came meanwhile.
ROUNDS = 5

Tell = Callable[[str], None]


def erase(tenant: Tenant, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Removes all there is of an organization; how much of what. May be run again at any time.

    Raises QueueBusy while workers run jobs of it, or jobs of it are added faster than they are
    removed.
    """
    _refuse_running(tenant)
    gone: dict[str, Any] = {
        "jobs": 0,
        "files": 0,
        "mails": 0,
        "circuits": 0,
        "counters": 0,
        "platformRows": 0,
    }
    for _ in range(ROUNDS):
        _jobs(tenant, gone, tell)
        _wait_for_running(tenant)
        _files(tenant, gone)
        _traces(tenant, gone)
        _events(tenant)
        if _nothing_left(tenant):
            break
    else:
        raise QueueBusy(
            "jobs of this organization are added while it is erased: revoke its tokens, then again"
        )
    if tenant.own_rows is not None:
        tell("the application's own rows")
        gone["platformRows"] = tenant.own_rows.erase(tenant.settings, tenant.organization_id)
    tell("the server's own file")
    gone["notRewritten"] = _rewrite(tenant)
    return gone


def _refuse_running(tenant: Tenant) -> None:
    running = tenant.running()
    if running:
        for queue in tenant.queues():
            # Those of dead workers go back to their places, as any consumer would see to.
            WorkerStore(tenant.link, tenant.prefix, queue, patience=3.0).sweep(
                tenant.settings.max_stalls
            )
        running = tenant.running()
    if running:
        raise QueueBusy(
            f"{running} jobs of this organization are active: wait until they end, then again"
        )


def _jobs(tenant: Tenant, gone: dict[str, Any], tell: Tell) -> None:
    # By their jobs too, as long as those are there.
    for path in list(tenant.mails()):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            gone["mails"] += 1
    for queue in tenant.queues():
        # What might begin to run first.
        for state in (State.WAITING, State.DELAYED, State.FAILED, State.COMPLETED):
            for removed in tenant.writer.clean_steps(queue, state, ALL_MS, tenant.organization_id):
                gone["jobs"] += removed
                if removed:
                    tell(f"{queue}: {gone['jobs']:,} jobs removed")


def _wait_for_running(tenant: Tenant) -> None:
    until = time.monotonic() + PATIENCE
    while tenant.running():
        if time.monotonic() >= until:
            _refuse_running(tenant)
        time.sleep(0.2)


def _files(tenant: Tenant, gone: dict[str, Any]) -> None:
    store = tenant.files.store
    known = sum(1 for _ in store.walk(tenant.organization_id))
    store.erase(tenant.organization_id)
    gone["files"] += known
    for queue in tenant.queues():
        delete_of_organization(tenant.files, queue, tenant.organization_id)


def _traces(tenant: Tenant, gone: dict[str, Any]) -> None:
    for found in tenant.traces.walk(tenant.organization_id):
        for base, ids in found.jobs.items():
            removed, _ = tenant.traces.erase_jobs(base, tenant.organization_id, ids)
            gone["jobs"] += removed
        tenant.traces.erase_keys(found.keys)
        gone["counters"] += len(found.keys)
        gone["circuits"] += tenant.traces.forget_circuits(found.circuits)


def _events(tenant: Tenant) -> None:
    for queue in tenant.queues():
        for _ in tenant.traces.forget_events(queue, tenant.organization_id):
            pass


def _nothing_left(tenant: Tenant) -> bool:
    """Whether a second look finds nothing. Heartbeats are waited for: they go by themselves."""
    until = time.monotonic() + PATIENCE
    while True:
        found = [one for one in tenant.traces.walk(tenant.organization_id) if not one.nothing]
        if not found:
            return True
        if any(one.jobs or one.keys or one.circuits for one in found):
            return False
        if time.monotonic() >= until:
            return False
        time.sleep(1.0)


def _rewrite(tenant: Tenant) -> str | None:
    """Why the server's own files still hold what was removed; None when they do not."""
    problem = tenant.traces.rewrite()
    if problem is not None:
        return problem
    until = time.monotonic() + REWRITE_SECONDS
    while not tenant.link.cluster and tenant.traces.rewriting():
        if time.monotonic() >= until:
            return "the server is still writing its append-only file anew"
        time.sleep(0.1)
    return None
