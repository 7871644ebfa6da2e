"""The weekly compliance report: for whom, and under which job id."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from sqlalchemy import Engine

PAGE = 500


class Wanted(NamedTuple):
    """One organization's report: what its job is called, whose it is, what it is to do."""

    job_id: str
    organization_id: str
    payload: dict[str, Any]


def week_of(at_ms: int) -> str:
    """The week (``2026-48``) that began with the Sunday on or before a moment (ms, UTC).

    Not the ISO week, of which Sunday is the last day: a run that was made up on Monday would
    take the name of the next Sunday's.
    """
    day = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    sunday = day - datetime.timedelta(days=day.isoweekday() % 7)
    return f"{sunday:%Y-%U}"


def wanted(engine: Engine, week: str) -> Iterator[list[Wanted]]:
    """A report for every organization, a page of 500 at a time, in the order of their ids.

    The ids of the jobs are the same for the same week, so it may be run again after a crash.
    """
    from sqlalchemy import select

    from tasks.shared.platform.schema import ORGANIZATIONS

    after = ""
    columns = ORGANIZATIONS.c
    while True:
        # A page a query, not one long cursor: nothing stays open while jobs are added.
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
