"""Comparing two jobs."""

from __future__ import annotations

from collections.abc import Sequence

from hsejobs.errors import JobsError
from hsejobs_tui.core import compare as comparison
from hsejobs_tui.dialogs.compare import Compare
from hsejobs_tui.session.session import Session


async def compare(session: Session, queue: str, ids: Sequence[str]) -> None:
    """Shows two selected jobs field by field."""
    if len(ids) != 2:
        session.show_message(
            f"{len(ids)} selected: select two jobs with Space, then compare them", bad=True
        )
        return
    try:
        first, _ = await session.read(session.source.job, queue, ids[0])
        second, _ = await session.read(session.source.job, queue, ids[1])
        lines = await session.read(comparison.lines, first, second)
    except JobsError as error:
        session.show_message(error)
        return
    await session.ask(Compare(first.id, second.id, lines))
