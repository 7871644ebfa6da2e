"""Acts on a tenant: hold it or let it go, set its weight and its limit; bound to what was shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsejobs.control import sharing
from hsejobs.control.sharing import KEEP, QueueTenant
from hsejobs.errors import JobsError
from hsejobs.wording import jobs_wait
from hsejobs_tui.core.tenants import TenantRow
from hsejobs_tui.core.text import safe
from hsejobs_tui.session.session import Session


async def hold(session: Session, row: TenantRow) -> bool:
    """Holds a tenant in all queues of the row, or lets it go if it is held in all; whether it tried.

    There is no question, as nothing is lost: its jobs stay where they are, and the same key undoes it.
    """
    if (owner := _owner(session, row)) is None:
        return False
    # Who holds a tenant that is held in one queue wants it to stop, not to go on there.
    hold = bool(row.free) or not row.held
    queues = row.free or list(row.now)
    await set_held(session, owner, {queue: row.now[queue] for queue in queues}, held=hold)
    return True


async def set_held(
    session: Session, owner: str, queues: Mapping[str, QueueTenant], *, held: bool
) -> None:
    """Holds an organization in these queues, or lets it go, unless it changed since it was shown."""
    done, failed = await _set(session, owner, queues, paused=held)
    if done:
        where, name = ", ".join(done), safe(owner, 40)
        waits = jobs_wait(sum(queues[queue].waiting for queue in done))
        text = f"{name} is held in {where}: its running jobs finish, {waits}; H lets it go"
        session.show_message(text if held else f"{name} is let go in {where}; {waits}")
    _report(session, failed)


async def edit(session: Session, row: TenantRow) -> bool:
    """Asks for weight and limit and sets them in all queues of the row; whether it tried."""
    from hsejobs_tui.dialogs.tenant import TenantSettings

    if (owner := _owner(session, row)) is None:
        return False
    where = ", ".join(row.now)
    answer = await session.ask(TenantSettings(owner, where, row.weight, row.limit))
    if answer is None:
        return False
    weight, limit = answer
    done, failed = await _set(session, owner, row.now, weight=weight, limit=limit)
    if done:
        session.show_message(f"set {safe(owner, 40)} in {', '.join(done)}")
    _report(session, failed)
    return True


def _owner(session: Session, row: TenantRow) -> str | None:
    if row.organization_id is None:
        session.show_message("jobs of no organization have no settings", bad=True)
        return None
    if not row.now:
        session.show_message("it has no job and no settings in a queue now", bad=True)
        return None
    return row.organization_id


async def _set(
    session: Session,
    owner: str,
    queues: Mapping[str, QueueTenant],
    *,
    weight: int = KEEP,
    limit: int | None = KEEP,
    paused: bool = KEEP,
) -> tuple[list[str], list[tuple[str, JobsError]]]:
    """Sets it in these queues; returns those where that succeeded, and the others with why not."""
    values: dict[str, Any] = {"weight": weight, "limit": limit, "paused": paused}
    found = await session.do(lambda: sharing.set_in_queues(session.acts, owner, queues, **values))
    failed = [(queue, error) for queue, error in found.items() if error is not None]
    return [queue for queue, error in found.items() if error is None], failed


def _report(session: Session, failed: list[tuple[str, JobsError]]) -> None:
    for queue, error in failed:
        session.show_message(f"{queue}: {session.explain(error)}", bad=True)
