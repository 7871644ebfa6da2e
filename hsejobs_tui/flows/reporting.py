"""Writing the report of a span: gather, write, say where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hsejobs.control.findings import Chosen
from hsejobs.errors import JobsError
from hsejobs_tui.session.session import Session


async def write_report(
    session: Session, queues: Sequence[str], start: int, end: int, only: Chosen | None
) -> None:
    """Writes the report of these queues, or of one part of them, from ``start`` to ``end`` (ms).

    Shows its path.
    """
    from hsejobs.control import incident

    if session.options.viewer is not None:
        # The file would be on the server, out of the reader's reach.
        session.show_message("a browser cannot write a report: use hsejobs tui", bad=True)
        return
    source, options = session.source, session.options

    def write() -> Path:
        found = incident.gather(
            source.redis, options.prefix, queues, start, end, source.actor, source.infos, only
        )
        return incident.write(options.home, found)

    try:
        path = await session.do(write)
    except JobsError as error:
        session.show_message(error)
    except OSError as error:
        session.show_message(f"the report cannot be written: {error.strerror}", bad=True)
    else:
        # A line breaks in the folder rather than in the name.
        session.show_message(f"wrote {path.name} in {path.parent}")
