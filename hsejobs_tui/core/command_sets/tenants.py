"""Commands of the Tenants screen."""

from __future__ import annotations

from hsejobs_tui.core.command import Command

_SCOPE = ("tenants",)
COMMANDS: tuple[Command, ...] = (
    Command(
        "tenant_jobs",
        "enter",
        "Jobs",
        "List the tenant's jobs.",
        _SCOPE,
        whole=True,
        acts_on="row",
    ),
    Command(
        "tenant_hold",
        "H",
        "Hold/let go",
        "Hold a tenant: its running jobs finish, its others wait; or let it go.",
        _SCOPE,
        writes=True,
        whole=True,
        brief="Hold",
        acts_on="row",
    ),
    Command(
        "tenant_edit",
        "W",
        "Weight, limit",
        "Set a tenant's weight, and how many of its jobs may run at once.",
        _SCOPE,
        writes=True,
        whole=True,
        acts_on="row",
    ),
    Command(
        "tenant_next",
        "tab,l",
        "Next queue",
        "Show the tenants of the next queue.",
        _SCOPE,
        whole=True,
    ),
    Command(
        "tenant_last",
        "shift+tab,h",
        "Previous queue",
        "Show the tenants of the queue before.",
        _SCOPE,
        whole=True,
        footer=False,
    ),
)
