"""How organizations share a queue: what each has in it, and what operators set for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hsejobs.control.acts import Acts
from hsejobs.errors import JobsError, Refused
from hsejobs.model import new_job_id
from hsejobs.store.shares import KEEP, QueueTenant, Shares, TenantPage, check_settings

__all__ = [
    "KEEP",
    "QueueTenant",
    "TenantPage",
    "check_settings",
    "list_tenants",
    "set_in_queues",
    "set_tenant",
]


def list_tenants(
    acts: Acts,
    queue: str,
    *,
    limit: int = 50,
    cursor: str | None = None,
    organization_id: str | None = None,
) -> TenantPage:
    """The tenants of a queue, the busiest first, for actors who may see those of all organizations.

    ``organization_id``: this one alone, also if it has nothing in the queue. Raises Forbidden, Refused,
    and InvalidOption for an invalid limit or cursor.
    """
    acts.actor.need("operator")
    if acts.org is not None:
        raise Refused("not available in a session of one organization")
    shares = Shares(acts.redis, acts.prefix)
    return shares.page(queue, limit=limit, cursor=cursor, organization_id=organization_id)


def set_tenant(
    acts: Acts,
    queue: str,
    organization_id: str,
    *,
    weight: int = KEEP,
    limit: int | None = KEEP,
    paused: bool = KEEP,
    seen: QueueTenant | None = None,
    together: str = "",
) -> QueueTenant:
    """Sets what is given for an organization, at least one, and returns how it stands afterwards.

    See `Shares.set` for the values. ``seen``: how it stood when the user decided. ``together``: as in
    `AuditEntry`. Raises Forbidden, Refused, InvalidOption, and WrongState if its settings changed since.
    """
    acts.check("tenants set")
    given: dict[str, Any] = {"weight": weight, "limit": limit, "paused": paused}
    chosen = {name: value for name, value in given.items() if value is not KEEP}
    check_settings(**chosen)
    shares = Shares(acts.redis, acts.prefix)
    where = " ".join([f"org={organization_id}", *(f"{k}={_text(v)}" for k, v in chosen.items())])
    with acts.recorded(
        "tenants set",
        queue,
        where=where,
        organization_id=organization_id,
        together=together,
    ) as record:
        shares.set(
            queue,
            organization_id,
            **chosen,
            who=acts.actor.who,
            seen=seen,
            entry=record.packed,
        )
    return shares.get(queue, organization_id)


def set_in_queues(
    acts: Acts, organization_id: str, queues: Mapping[str, QueueTenant], **values: Any
) -> dict[str, JobsError | None]:
    """Sets it in several queues, as one act; returns for each why it was refused, None if it was not.

    ``queues``: how the organization stood in each when the user decided; ``values``: as in `set_tenant`.
    """
    together = new_job_id() if len(queues) > 1 else ""
    found: dict[str, JobsError | None] = {}
    for queue, seen in queues.items():
        found[queue] = None
        try:
            set_tenant(acts, queue, organization_id, seen=seen, together=together, **values)
        except JobsError as error:
            found[queue] = error
    return found


def _text(value: object) -> str:
    return "none" if value is None else str(value).lower()
