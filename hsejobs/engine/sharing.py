"""How organizations share a queue, for Python programs that have its code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hsejobs.engine.runtime import Runtime
from hsejobs.handle import acts_of
from hsejobs.store.shares import KEEP

if TYPE_CHECKING:
    from hsejobs.control.acts import Acts
    from hsejobs.control.sharing import QueueTenant, TenantPage


class SharedQueue:
    """The part of a `Queue` that reads and sets how its tenants share it."""

    name: str

    @property
    def runtime(self) -> Runtime:
        """Settings and connections of this process."""
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

        What is not given stays as it is. Returns how the organization stands afterwards, and adds an
        entry to the audit log. Raises InvalidOption, RedisUnavailable.
        """
        from hsejobs.control.sharing import set_tenant

        return set_tenant(
            self._acts(), self.name, organization_id, weight=weight, limit=limit, paused=paused
        )

    def _acts(self) -> Acts:
        return acts_of(self.runtime.redis, self.runtime.prefix)
