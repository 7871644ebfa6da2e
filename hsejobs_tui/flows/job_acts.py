"""The acts on jobs, shared by the list, the job and the failures: asked, run, reported."""

from __future__ import annotations

from collections.abc import Sequence

from hsejobs.errors import JobsError
from hsejobs.store.write import Seen
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.acts import PAST, UNDO_JOBS, UNDO_SECONDS
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.counting import Counted, Counting
from hsejobs_tui.dialogs.questions import Confirm, Working

#: From so many jobs on an act shows its bar.
BAR = 200


async def act(app: JobsApp, name: str, queue: str, jobs: Sequence[Seen]) -> bool:
    """Retries, removes or promotes these jobs, after the question that fits; False if left."""
    wanted = tuple(jobs)
    count = len(wanted)
    if not count:
        app.say("no job is meant: the one under the cursor went away", bad=True)
        return False
    subject = f"job {safe(wanted[0][0], 60)}" if count == 1 else f"{count:,} jobs"
    if name == "remove" or count > 1:
        typed = str(count) if count > 1 else ""
        asked = f"{name.capitalize()} {subject}?"
        if not await app.push_screen_wait(Confirm(asked, _about(name, queue), typed=typed)):
            return False
    return await _run(app, name, queue, wanted, subject)


async def act_counted(app: JobsApp, name: str, queue: str, about: str, counting: Counting) -> bool:
    """The same with all that are counted when the question is fixed; ``about`` names them."""
    question = Counted(name.capitalize(), about, _about(name, queue), counting)
    if not await app.push_screen_wait(question) or not question.fixed:
        return False
    return await _run(app, name, queue, question.fixed, f"{len(question.fixed):,} jobs")


def _about(name: str, queue: str) -> str:
    text = f"Queue {queue}. What comes later, or moves on, stays."
    if name == "remove":
        text += f" u brings them back for {UNDO_SECONDS:.0f} s, from this TUI's memory only"
        text += f" (at most {UNDO_JOBS:,} jobs)."
    return text


async def _run(app: JobsApp, name: str, queue: str, wanted: tuple[Seen, ...], subject: str) -> bool:
    count = len(wanted)
    if count >= BAR:
        await app.push_screen_wait(
            Working(f"{name.capitalize()} {subject} of {queue}", count,
                    lambda stop: app.acts.many(name, queue, wanted, stop))
        )  # fmt: skip
        return True
    try:
        progress = await app.do(lambda: list(app.acts.many(name, queue, wanted))[-1])
    except JobsError as error:
        app.say(error)
        return False
    if count == 1:
        # A list moves: which job it was is said, not how many.
        reason = next(iter(progress.refused), "")
        undo = f"; u brings it back for {UNDO_SECONDS:.0f} s" if progress.undoable else ""
        done = f"{PAST[name]} {subject}{undo}"
        app.say(f"{subject} was not {PAST[name]}: {reason}" if reason else done, bad=bool(reason))
    else:
        why = app.explain(progress.error) if progress.error else ""
        app.say(progress.report(why), bad=bool(progress.refused or why))
    app.poll_soon()
    return True
