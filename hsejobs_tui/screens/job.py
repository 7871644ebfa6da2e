"""One job: why it is where it is, its attempts, errors, family, payload, result, history and log."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from hsejobs.control.act_table import ACTS
from hsejobs.errors import JobNotFound, JobsError
from hsejobs.model import FINISHED, JobRecord, State
from hsejobs_tui.core import lineage
from hsejobs_tui.core.applying import misfit
from hsejobs_tui.core.attempts import attempts, slot_of
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.joblist import stands_still
from hsejobs_tui.core.text import duration, one_line, safe
from hsejobs_tui.core.view import AHEAD, LOOK, timeline
from hsejobs_tui.flows.job_acts import act
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace, Place
from hsejobs_tui.widgets import job_parts
from hsejobs_tui.widgets.bars import bars
from hsejobs_tui.widgets.family import FamilyTree
from hsejobs_tui.widgets.job_parts import Workers
from hsejobs_tui.widgets.jsontree import JsonTree

#: Width in cells from which payload and log are side by side.
SIDE = 140
#: Seconds between two reads of the family and the neighbors.
AGAIN = 5.0


class JobView(View):
    SCOPE: ClassVar[str] = "job"
    NEEDED: ClassVar[tuple[str, ...]] = ("follow", "cancel", "retry", "supersede", "request")

    def __init__(self, queue: str, job_id: str) -> None:
        super().__init__()
        self.queue, self.job_id = queue, job_id
        self.job: JobRecord | None = None
        self.lines: list[str] = []
        self.missing = False
        #: Whether the end of the log stays in view, and whether tracebacks are shown as a whole.
        self.following = self.whole = False
        self._drawn: object = None
        #: The data that the payload's and the result's trees show.
        self._data: object = None
        self._result: object = None
        #: What each part shows, and what its height depends on, by the id of its widget.
        self._shown: dict[str, tuple[object, object]] = {}
        self._family: Worker[object] | None = None
        self._family_at = float("-inf")

    def body(self) -> ComposeResult:
        """A placeholder until the job has been read."""
        with VerticalScroll(id="job"):
            yield Static(" Reading ...", id="nothing", markup=False)

    @property
    def reading(self) -> bool:
        """Whether it is not known yet if the job exists."""
        return self.job is None and not self.missing

    def on_mount(self) -> None:
        """Focuses the body, so that arrow keys scroll."""
        self.query_one("#job").focus()

    @property
    def place(self) -> Place:
        return JobPlace(self.queue, self.job_id)

    def offers(self, command: Command) -> bool:
        """In the footer, what can be done in the state of the job."""
        if self.job is None:
            return command.footer
        if command.id == "supersede":
            return self.job.status is State.FAILED
        if command.id == "request":
            return self.job.request_id is not None
        if command.id not in ("cancel", "retry", "remove"):
            return super().offers(command)
        return self.job.status in ACTS[command.id].states

    @property
    def has_read(self) -> bool:
        return not self.reading

    def draw(self) -> None:
        """Draws the head line; before the job is read, also why it is not."""
        super().draw()
        if self.reading:
            self.set_text("nothing", Text(f" {self.session.unread}"))

    def subject(self) -> Text:
        """The queue and the job's id."""
        name = Text(f"{self.queue} / {safe(self.job_id, 60)}")
        # Truncate by cells, not characters, so that the state is visible with any id.
        plain = self.session.options.ascii_only
        name.truncate(max(20, self.size.width - 24), overflow="crop" if plain else "ellipsis")
        return name

    def head(self) -> Text:
        text = self.subject() + "  "
        if self.missing:
            return text.append("this job is gone: it was removed or its retention ended", "bold")
        if self.job is not None:
            glyph, letter, color = LOOK[self.job.status]
            sign = letter if self.session.options.ascii_only else glyph
            text.append(f"{sign} {self.job.status}", f"bold {color}")
            if self.job.status not in FINISHED and self.job.progress:
                text.append(f"  {self.job.progress:.0f}%")
                if self.following and self.job.progress_message:
                    text.append(f"  {one_line(self.job.progress_message, 80)}", "not bold")
            if (still := stands_still(self.job, self.session.redis_now)) is not None:
                text.append(f"  no progress for {duration(still)}", "bold warn")
            if self.job.superseded_by:
                text.append("  superseded", "bold warn")
        if self.following:
            text.append("  FOLLOWING", "bold note")
        return text

    @property
    def consumers(self) -> Workers:
        """The heartbeats of the queue's consumers; none in a session of one organization."""
        seen = self.session.snapshot
        return [] if seen is None else seen.workers.get(self.queue, [])

    # -- reading and drawing

    async def poll(self) -> None:
        """Reads the job and draws it if it changed."""
        try:
            job, lines = await self.session.read(self.session.source.job, self.queue, self.job_id)
        except JobNotFound:
            self.missing = True
            for one in self.query("#nothing"):
                cast(Static, one).update(" No such job: it was removed or its retention ended.")
            return
        self.missing = False
        self.job, self.lines = job, lines
        if await self._draw_if_changed() and self.following:
            self.do_bottom()
        session = self.session
        # A read that takes longer than that is not begun again each time.
        reads = self._family is not None and not self._family.is_finished
        if not reads and session.now() - self._family_at > AGAIN:
            self._family_at = session.now()
            work, name = self._read_family, "family"
            self._family = self.run_worker(work, name=name, group=name, exclusive=True)

    async def _read_family(self) -> None:
        """Reads what is around the job: its family, and the jobs before and after it in its state."""
        session, job = self.session, self.job
        if job is None:
            return
        count = max(9, min(40, self.app.size.height // 2))
        try:
            nodes = await session.do(lineage.read, session.source, self.queue, self.job_id)
            seen = await session.do(
                session.source.window,
                self.queue,
                job.status,
                limit=count,
                reverse=job.status not in AHEAD,
                anchor=self.job_id,
                anchor_row=count // 2,
            )
        except JobsError:
            # The job is gone, or Redis does not answer: the screen says so already.
            return
        for one in self.query(FamilyTree):
            one.show(nodes)
        plain = session.options.ascii_only
        others = job_parts.neighbors(job, seen.rows, seen.now, ascii_only=plain)
        for place in self.query("#around"):
            cast(Static, place).update(others)

    async def _draw_if_changed(self) -> bool:
        job = self.job
        if job is None:
            return False
        slot = slot_of(job.id, self.consumers)
        version: object = (job_parts.version(job), self.whole, self.size.width, slot)
        if job.status not in FINISHED:
            # How long it waits or runs moves with the clock.
            version = (version, self.session.redis_now // 1000)
        if version == self._drawn:
            return False
        self._drawn = version
        await self._draw_job(job)
        return True

    async def _draw_job(self, job: JobRecord) -> None:
        plain = self.session.options.ascii_only
        # A tree remembers collapsed nodes, so it is rebuilt only when its data changes.
        if self._data != (data := (job.created_at, job.data)):
            self._data, self._result = data, None
            await self._build(job, plain=plain)
        if self._result != job.result:
            self._result = job.result
            await self._body.query("#result").remove()
            if job.result is not None:
                tree: Widget = JsonTree("result", job.result, ascii_only=plain)
                tree.id = "result"
                await self.query_one("#data").mount(tree)
        now, width = self.session.redis_now, self.size.width
        self.query_one("#pair").set_class(width >= SIDE, "-side")
        workers = self.consumers
        why, known = job_parts.reason(job), job_parts.facts(job, now, workers)
        lines = bars(attempts(job, now, workers), width, ascii_only=plain)
        self._set_part(
            "facts",
            (why, known, width),
            lambda: job_parts.head(why, known, width),
            job_parts.head_size(why, known, width),
        )
        # All but the first line are cut at the end of the line.
        size = len(lines), lines and lines[0].cell_len, width
        self._set_part("course", lines, lambda: job_parts.course(lines), size)
        failed = (job.errors, self.whole)
        self._set_part("errors", failed, lambda: job_parts.failures(job, whole=self.whole))
        self._set_part("past", timeline(job), lambda: job_parts.history(job))
        log = (job.log_count, self.lines)
        self._set_part("log", log, lambda: job_parts.log(job, self.lines))
        self.query_one("#errors").display = bool(job.errors)

    def _set_part(
        self, name: str, shows: object, made: Callable[[], Group], size: object = None
    ) -> None:
        """Draws a part if it shows something new, and divides the screen again if ``size`` changed.

        Of a job that runs, the facts and the attempts move with the clock, the rest stays.
        """
        size = shows if size is None else size
        before, size_before = self._shown.get(name, (None, None))
        if before != shows:
            self._shown[name] = shows, size
            self.query_one(f"#{name}", Static).update(made(), layout=size != size_before)

    async def _build(self, job: JobRecord, *, plain: bool) -> None:
        body = self._body
        await body.remove_children()
        self._shown = {}
        tree = JsonTree("payload", job.data, ascii_only=plain)
        await body.mount(
            Static(id="facts", markup=False),
            Static(id="course", markup=False),
            Static(id="errors", markup=False),
            FamilyTree(ascii_only=plain),
            Horizontal(
                Vertical(tree, id="data"),
                Static(id="log", markup=False),
                id="pair",
            ),
            Static(id="past", markup=False),
            Static(id="around", markup=False),
        )
        self._family_at = float("-inf")
        self._family = None

    async def on_resize(self) -> None:
        """Draws again, because the columns depend on the width."""
        await self._draw_if_changed()

    # -- moving

    @property
    def _body(self) -> VerticalScroll:
        return self.query_one("#job", VerticalScroll)

    def do_down(self) -> None:
        self._body.scroll_down(animate=False)

    def do_up(self) -> None:
        self._body.scroll_up(animate=False)

    def do_page_down(self) -> None:
        self._body.scroll_page_down(animate=False)

    def do_page_up(self) -> None:
        self._body.scroll_page_up(animate=False)

    def do_half_down(self) -> None:
        self._body.scroll_relative(y=self._body.size.height // 2, animate=False)

    def do_half_up(self) -> None:
        self._body.scroll_relative(y=-(self._body.size.height // 2), animate=False)

    def do_top(self) -> None:
        self._body.scroll_home(animate=False)

    def do_bottom(self) -> None:
        self._body.scroll_end(animate=False)

    def do_open(self) -> None:
        """Goes to the family tree, where Enter opens the job under the cursor."""
        for one in self.query(FamilyTree):
            if one.display:
                one.focus()
                one.scroll_visible(animate=False)
                return
        self.session.show_message("this job has no family: no job added it, and it added none")

    def on_family_tree_opened(self, event: FamilyTree.Opened) -> None:
        """Opens a relative in place of this job; Esc leads back to the list."""
        if event.node.status is None:
            self.session.show_message("this job was removed or its retention ended", bad=True)
            return
        self.session.open(JobPlace(event.node.queue, event.node.id), replace=True)

    async def do_follow(self) -> None:
        """Keeps the end of the log in view, with only what changes above it; or stops doing so."""
        self.following = not self.following
        self._body.set_class(self.following, "-follow")
        self.draw()
        if self.following:
            self.call_after_refresh(self.do_bottom)
        else:
            self.do_top()

    async def do_whole(self) -> None:
        """Shows the complete tracebacks, or folds them again."""
        self.whole = not self.whole
        await self._draw_if_changed()

    # -- acts

    def lacking(self, command: Command) -> str:
        """Why there is no job to act on, or not by this act. Its address is known without it."""
        if not command.acts_on or command.id == "link":
            return ""
        if self.missing:
            return "The job is gone: it was removed, or its retention ended."
        if self.job is None:
            return "The job is being read."
        on_jobs = command.acts_on == "jobs"
        return misfit(command.id, [self.job.status], self.session.has) if on_jobs else ""

    async def _act(self, name: str) -> None:
        seen = [] if self.missing or self.job is None else [(self.job_id, self.job.version)]
        await act(self.session, name, self.queue, seen)

    async def do_retry(self) -> None:
        await self._act("retry")

    async def do_remove(self) -> None:
        await self._act("remove")

    async def do_promote(self) -> None:
        await self._act("promote")

    async def do_cancel(self) -> None:
        await self._act("cancel")

    async def do_copy(self) -> None:
        """Asks for a field and copies it."""
        from hsejobs_tui.flows.copying import copy_field

        if self.job is not None:
            await copy_field(self.session, self.app.copy_to_clipboard, self.job, self.lines)

    def do_link(self) -> None:
        from hsejobs_tui.flows.copying import copy_link

        copy_link(self.session, self.app.copy_to_clipboard, self.queue, self.job_id)

    def do_request(self) -> None:
        from hsejobs_tui.flows.requests import show_request

        show_request(self.session, self.job)

    def searched(self) -> str:
        """The job's queue."""
        return self.queue

    async def do_hold(self) -> None:
        from hsejobs_tui.flows.holding import hold

        if self.job is not None:
            await hold(self.session, self.queue, [self.job.name], self.job.organization_id)

    async def do_supersede(self) -> None:
        from hsejobs_tui.flows.job_writing import rewrite_job

        await rewrite_job(self.session, self.queue, None if self.missing else self.job)

    async def do_duplicate(self) -> None:
        from hsejobs_tui.flows.job_writing import write_job

        await write_job(self.session, self.queue, self.job_id)
