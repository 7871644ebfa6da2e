"""How organizations share a queue, and which tasks are held, for Python programs that have its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsejobs.engine.runtime import Runtime
from hsejobs.handle import acts_of
from hsejobs.store.shares import KEEP

if TYPE_CHECKING:
    from hsejobs.control.acts import Acts
    from hsejobs.control.holding import TaskHold, TaskHolds
    from hsejobs.control.sharing import QueueTenant, TenantPage
    from hsejobs.store.description import QueueInfo


class SharedQueue:
    """The part of a `Queue` that reads and sets how its tenants share it, and holds its tasks."""

    name: str

    @property
    def runtime(self) -> Runtime:
        """Settings and connections of this process."""
        raise NotImplementedError

    def describe(self) -> QueueInfo:
        """The queue's description."""
        raise NotImplementedError

    def tenants(self, *, limit: int = 50, cursor: str | None = None) -> TenantPage:
        """A page of the queue's tenants, the busiest first; ``limit``: 1 to 200.

        ``cursor`` is the ``next`` of the previous page. Raises InvalidOption, RedisUnavailable.
        """
        from hsejobs.control.sharing import list_tenants

        return list_tenants(self._acts(), self.name, limit=limit, cursor=cursor)

    def set_tenant(
        self,
        organization_id: str,
        *,
        weight: int = KEEP,
        limit: int | None = KEEP,
        paused: bool = KEEP,
    ) -> QueueTenant:
        """Sets an organization's weight (1 to 1,000), limit (None: none of its own) or pause.

        What is not given stays as it is; one must be given. Returns how the organization stands
        afterwards, and adds an entry to the audit log. Raises InvalidOption, RedisUnavailable.
        """
        from hsejobs.control.sharing import set_tenant

        return set_tenant(
            self._acts(), self.name, organization_id, weight=weight, limit=limit, paused=paused
        )

    def list_tasks(self) -> TaskHolds:
        """The queue's tasks, those that are held first. Raises RedisUnavailable."""
        from hsejobs.control.holding import list_tasks

        return list_tasks(self._acts(), self.describe())

    def set_task(self, task: str, *, paused: bool) -> TaskHold:
        """Holds a task, or lets it go: none of its jobs starts while it is held.

        ``task``: its full or short name. Jobs that run go on. Returns how it stands afterwards, and adds
        an entry to the audit log. Raises UnknownTask, RedisUnavailable.
        """
        from hsejobs.control.holding import set_task

        return set_task(self._acts(), self.describe(), task, paused=paused)

    def _acts(self) -> Acts:
        return acts_of(self.runtime.redis, self.runtime.prefix)
