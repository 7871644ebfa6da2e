"""The jobs of the weekly compliance report, with their ids."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAGE = 500


class Wanted(NamedTuple):
    """The job for one organization's report: its id, its owner and its payload."""

    job_id: str
    organization_id: str
    payload: dict[str, Any]


def week_of(at_ms: int) -> str:
    """Return the week (``2026-48``) that began on the last Sunday up to ``at_ms`` (ms, UTC).

    Not the ISO week, which ends on Sunday: a missed run that is made up on Monday would get the
    name of the next Sunday's run.
    """
    day = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    sunday = day - datetime.timedelta(days=day.isoweekday() % 7)
    return f"{sunday:%Y-%U}"


def wanted(engine: Engine, week: str) -> Iterator[list[Wanted]]:
    """Yield a job for every organization, in pages of 500, sorted by organization id.

    The job ids depend only on the week and the organization, so a crashed run can be repeated.
    """
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    after = ""
    columns = ORGANIZATIONS.c
    while True:
        # One query per page instead of a long cursor: no connection stays open while jobs are added.
        query = (
            select(columns.id, columns.admin_email)
            .where(columns.id > after)
            .order_by(columns.id)
            .limit(PAGE)
        )
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        if rows:
            yield [_wanted(week, row.id, row.admin_email) for row in rows]
            after = rows[-1].id
        if len(rows) < PAGE:
            return


def _wanted(week: str, organization_id: str, admin_email: str) -> Wanted:
    name = hashlib.sha256(organization_id.encode()).hexdigest()[:32]
    payload = {
        "type": "compliance",
        "organizationId": organization_id,
        "format": "pdf",
        "notifyEmail": admin_email,
    }
    return Wanted(f"sys:weekly:{week}:{name}", organization_id, payload)
