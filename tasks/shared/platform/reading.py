"""What every job needs that reads one organization's rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hsejobs.errors import Unrecoverable
from tasks.shared.platform.errors import PlatformUnavailable

if TYPE_CHECKING:
    from tasks.shared.platform.rows import PlatformTenant


def organization_of(of_job: str | None, named: str | None, what: str) -> str:
    """The job's organization; the payload may name it, and may not name another.

    ``what`` begins the message when there is none: ``a report``. Raises Unrecoverable.
    """
    if of_job is not None and named is not None and of_job != named:
        raise Unrecoverable("organizationId is not the organization that the job belongs to")
    found = of_job or named
    if found is None:
        raise Unrecoverable(f"organizationId: {what} is of one organization; none is named")
    return found


def tenant_of(url: str | None, home: Path, organization_id: str) -> PlatformTenant:
    """The organization's rows; without a database of one's own the sample is among them.

    ``url`` is the setting PLATFORM_DATABASE_URL. Raises PlatformUnavailable.
    """
    from tasks.shared.platform.database import database
    from tasks.shared.platform.rows import PlatformTenant

    with reading():
        engine = database(url, home)
        tenant = PlatformTenant(engine, organization_id)
        if url is None and tenant.organization() is None:
            from tasks.shared.platform.sample import ensure_sample

            ensure_sample(engine)
    return tenant


def reading() -> AbstractContextManager[None]:
    """Turns the database's errors into one that repeats no statement and no value."""
    return _told("read")


def writing() -> AbstractContextManager[None]:
    """The same for one who writes."""
    return _told("written")


@contextmanager
def _told(what: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise PlatformUnavailable(
            f"the platform's database could not be {what} ({type(error).__name__});"
            " check PLATFORM_DATABASE_URL"
        ) from None


class Steps:
    """How far a job is, told as 10 to 85 % by its rows."""

    def __init__(
        self, check: Callable[[], None], progress: Callable[[float, str], None], total: int = 0
    ) -> None:
        self.check, self.progress = check, progress
        self.total, self.done = total, 0

    def add(self, rows: int) -> None:
        """So many more rows are done."""
        self.done += rows
        share = min(1.0, self.done / self.total) if self.total else 1.0
        self.progress(10 + 75 * share, f"{self.done:,} of {self.total:,} rows")
