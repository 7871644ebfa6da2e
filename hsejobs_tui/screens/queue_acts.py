"""The acts on a whole queue, shared by the overview and the queue's own screen."""

from __future__ import annotations

import re
from dataclasses import replace

from hsejobs.errors import InvalidOption, JobsError
from hsejobs.model import State
from hsejobs.store.read import QueueStats
from hsejobs.store.write import Asked
from hsejobs_tui.dialogs.questions import Ask, Confirm, Working
from hsejobs_tui.screens.base import View

_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def age_ms(text: str) -> int:
    """``90s``, ``5m``, ``1h``, ``7d`` or ``0`` in ms. Raises InvalidOption."""
    found = re.fullmatch(r"(\d{1,6})\s*([smhd]?)", text.strip())
    if found is None or (not found[2] and found[1] != "0"):
        raise InvalidOption("age", "use 0, or a number with s, m, h or d, such as 1h")
    return int(found[1]) * _UNITS.get(found[2], 0)


class QueueActs(View):
    """A screen on which one queue is meant."""

    @property
    def queue(self) -> str | None:
        """The queue that is meant; None when there is none."""
        raise NotImplementedError

    @property
    def cleaned(self) -> State:
        """The state that a clean begins with."""
        return State.COMPLETED

    async def do_pause(self) -> None:
        """Pauses, or resumes what is paused."""
        app, queue = self.jobs_app, self.queue
        if queue is None or app.glance is None:
            return
        paused = next((one.is_paused for one in app.glance.queues if one.name == queue), False)
        if not paused and not await app.push_screen_wait(
            Confirm(f"Pause {queue}?", "Running jobs finish; no new ones begin until P resumes it.")
        ):
            return
        try:
            app.say(await app.do(app.acts.pause, queue, not paused))
        except JobsError as error:
            app.say(error)
        app.poll_soon()

    async def do_clean(self) -> None:
        """State, age, limit; then how many, and the question."""
        app, queue = self.jobs_app, self.queue
        if queue is None:
            return
        line = await app.push_screen_wait(
            Ask(f"Clean {queue}: STATE AGE [LIMIT]",
                "Removes jobs of a state (completed, failed, waiting, delayed) that are older.\n"
                "This cannot be undone. Example: completed 1h 1000", f"{self.cleaned} 1h")
        )  # fmt: skip
        words = line.split()
        if not words:
            return
        try:
            if len(words) not in (2, 3) or words[0] not in list(State):
                raise InvalidOption("clean", "use STATE AGE [LIMIT], such as completed 1h 1000")
            if len(words) == 3 and not (words[2].isdigit() and int(words[2])):
                raise InvalidOption("limit", "use a whole number from 1 on")
            state, grace = State(words[0]), age_ms(words[1])
            limit = int(words[2]) if len(words) == 3 else None
            asked = await app.do(app.acts.ask_clean, queue, state, grace)
        except JobsError as error:
            app.say(error)
            return
        count = min(asked.count, limit or asked.count)
        asked = replace(asked, count=count)
        if not count:
            app.say(f"no {state} job of {queue} is older than {words[1]}")
            return
        text = f"{count:,} {state} jobs older than {words[1]}. This cannot be undone."
        if await app.push_screen_wait(Confirm(f"Clean {queue}?", text, typed=str(count))):
            acts = app.acts
            await app.push_screen_wait(
                Working(f"Cleaning {queue}", count,
                        lambda stop: acts.sweep("clean", queue, asked, stop, state=state,
                                                grace_ms=grace, limit=limit))
            )  # fmt: skip

    async def do_drain(self) -> None:
        """Removes what waits; the count must be typed."""
        app, queue = self.jobs_app, self.queue
        stats = self._stats()
        if queue is None or stats is None:
            return
        count = stats.waiting + stats.delayed
        if not count:
            app.say(f"nothing waits in {queue}")
            return
        text = f"Removes all {count:,} waiting and delayed jobs. This cannot be undone."
        if await app.push_screen_wait(Confirm(f"Drain {queue}?", text, typed=str(count))):
            acts, asked = app.acts, Asked(count, stats.now)
            await app.push_screen_wait(
                Working(f"Draining {queue}", count,
                        lambda stop: acts.sweep("drain", queue, asked, stop))
            )  # fmt: skip

    async def do_obliterate(self) -> None:
        """Removes everything; the queue's name must be typed."""
        app, queue = self.jobs_app, self.queue
        stats = self._stats()
        if queue is None or stats is None:
            return
        count = stats.waiting + stats.delayed + stats.completed + stats.failed + stats.active
        text = f"Removes all {count:,} jobs of {queue} and its counters. This cannot be undone."
        typed, title = queue, f"Obliterate {queue}?"
        if force := stats.active > 0:
            # Without force it would be refused, so what is asked for is said and typed.
            typed, title = f"{queue} force", f"Obliterate {queue} by force?"
            text += (
                f"\n{stats.active:,} jobs RUN: what they do is done, but not noted anywhere. "
                "Better: leave this, P pauses the queue; come back when none runs."
            )
        if await app.push_screen_wait(Confirm(title, text, typed=typed)):
            acts, asked = app.acts, Asked(count, stats.now)
            await app.push_screen_wait(
                Working(f"Obliterating {queue}", count,
                        lambda stop: acts.sweep("obliterate", queue, asked, stop, force=force))
            )  # fmt: skip

    def _stats(self) -> QueueStats | None:
        seen = self.jobs_app.glance
        return next((one for one in seen.queues if one.name == self.queue), None) if seen else None

    async def do_enqueue(self) -> None:
        """A new job of the queue, from the fields that its task requires."""
        from hsejobs_tui.dialogs.editor import write_job

        if self.queue is not None:
            await write_job(self.jobs_app, self.queue, None)
