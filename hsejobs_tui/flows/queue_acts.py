"""Acts on a whole queue: ask, run, report."""

from __future__ import annotations

from hsejobs.control.act_table import ACTS
from hsejobs.control.durations import parse_duration
from hsejobs.errors import InvalidOption, JobsError
from hsejobs.model import State
from hsejobs.store.write import Selection
from hsejobs.wording import all_of, counted, verb
from hsejobs_tui.core.text import nothing_to, whole_number
from hsejobs_tui.dialogs.questions import Confirm, Working
from hsejobs_tui.flows.asking import ask_until
from hsejobs_tui.session.session import Session


async def pause(session: Session, queue: str) -> None:
    """Pauses the queue, or resumes it if it is paused."""
    if session.snapshot is None:
        return
    stats = session.stats(queue)
    paused = stats is not None and stats.is_paused
    act = "resume" if paused else "pause"
    text = "Running jobs finish; no new ones start until P resumes the queue."
    if not await session.confirm(
        act, Confirm(f"{act.capitalize()} {queue}?", "" if paused else text)
    ):
        return
    try:
        since = stats.paused_at if stats is not None and paused else None
        session.show_message(
            await session.do(lambda: session.acts.pause(queue, not paused, since=since))
        )
    except JobsError as error:
        session.show_message(error)
    session.poll_soon()


async def clean(session: Session, queue: str, first: State) -> None:
    """Asks for state, age and limit, then confirms the count; ``first``: the suggested state."""

    async def select(line: str) -> tuple[State, int, int | None, str, Selection]:
        words = line.split()
        if len(words) not in (2, 3) or words[0] not in list(State):
            raise InvalidOption("clean", "must be STATE AGE [LIMIT], such as completed 1h 1000")
        limit = whole_number(words[2]) if len(words) == 3 else None
        if len(words) == 3 and not limit:
            raise InvalidOption(
                "limit", "must be a whole number of 1 or more, of at most nine digits"
            )
        state, grace = State(words[0]), parse_duration(words[1], "age")
        selection = await session.do(session.acts.select_clean, queue, state, grace, limit)
        younger = _count(session, queue, state)
        if not selection.count and younger:
            # The question stays: while Redis is full, the jobs of the last minutes are the ones to remove.
            every = all_of(younger, f"{state} job")
            problem = f"{every} of {queue} {verb(younger, 'is', 'are')} younger than {words[1]}"
            raise InvalidOption("age", f"{problem}: type a shorter one")
        return state, grace, limit, words[1], selection

    if not any(_count(session, queue, state) for state in ACTS["clean"].states):
        why = f"{queue} has no waiting, delayed, completed or failed jobs."
        session.show_message(nothing_to("Clean", why))
        return
    text = "Removes jobs of a state (completed, failed, waiting, delayed) older than AGE.\n"
    text += "This cannot be undone. Example: completed 1h 1000"
    title = f"Clean {queue}: STATE AGE [LIMIT]"
    chosen = await ask_until(session, title, text, select, f"{first} 1h")
    if chosen is None:
        return
    state, grace, limit, age, selection = chosen
    count = selection.count
    if not count:
        session.show_message(nothing_to("Clean", f"{queue} has no {state} jobs."))
        return
    text = f"{counted(count, f'{state} job')} older than {age}. This cannot be undone."
    if await session.confirm("clean", Confirm(f"Clean {queue}?", text, typed=str(count))):
        acts = session.acts
        await session.ask(
            Working(
                f"Cleaning {queue}",
                count,
                lambda stop: acts.sweep(
                    "clean", queue, selection, stop, state=state, grace_ms=grace, limit=limit
                ),
            )
        )


def _count(session: Session, queue: str, state: State) -> int:
    """How many jobs of a queue were in a state at the latest poll."""
    stats = session.stats(queue)
    return getattr(stats, state.value) if stats is not None else 0


async def drain(session: Session, queue: str) -> None:
    """Removes all waiting and delayed jobs; the count must be typed."""
    stats = session.stats(queue)
    if stats is None:
        return
    count = stats.waiting + stats.delayed
    if not count:
        session.show_message(nothing_to("Drain", f"{queue} has no waiting or delayed jobs."))
        return
    every = all_of(count, f"waiting {verb(count, 'or', 'and')} delayed job")
    text = f"Removes {every}. This cannot be undone."
    if await session.confirm("drain", Confirm(f"Drain {queue}?", text, typed=str(count))):
        acts, selection = session.acts, Selection(count, stats.now)
        await session.ask(
            Working(
                f"Draining {queue}", count, lambda stop: acts.sweep("drain", queue, selection, stop)
            )
        )


async def obliterate(session: Session, queue: str) -> None:
    """Removes all jobs, and what is set for tenants; the queue's name must be typed."""
    stats = session.stats(queue)
    if stats is None:
        return
    count = stats.waiting + stats.delayed + stats.completed + stats.failed + stats.active
    text = f"Removes {all_of(count, 'job')} of {queue}, and its tenants' settings. This cannot be undone."
    typed, title = queue, f"Obliterate {queue}?"
    if force := stats.active > 0:
        # Active jobs need force, so the question names it and it must be typed.
        typed, title = f"{queue} force", f"Obliterate {queue} by force?"
        run = f"{counted(stats.active, 'job')} {verb(stats.active, 'IS', 'ARE')} RUNNING"
        what = verb(stats.active, "its outcome", "their outcomes")
        text += (
            f"\n{run}: {what} will not be recorded. "
            "Better: cancel, pause the queue with P, and retry when no job is running."
        )
    if await session.confirm("obliterate", Confirm(title, text, typed=typed)):
        acts, selection = session.acts, Selection(count, stats.now)
        await session.ask(
            Working(
                f"Obliterating {queue}",
                count,
                lambda stop: acts.sweep("obliterate", queue, selection, stop, force=force),
            )
        )
