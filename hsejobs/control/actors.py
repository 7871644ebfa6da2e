"""Who looks or acts, through which door, and what they are confined to."""

from __future__ import annotations

from dataclasses import dataclass

from hsejobs.errors import Forbidden
from hsejobs.model import ROLES, may_read


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or program at a door: ``python``, ``cli``, ``http``, ``tui`` or ``dashboard``.

    ``organization_id`` confines everything to that organization's jobs; None is all of them.
    ``user_id`` is None for whoever runs this process.
    """

    door: str
    role: str = "operator"
    organization_id: str | None = None
    user_id: str | None = None

    def need(self, role: str) -> None:
        """Raises Forbidden unless the role is that one or more."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}")

    def sees_into(self, organization_id: str | None, user_id: str | None) -> bool:
        """Whether the contents of that owner's jobs may be shown."""
        return may_read(
            self.role,
            self.user_id,
            self.organization_id,
            owner_organization=organization_id,
            owner=user_id,
        )
