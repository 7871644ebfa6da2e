"""Everything of one organization: counted, exported, erased. ``docs/tenants-data.md`` says what that is."""

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
    """What the application keeps of an organization outside Redis, see ``docs/application.md``."""

    def count(self, settings: Settings, organization_id: str) -> int:
        """How many rows there are."""
        ...

    def rows(
        self, settings: Settings, organization_id: str
    ) -> Iterable[tuple[str, Iterable[dict[str, Any]]]]:
        """Each table's name and its rows; secrets in them are masked by whoever asks."""
        ...

    def erase(self, settings: Settings, organization_id: str) -> int:
        """Removes the rows; how many there were."""
        ...

    def left_alone(self, settings: Settings) -> str | None:
        """What an erasure does not touch, in a sentence."""
        ...


@dataclass(frozen=True)
class Tenant:
    """One organization, and where all that is its own may lie."""

    organization_id: str
    settings: Settings
    link: RedisClient
    #: None where the application keeps nothing of its own.
    own_rows: TenantRows | None = None

    @property
    def prefix(self) -> str:
        """What all keys begin with."""
        return self.settings.redis_prefix

    @cached_property
    def reader(self) -> JobReader:
        """All reads."""
        return JobReader(self.link, self.prefix)

    @cached_property
    def writer(self) -> JobWriter:
        """All writes."""
        return JobWriter(self.link, self.prefix)

    @cached_property
    def traces(self) -> Tenants:
        """What Redis holds beside jobs."""
        return Tenants(self.link, self.prefix)

    @cached_property
    def files(self) -> Files:
        """The files of jobs."""
        store = open_store(self.settings.artifacts_url, self.settings.jobs_home)
        return Files(store, self.link, self.prefix)

    def queues(self) -> list[str]:
        """The names of all queues."""
        return registry.names(self.link, self.prefix)

    def running(self) -> int:
        """How many jobs of it workers run now."""
        stats = self.reader.stats(self.queues(), self.organization_id)
        return sum(one.active for one in stats)

    def mails(self) -> Iterator[Path]:
        """Its mails in the outbox; those of earlier releases by the jobs that are still there."""
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
    """How much there is of an organization; ``bytes``: of its files."""
    jobs: dict[str, dict[str, int]] = {}
    for one in tenant.reader.stats(tenant.queues(), tenant.organization_id):
        states = {state.value: int(getattr(one, state.value)) for state in State}
        if any(states.values()):
            jobs[one.name] = {name: number for name, number in states.items() if number}
    counters = 0
    for found in tenant.traces.walk(tenant.organization_id):
        counters += len(found.keys)
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
