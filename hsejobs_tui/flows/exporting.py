"""Exporting jobs to a file: ask for its name, write it with a progress bar."""

from __future__ import annotations

from pathlib import Path

from hsejobs.control.filters import Filter
from hsejobs.errors import InvalidOption
from hsejobs.model import State
from hsejobs_tui.core import exporting
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import Working
from hsejobs_tui.flows.asking import ask_until
from hsejobs_tui.session.session import Session


async def export(
    session: Session,
    queue: str,
    state: State | None,
    query: str | Filter,
    what: str = "",
) -> None:
    """Exports the jobs of a state (None: of all) that match.

    ``what``: describes ``query`` if it is no text.
    """
    if session.options.viewer is not None:
        session.show_message(
            "a browser cannot write files: use GET /api/jobs/<queue>/jobs?format=csv", bad=True
        )
        return
    subject = f"{state or 'all'} jobs of {queue}"
    which = what or (query if isinstance(query, str) else "")
    text = (
        f"{safe(subject)}{f' that match {safe(which, 100)}' if which else ''}, with secrets masked."
    )
    text += f"\nA new file in {session.options.home / exporting.FOLDER}; .csv or .jsonl decides its form."
    name = exporting.suggested(queue, str(state or "all"), session.redis_now)

    async def begin(name: str) -> tuple[Path, str, exporting.Tallied]:
        path, form = exporting.place_of(session.options.home, name)
        if path.exists():
            raise InvalidOption("file", f"{path} exists already; choose another")
        states = tuple(State) if state is None else (state,)
        reading = exporting.searching, session.source, queue, states, query, form
        return path, form, await session.read(*reading)

    found = await ask_until(session, "Export to a file", text, begin, name)
    if found is None:
        return
    path, form, search = found
    source = session.source
    await session.ask(
        Working(
            f"Exporting {subject}",
            1,
            lambda stop: exporting.write(source, search, path, form, stop),
            "Esc cancels and removes the file.",
        )
    )
