"""Acts on jobs, shared by the queue, job and failures screens: ask, run, report."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hsejobs.control.acts import ACTS, PAST, UNDO_JOBS, UNDO_SECONDS
from hsejobs.errors import JobsError
from hsejobs.model import check_reason
from hsejobs.store.write import Seen
from hsejobs.wording import counted, verb
from hsejobs_tui.core.applying import split, state_of, states_text
from hsejobs_tui.core.text import nothing_to, safe
from hsejobs_tui.dialogs.counting import Counted, Counting, none_of
from hsejobs_tui.dialogs.questions import Check, Confirm, Working
from hsejobs_tui.session.session import Session

#: Number of jobs from which an act shows a progress bar.
BAR = 200
#: Hundredths of a second that a question waits for the end of the count.
SHORT_COUNT = 30
#: Acts whose question also asks for a reason.
CHECKS: dict[str, Check] = {"cancel": check_reason}


async def act(session: Session, name: str, queue: str, jobs: Sequence[Seen]) -> bool:
    """Retries, removes, promotes or cancels these jobs after a confirmation; False if it was not given.

    Jobs that were seen in a state to which the act does not apply stay as they are; the question says so.
    """
    fit, others = split(name, jobs)
    wanted = tuple(fit)
    count = len(wanted)
    if not count:
        session.show_message("no job is selected: the one under the cursor is gone", bad=True)
        return False
    subject = f"job {safe(wanted[0][0], 60)}" if count == 1 else counted(count, "job")
    question = Confirm(
        f"{name.capitalize()} {subject}?",
        _others(name, others) + _explanation(name, queue),
        str(count) if count > ACTS[name].untyped else "",
        CHECKS.get(name),
        count if 1 < count <= ACTS[name].untyped else 0,
    )
    if not await session.confirm(name, question, count):
        return False
    if others and not ACTS[name].asks(count):
        session.show_message(_others(name, others))
    return await run(session, name, queue, wanted, subject, question.reason)


async def act_counted(
    session: Session,
    name: str,
    queue: str,
    noun: str,
    which: str,
    counting: Counting,
    where: str,
) -> bool:
    """Acts on all jobs that are counted when the question is fixed; False if cancelled.

    Without jobs it says so and asks nothing: True, as nothing is left to be acted on.

    ``noun`` and ``which`` describe them: ``failed job``, ``matching x``. ``where``: the same as a
    filter, for the audit log.
    """
    text, check, untyped = _explanation(name, queue), CHECKS.get(name), ACTS[name].untyped
    # A short count is over before the question: what is typed ahead then answers it.
    for _ in range(SHORT_COUNT):
        if counting.over or counting.broken:
            break
        await asyncio.sleep(0.01)
    if counting.over and not counting.bound:
        session.show_message(nothing_to(name.capitalize(), none_of(noun, which)))
        return True
    question = Counted(name.capitalize(), noun, which, text, counting, check, typed=untyped == 1)
    if not await session.ask(question) or not question.fixed:
        return question.fixed == ()
    count = len(question.fixed)
    subject = counted(count, "job")
    if 1 < untyped < count and not await session.ask(
        Confirm(f"Really {name} {subject}?", text, str(count))
    ):
        return False
    return await run(session, name, queue, question.fixed, subject, question.reason, where)


def _others(name: str, others: Sequence[Seen]) -> str:
    """What the question says of selected jobs that the act does not change."""
    if not others:
        return ""
    states = states_text(one for one in map(state_of, others) if one is not None)
    stay = verb(len(others), "stays as it is", "stay as they are")
    return f"{counted(len(others), 'other job')} {stay}: {states}, not to be {PAST[name]}. "


def _explanation(name: str, queue: str) -> str:
    text = f"Queue {queue}. Jobs that are added or change state meanwhile are not affected."
    if name == "remove":
        text += f" u restores removed jobs for {UNDO_SECONDS:.0f} s, from this TUI's memory only"
        text += f" (at most {UNDO_JOBS:,} jobs)."
    elif name == "retry":
        text += f" u takes back, for {UNDO_SECONDS:.0f} s, those that have not begun."
    elif name == "cancel":
        text += " Waiting and delayed jobs fail now; running ones are interrupted. None is retried."
    return text


async def run(
    session: Session,
    name: str,
    queue: str,
    wanted: tuple[Seen, ...],
    subject: str,
    reason: str | None = None,
    where: str | None = None,
) -> bool:
    """Does what was confirmed, with a progress bar for many jobs, and reports it."""
    count = len(wanted)
    if count >= BAR:
        await session.ask(
            Working(
                f"{name.capitalize()} {subject} of {queue}",
                count,
                lambda stop: session.acts.many(name, queue, wanted, stop, reason, where),
            )
        )
        return True
    try:
        steps = session.acts.many(name, queue, wanted, reason=reason, where=where)
        progress = await session.do(lambda: list(steps)[-1])
    except JobsError as error:
        session.show_message(error)
        return False
    if count == 1:
        # Lists move, so the message names the job instead of a count.
        reason = next(iter(progress.refused), "")
        undo = f"; u restores it for {UNDO_SECONDS:.0f} s" if progress.undoable else ""
        if name == "cancel":
            # A thread that does not look, or a process in its grace, still runs for a while.
            undo = "; if it runs, it is asked to stop"
        done = f"{PAST[name]} {subject}{undo}"
        session.show_message(
            f"{subject} was not {PAST[name]}: {reason}" if reason else done, bad=bool(reason)
        )
    else:
        why = session.explain(progress.error) if progress.error else ""
        session.show_message(progress.report(why), bad=bool(progress.refused or why))
    session.poll_soon()
    return True
