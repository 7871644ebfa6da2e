"""The selection of a queue's jobs, and the acts on it."""

from __future__ import annotations

import asyncio
from functools import partial

from hsejobs.control.acts import ACTS
from hsejobs.errors import JobsError
from hsejobs.model import JobRecord, State
from hsejobs.store.write import Seen
from hsejobs_tui.core import applying
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.source import Hits
from hsejobs_tui.core.text import safe
from hsejobs_tui.flows.job_acts import act, act_counted
from hsejobs_tui.screens.finding import Finding


class Marking(Finding):
    """Selects jobs, and acts on the selected ones, on the one under the cursor, or on all that match."""

    def __init__(self, query: str = "") -> None:
        super().__init__(query)
        #: The jobs in the list, by id.
        self._jobs: dict[str, JobRecord] = {}
        #: Versions of the selected jobs at the time of selection.
        self._bound: dict[str, str] = {}
        #: The matching jobs, while they are counted for an act.
        self._counting: Hits | None = None

    @property
    def queue(self) -> str:
        raise NotImplementedError

    @property
    def job(self) -> JobRecord | None:
        """The job under the cursor."""
        return self._jobs.get(self.rows.key or "")

    def do_request(self) -> None:
        from hsejobs_tui.flows.requests import show_request

        show_request(self.session, self.job)

    def do_select(self) -> None:
        """Selects or deselects the job and moves to the next."""
        rows = self.rows
        if rows.key is not None:
            job = self._jobs.get(rows.key)
            self._bound[rows.key] = job.version if job else ""
            rows.mark(rows.marked ^ {rows.key})
            rows.move(1)
            self.draw()

    def do_select_all(self) -> None:
        """Selects all matching jobs, or clears the selection."""
        self.rows.mark(set(), every=not self.rows.all_marked)
        self.draw()

    def lacking(self, command: Command) -> str:
        """A selection is enough; but an act must apply to the state of some of the jobs."""
        rows, on_jobs = self.rows, command.acts_on == "jobs"
        selected = on_jobs and (rows.marked or rows.all_marked)
        why = "" if selected else super().lacking(command)
        if why or not on_jobs:
            return why
        if rows.all_marked:
            states: list[State | None] = [self.state]
        else:
            states = [applying.state_of(one) for one in self._targets()]
        return applying.misfit(command.id, states, self.session.has)

    def _targets(self) -> list[Seen]:
        """Ids and versions of the selected jobs, or of the job under the cursor."""
        rows = self.rows
        if rows.marked:
            return sorted((key, self._bound.get(key, "")) for key in rows.marked)
        return [(self.job.id, self.job.version)] if self.job else []

    async def _count(self, hits: Hits, states: tuple[State, ...]) -> None:
        """Counts all matching jobs into ``hits``; stops when the question closes."""
        session = self.session
        wanted = self.wanted
        try:
            for state in states:
                one = Hits(self.queue, state, bound=hits.bound)
                steps = session.source.search(self.queue, state, wanted, one)
                while await session.do(next, steps, None) is not None:
                    if self._counting is not hits:
                        return
                    await asyncio.sleep(0)
            hits.done = True
        except JobsError as error:
            hits.broken = True
            session.show_message(error)

    async def _act(self, name: str) -> None:
        try:
            await self._act_on(name)
        finally:
            # What was found may have moved.
            self.search_again_soon()

    async def _act_on(self, name: str) -> None:
        session = self.session
        if not self.rows.all_marked:
            if await act(session, name, self.queue, self._targets()):
                self.rows.mark(set())
            return
        states = ACTS[name].states if self.state is None else (self.state,)
        hits = self._counting = Hits(self.queue, states[0])
        self.run_worker(partial(self._count, hits, states), name="count")
        which = f"matching {safe(self.query_text, 60)}" if self.query_text else ""
        try:
            where = self.query_text or ""
            noun = f"{' or '.join(states)} job"
            if await act_counted(session, name, self.queue, noun, which, hits, where):
                self.rows.mark(set())
        finally:
            self._counting = None

    async def do_retry(self) -> None:
        await self._act("retry")

    async def do_remove(self) -> None:
        await self._act("remove")

    async def do_promote(self) -> None:
        await self._act("promote")

    async def do_cancel(self) -> None:
        await self._act("cancel")

    async def do_compare(self) -> None:
        """Compares the two selected jobs."""
        from hsejobs_tui.flows.comparing import compare

        await compare(self.session, self.queue, sorted(self.rows.marked))

    async def do_export(self) -> None:
        """Exports what the list shows: the state, or all, and the search."""
        from hsejobs_tui.flows.exporting import export

        await export(self.session, self.queue, self.state, self.query_text)

    async def do_hold(self) -> None:
        """Holds or lets go the task or the organization of the job under the cursor."""
        from hsejobs_tui.flows.holding import hold

        job = self.job
        tasks = [job.name] if job else []
        await hold(self.session, self.queue, tasks, job.organization_id if job else None)

    async def do_supersede(self) -> None:
        """Edits the job under the cursor and runs the copy instead."""
        from hsejobs_tui.flows.job_writing import rewrite_job

        await rewrite_job(self.session, self.queue, self.job)

    async def do_duplicate(self) -> None:
        from hsejobs_tui.flows.job_writing import write_job

        if self.rows.key:
            await write_job(self.session, self.queue, self.rows.key)

    def do_copy_id(self) -> None:
        if self.rows.key:
            self.app.copy_to_clipboard(self.rows.key)
            self.session.show_message("copied the id")

    def do_link(self) -> None:
        """Copies the address of the job under the cursor."""
        from hsejobs_tui.flows.copying import copy_link

        if self.rows.key:
            copy_link(self.session, self.app.copy_to_clipboard, self.queue, self.rows.key)
