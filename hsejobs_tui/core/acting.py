"""Who acts in a session of the TUI, and the acts that it has."""

from __future__ import annotations

import time

from hsejobs.control.actors import Actor
from hsejobs.control.acts import Acts
from hsejobs.control.audit import FileLog
from hsejobs.control.progress import Clock
from hsejobs.settings import redact_url
from hsejobs.store.client import RedisClient
from hsejobs_tui.core.options import Options


def actor_of(options: Options) -> Actor:
    """The person in front: whoever runs this process, or the browser's user."""
    viewer = options.viewer
    if viewer is None:
        return Actor("tui", organization_id=options.organization_id)
    return Actor("dashboard", viewer.role, options.organization_id, viewer.user_id)


def acts_of(options: Options, link: RedisClient, clock: Clock = time.monotonic) -> Acts:
    """The session's acts, with undo; read-only it has none."""
    # A browser is told nothing of Redis' address, but the log on the server's disk is.
    place = redact_url(options.url) if options.viewer else options.place
    return Acts(
        link,
        options.prefix,
        actor_of(options),
        FileLog(options.home, place),
        read_only=options.read_only,
        undo=True,
        clock=clock,
    )
