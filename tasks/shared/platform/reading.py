"""Helpers for jobs that read one organization's rows."""

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
    """Return the job's organization; the payload may name the same one, but no other.

    ``what`` is named in the message if there is none: ``a report``. Raises Unrecoverable.
    """
    if of_job is not None and named is not None and of_job != named:
        raise Unrecoverable("organizationId: must be the organization that the job belongs to")
    found = of_job or named
    if found is None:
        raise Unrecoverable(f"organizationId: is required; {what} is for one organization")
    return found


def tenant_of(url: str | None, home: Path, organization_id: str) -> PlatformTenant:
    """Return access to the organization's rows; adds sample data if ``url`` is None.

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
    """Convert the database's errors to PlatformUnavailable, without the statement and its values."""
    return _translate_errors("read")


def writing() -> AbstractContextManager[None]:
    """Do the same as ``reading``, for code that writes."""
    return _translate_errors("written")


@contextmanager
def _translate_errors(what: str) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except SQLAlchemyError as error:
        raise PlatformUnavailable(
            f"the platform's database could not be {what} ({type(error).__name__});"
            " check PLATFORM_DATABASE_URL"
        ) from None


class Steps:
    """Reports a job's progress by its rows, from 10 to 85 %."""

    def __init__(
        self, check: Callable[[], None], progress: Callable[[float, str], None], total: int = 0
    ) -> None:
        self.check, self.progress = check, progress
        self.total, self.done = total, 0

    def add(self, rows: int) -> None:
        """Add to the number of processed rows and report the progress."""
        self.done += rows
        share = min(1.0, self.done / self.total) if self.total else 1.0
        self.progress(10 + 75 * share, f"{self.done:,} of {self.total:,} rows")
