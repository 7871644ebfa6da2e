"""How organizations share a queue: what each has in it, and what operators set for them."""

from __future__ import annotations

from typing import Any

from hsejobs.control.acts import Acts
from hsejobs.errors import Refused
from hsejobs.store.shares import KEEP, QueueTenant, Shares, TenantPage, check_settings

__all__ = ["KEEP", "QueueTenant", "TenantPage", "check_settings", "list_tenants", "set_tenant"]


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
) -> QueueTenant:
    """Sets what is given for an organization, at least one, and returns how it stands afterwards.

    See `Shares.set` for the values. ``seen``: how it stood when the user decided. Raises Forbidden,
    Refused, InvalidOption, and WrongState if its settings changed since.
    """
    acts.check("tenants set")
    given: dict[str, Any] = {"weight": weight, "limit": limit, "paused": paused}
    chosen = {name: value for name, value in given.items() if value is not KEEP}
    check_settings(**chosen)
    shares = Shares(acts.redis, acts.prefix)
    where = " ".join([f"org={organization_id}", *(f"{k}={_text(v)}" for k, v in chosen.items())])
    with acts.recorded(
        "tenants set", queue, where=where, organization_id=organization_id
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


def _text(value: object) -> str:
    return "none" if value is None else str(value).lower()
