"""Erase an organization's data in bounded steps, while other organizations' jobs run."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from hsejobs.control.audit import forget_in_redis
from hsejobs.errors import QueueBusy
from hsejobs.model import State
from hsejobs.services.artifacts.removal import delete_of_organization
from hsejobs.services.tenants import Tenant
from hsejobs.store.audits import AuditStore
from hsejobs.store.work import RENEWED_WITHIN, WorkerStore

#: A negative grace period in ms, so that a clean removes every job, whatever its age.
ALL_MS = -10 * 366 * 86_400_000
#: Seconds to wait for jobs that started meanwhile, and for the last heartbeats that name them.
PATIENCE = 60.0
#: Seconds to wait until the server has rewritten its append-only file.
REWRITE_SECONDS = 600.0
#: How often the erasure starts over because jobs were added meanwhile.
ROUNDS = 5

Report = Callable[[str], None]


def erase(
    tenant: Tenant, report: Report = lambda _: None, *, kept_entry: str = ""
) -> dict[str, Any]:
    """Remove everything stored of an organization; return the counts. May be repeated at any time.

    ``kept_entry``: the id of the audit log's entry of this erasure, which names no organization.
    Raises QueueBusy while its jobs are active, or if its jobs are added faster than they are
    removed.
    """
    _refuse_running(tenant)
    counts: dict[str, Any] = {
        "jobs": 0,
        "files": 0,
        "mails": 0,
        "circuits": 0,
        "counters": 0,
        "platformRows": 0,
    }
    for _ in range(ROUNDS):
        _jobs(tenant, counts, report)
        _wait_for_running(tenant)
        _files(tenant, counts)
        _traces(tenant, counts)
        _events(tenant)
        forget_in_redis(
            AuditStore(tenant.redis, tenant.prefix),
            [*tenant.queues(), None],
            tenant.organization_id,
            kept_entry,
        )
        if _nothing_left(tenant):
            break
    else:
        raise QueueBusy(
            "jobs of this organization were added during the erasure: revoke its tokens and try again"
        )
    if tenant.own_rows is not None:
        report("the application's own rows")
        counts["platformRows"] = tenant.own_rows.erase(tenant.settings, tenant.organization_id)
    report("the server's own file")
    counts["notRewritten"] = _rewrite(tenant)
    return counts


def _refuse_running(tenant: Tenant) -> None:
    running = tenant.running()
    if running:
        # Put the jobs of dead workers back, as any consumer would: after the living ones have renewed.
        queues, most = tenant.queues(), tenant.settings.max_stalls
        stores = [WorkerStore(tenant.redis, tenant.prefix, one, patience=3.0) for one in queues]
        looks = [store.sweep(most, ended_by=0).now for store in stores]
        time.sleep(RENEWED_WITHIN)
        for store, ended_by in zip(stores, looks, strict=True):
            store.sweep(most, ended_by=ended_by)
        running = tenant.running()
    if running:
        raise QueueBusy(
            f"{running} jobs of this organization are active: wait until they end and try again"
        )


def _jobs(tenant: Tenant, counts: dict[str, Any], report: Report) -> None:
    # Before the jobs, by which the mails of earlier releases are found.
    for path in list(tenant.mails()):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            counts["mails"] += 1
    for queue in tenant.queues():
        # First those that could start to run.
        for state in (State.WAITING, State.DELAYED, State.FAILED, State.COMPLETED):
            for removed in tenant.writer.clean_steps(queue, state, ALL_MS, tenant.organization_id):
                counts["jobs"] += removed
                if removed:
                    report(f"{queue}: {counts['jobs']:,} jobs removed")


def _wait_for_running(tenant: Tenant) -> None:
    until = time.monotonic() + PATIENCE
    while tenant.running():
        if time.monotonic() >= until:
            _refuse_running(tenant)
        time.sleep(0.2)


def _files(tenant: Tenant, counts: dict[str, Any]) -> None:
    store = tenant.files.store
    known = sum(1 for _ in store.walk(tenant.organization_id))
    store.erase(tenant.organization_id)
    counts["files"] += known
    for queue in tenant.queues():
        delete_of_organization(tenant.files, queue, tenant.organization_id)


def _traces(tenant: Tenant, counts: dict[str, Any]) -> None:
    for found in tenant.traces.walk(tenant.organization_id):
        for base, ids in found.jobs.items():
            removed, _ = tenant.traces.erase_jobs(base, tenant.organization_id, ids)
            counts["jobs"] += removed
        tenant.traces.erase_keys(found.keys)
        tenant.traces.forget_lines(found.lines, tenant.organization_id)
        counts["counters"] += len(found.keys)
        counts["circuits"] += tenant.traces.forget_circuits(found.circuits)
    for queue in tenant.queues():
        counts["counters"] += tenant.traces.forget_entries(queue, tenant.organization_id)


def _events(tenant: Tenant) -> None:
    for queue in tenant.queues():
        for _ in tenant.traces.forget_events(queue, tenant.organization_id):
            pass


def _nothing_left(tenant: Tenant) -> bool:
    """Return whether a second scan finds nothing. Waits for heartbeats, which expire."""
    until = time.monotonic() + PATIENCE
    while True:
        found = [one for one in tenant.traces.walk(tenant.organization_id) if not one.nothing]
        if not found:
            return True
        if any(one.jobs or one.keys or one.circuits or one.lines or one.entries for one in found):
            return False
        if time.monotonic() >= until:
            return False
        time.sleep(1.0)


def _rewrite(tenant: Tenant) -> str | None:
    """Return why the server's own files still contain removed data; None if they do not."""
    problem = tenant.traces.rewrite()
    if problem is not None:
        return problem
    until = time.monotonic() + REWRITE_SECONDS
    while not tenant.redis.cluster and tenant.traces.rewriting():
        if time.monotonic() >= until:
            return "the server is still rewriting its append-only file"
        time.sleep(0.1)
    return None
