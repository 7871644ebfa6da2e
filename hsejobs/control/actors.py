"""Who reads or acts, through which interface, and which organization they are limited to."""

from __future__ import annotations

import contextlib
import getpass
import os
from dataclasses import dataclass

from hsejobs.errors import Forbidden
from hsejobs.model import ROLES, may_read


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or program. ``door`` is ``python``, ``cli``, ``http``, ``tui`` or ``dashboard``.

    ``organization_id`` limits everything to that organization's jobs; None means all organizations.
    ``user_id`` None means the operating system's user of this process.
    """

    door: str
    role: str = "operator"
    organization_id: str | None = None
    user_id: str | None = None

    @property
    def who(self) -> str:
        """The user's id, or the name of the operating system's user."""
        if self.user_id is not None:
            return self.user_id
        with contextlib.suppress(OSError, KeyError):
            return getpass.getuser()
        return str(os.getuid())

    @property
    def owner(self) -> str | None:
        """The user whose jobs are the only ones that the actor may cancel; None: all that it sees.

        Raises Forbidden.
        """
        if self.role != "member":
            return None
        if self.user_id is None or self.organization_id is None:
            raise Forbidden("this needs the role admin")
        return self.user_id

    def need(self, role: str) -> None:
        """Raises Forbidden unless the actor has this role or a more privileged one."""
        if ROLES.index(self.role) < ROLES.index(role):
            raise Forbidden(f"this needs the role {role}")

    def may_read_contents(self, organization_id: str | None, user_id: str | None) -> bool:
        """Whether the actor may see the contents of this owner's jobs."""
        return may_read(
            self.role,
            self.user_id,
            self.organization_id,
            owner_organization=organization_id,
            owner=user_id,
        )
