"""The actor of a TUI session and its acts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hsejobs.control.actors import Actor
from hsejobs.settings import redact_url
from hsejobs.store.client import RedisClient
from hsejobs_tui.core.options import Options

if TYPE_CHECKING:
    from hsejobs.control.acts import Acts
    from hsejobs.control.progress import Clock


def actor_of(options: Options) -> Actor:
    """The actor: the user of this process, or the browser's user."""
    viewer = options.viewer
    if viewer is None:
        return Actor("tui", organization_id=options.organization_id)
    return Actor("dashboard", viewer.role, options.organization_id, viewer.user_id)


def acts_of(options: Options, client: RedisClient, clock: Clock = time.monotonic) -> Acts:
    """The session's acts, with undo; a read-only session has none."""
    # Not needed for the frame of `hsejobs tui --once`.
    from hsejobs.control.acts import Acts
    from hsejobs.control.audit import FileLog

    # The Redis address is hidden from a browser, but recorded in the audit log on the server.
    place = redact_url(options.url) if options.viewer else options.place
    return Acts(
        client,
        options.prefix,
        actor_of(options),
        FileLog(options.home, place),
        read_only=options.read_only,
        undo=True,
        clock=clock,
    )
