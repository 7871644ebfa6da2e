"""Asking for a line until it can be used: one that is refused stays, to be corrected."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs_tui.dialogs.questions import Ask
from hsejobs_tui.session.session import Session

Used = TypeVar("Used")


async def ask_until(
    session: Session,
    title: str,
    text: str,
    use: Callable[[str], Awaitable[Used]],
    value: str = "",
) -> Used | None:
    """Asks for a line and returns what ``use`` makes of it; None if cancelled.

    A line for which ``use`` raises JobsError is asked for again, with what is wrong with it. Raises
    RedisUnavailable, which no other line would mend.
    """
    told = ""
    while value := (await session.ask(Ask(title, text + told, value, corrects=bool(told)))).strip():
        try:
            return await use(value)
        except RedisUnavailable:
            raise
        except JobsError as error:
            told = f"\n{session.explain(error)}"
    return None
