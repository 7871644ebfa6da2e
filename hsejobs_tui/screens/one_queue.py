"""A screen with a current queue, and the acts on that queue.

Dialogs and flows are imported with the first act, because the first frame does not need them.
"""

from __future__ import annotations

from hsejobs.model import State
from hsejobs_tui.core.command import Command
from hsejobs_tui.screens.base import View, why_no_row


class OneQueue(View):
    """The acts shared by the overview and the queue's own screen."""

    @property
    def queue(self) -> str | None:
        """The current queue; None when there is none."""
        raise NotImplementedError

    @property
    def cleaned(self) -> State:
        """The state that the clean dialog suggests."""
        return State.COMPLETED

    def lacking(self, command: Command) -> str:
        """What acts on the queue needs no row of a list, but the queue's figures."""
        if command.acts_on != "queue":
            return super().lacking(command)
        if self.queue is None:
            return why_no_row(self.rows)
        unknown = self.session.stats(self.queue) is None
        return "The queue has not been read yet, or is gone." if unknown else ""

    async def do_pause(self) -> None:
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.pause(self.session, self.queue)

    async def do_hold(self) -> None:
        """Holds a task of the queue or an organization there, or lets it go."""
        from hsejobs_tui.flows.holding import hold

        if self.queue is not None:
            await hold(self.session, self.queue, busy=self.busy)

    @property
    def busy(self) -> str | None:
        """The organization that the screen says keeps the queue busy, if it says so."""
        return None

    async def do_clean(self) -> None:
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.clean(self.session, self.queue, self.cleaned)

    async def do_drain(self) -> None:
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.drain(self.session, self.queue)

    async def do_obliterate(self) -> None:
        from hsejobs_tui.flows import queue_acts

        if self.queue is not None:
            await queue_acts.obliterate(self.session, self.queue)

    async def do_enqueue(self) -> None:
        """Writes a new job, starting with the fields that its task requires."""
        from hsejobs_tui.flows.job_writing import write_job

        if self.queue is not None:
            await write_job(self.session, self.queue, None)
