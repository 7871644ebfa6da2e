"""A screen on which one queue is meant: its acts.

Dialogs, and what they are made of, are loaded with the first act: the first frame needs none.
"""

from __future__ import annotations

from hsejobs.model import State
from hsejobs_tui.screens.base import View


class OneQueue(View):
    """What the overview and the queue's own screen share."""

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
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.pause(self.session, self.queue)

    async def do_clean(self) -> None:
        """Removes jobs of a state by age."""
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.clean(self.session, self.queue, self.cleaned)

    async def do_drain(self) -> None:
        """Removes what waits or is delayed."""
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.drain(self.session, self.queue)

    async def do_obliterate(self) -> None:
        """Removes everything."""
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.obliterate(self.session, self.queue)

    async def do_enqueue(self) -> None:
        """A new job of the queue, from the fields that its task requires."""
        from hsejobs_tui.flows.job_writing import write_job

        if self.queue is not None:
            await write_job(self.session, self.queue, None)
