"""Count, export and erase the data of one organization; see ``docs/tenants-data.md``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hsejobs.forks import cached_property
from hsejobs.model import State
from hsejobs.services.artifacts.access import Files
from hsejobs.services.artifacts.store import open_store
from hsejobs.services.mail.message import key_of_job, mail_key
from hsejobs.services.mail.outbox import FOLDER, mails_of
from hsejobs.settings import Settings
from hsejobs.store import registry
from hsejobs.store.client import RedisClient
from hsejobs.store.read import JobReader
from hsejobs.store.tenants import Tenants
from hsejobs.store.write import JobWriter


class TenantRows(Protocol):
    """The application's own data of an organization, see ``docs/application.md``."""

    def count(self, settings: Settings, organization_id: str) -> int:
        """Return the number of rows."""
        ...

    def rows(
        self, settings: Settings, organization_id: str
    ) -> Iterable[tuple[str, Iterable[dict[str, Any]]]]:
        """Yield each table's name and its rows; the caller masks secrets in them."""
        ...

    def erase(self, settings: Settings, organization_id: str) -> int:
        """Remove the rows; return how many."""
        ...

    def left_alone(self, settings: Settings) -> str | None:
        """Return a sentence that names the data an erasure does not touch; None if there is none."""
        ...


@dataclass(frozen=True)
class Tenant:
    """One organization, with access to everything that is stored of it."""

    organization_id: str
    settings: Settings
    redis: RedisClient
    #: None if the application stores no data of its own.
    own_rows: TenantRows | None = None

    @property
    def prefix(self) -> str:
        """The prefix of all Redis keys."""
        return self.settings.redis_prefix

    @cached_property
    def reader(self) -> JobReader:
        return JobReader(self.redis, self.prefix)

    @cached_property
    def writer(self) -> JobWriter:
        return JobWriter(self.redis, self.prefix)

    @cached_property
    def traces(self) -> Tenants:
        """The organization's data in Redis other than jobs."""
        return Tenants(self.redis, self.prefix)

    @cached_property
    def files(self) -> Files:
        """The files that jobs made."""
        store = open_store(self.settings.artifacts_url, self.settings.jobs_home)
        return Files(store, self.redis, self.prefix)

    def queues(self) -> list[str]:
        """Return the names of all queues."""
        return registry.names(self.redis, self.prefix)

    def running(self) -> int:
        """Return how many of its jobs are active."""
        stats = self.reader.stats(self.queues(), self.organization_id)
        return sum(one.active for one in stats)

    def mails(self) -> Iterator[Path]:
        """Yield its mails in the outbox; those of earlier releases are found by their jobs."""
        home = self.settings.jobs_home
        seen = set()
        for path in mails_of(home, self.organization_id):
            seen.add(path.name)
            yield path
        for state in State:
            for page in self.reader.walk(
                "email", state, self.organization_id, payload_bytes=0, errors=1
            ):
                for job in page:
                    name = f"{mail_key(key_of_job(self.prefix, job.id, job.created_at))}.eml"
                    if name not in seen and (home / FOLDER / name).is_file():
                        yield home / FOLDER / name


def inventory(tenant: Tenant) -> dict[str, Any]:
    """Return how much is stored of an organization; ``bytes``: the size of its files."""
    jobs: dict[str, dict[str, int]] = {}
    for one in tenant.reader.stats(tenant.queues(), tenant.organization_id):
        states = {state.value: int(getattr(one, state.value)) for state in State}
        if any(states.values()):
            jobs[one.name] = {name: number for name, number in states.items() if number}
    counters = 0
    for found in tenant.traces.walk(tenant.organization_id):
        counters += len(found.keys) + found.entries
    files = [one.bytes for one in tenant.files.store.walk(tenant.organization_id)]
    own = tenant.own_rows
    return {
        "organizationId": tenant.organization_id,
        "jobs": jobs,
        "files": len(files),
        "bytes": sum(files),
        "mails": sum(1 for _ in tenant.mails()),
        "circuits": len(tenant.traces.circuits(tenant.organization_id)),
        "counters": counters,
        "platformRows": own.count(tenant.settings, tenant.organization_id) if own else 0,
    }
