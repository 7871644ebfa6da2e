"""One job: payload, options, result, errors, timeline, progress and log."""

from __future__ import annotations

from typing import ClassVar, cast

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from hsejobs.control import why
from hsejobs.errors import JobNotFound
from hsejobs.model import FINISHED, JobRecord, Relative
from hsejobs.wording import counted, during
from hsejobs_tui.core.text import clock, duration, safe
from hsejobs_tui.core.view import LOOK, kind, kind_of, timeline
from hsejobs_tui.flows.job_acts import act
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import JobPlace, Place
from hsejobs_tui.widgets.jsontree import JsonTree


class JobView(View):
    SCOPE: ClassVar[str] = "job"

    def __init__(self, queue: str, job_id: str) -> None:
        super().__init__()
        self.queue, self.job_id = queue, job_id
        self.job: JobRecord | None = None
        self.missing = False
        self._drawn: object = None
        #: The data that the payload's and the result's trees show.
        self._data: object = None
        self._result: object = None

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

    def head(self) -> Text:
        name = Text(f"{self.queue} / {safe(self.job_id, 60)}")
        # Truncate by cells, not characters, so that the state is visible with any id.
        plain = self.session.options.ascii_only
        name.truncate(max(20, self.size.width - 24), overflow="crop" if plain else "ellipsis")
        text = name + "  "
        if self.missing:
            return text.append("this job is gone: it was removed or its retention ended", "bold")
        if self.job is not None:
            glyph, letter, color = LOOK[self.job.status]
            text.append(f"{letter if plain else glyph} {self.job.status}", f"bold {color}")
            if self.job.status not in FINISHED and self.job.progress:
                text.append(f"  {self.job.progress:.0f}%")
        return text

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
        self.job = job
        # A removed job's id may have been added again: version and creation time tell them apart.
        version = (
            job.version,
            job.created_at,
            job.attempts_made,
            job.progress,
            job.progress_message,
            job.log_count,
            len(job.errors),
            job.finished_at,
            job.run_at,
            job.cancel is not None,
            job.why,
        )
        if version != self._drawn:
            self._drawn = version
            await self._draw_job(job, lines)

    async def _draw_job(self, job: JobRecord, lines: list[str]) -> None:
        body, plain = self._body, self.session.options.ascii_only
        # A tree remembers collapsed nodes, so it is rebuilt only when its data changes.
        if self._data != (data := (job.created_at, job.data)):
            self._data, self._result = data, None
            await body.remove_children()
            self._tree = JsonTree("payload", job.data, ascii_only=plain)
            await body.mount(
                Static(id="facts", markup=False), self._tree, Static(id="rest", markup=False)
            )
        if self._result != job.result:
            self._result = job.result
            await body.query("#result").remove()
            if job.result is not None:
                tree: Widget = JsonTree("result", job.result, ascii_only=plain)
                tree.id = "result"
                await body.mount(tree, after=self._tree)
        self.query_one("#facts", Static).update(_facts(job))
        self.query_one("#rest", Static).update(_rest(job, lines))

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

    # -- acts

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

    def do_copy_id(self) -> None:
        self.app.copy_to_clipboard(self.job_id)
        self.session.show_message("copied the id")

    async def do_duplicate(self) -> None:
        from hsejobs_tui.flows.job_writing import write_job

        await write_job(self.session, self.queue, self.job_id)


def _facts(job: JobRecord) -> Table:
    table = Table.grid(padding=(0, 1))
    if job.why is not None:
        table.add_row(Text(" why", "dim"), Text(safe(why.line(job.why), 500), "bold"))
    if job.waits_for:
        table.add_row(Text(" waits", "dim"), Text(safe(_waits(job), 500), "bold"))
    elif job.failed_reason:
        error = (
            Text()
            .append(safe(job.failed_reason, 500), "bold fail")
            .append(f" ({kind(job)})", "fail")
        )
        table.add_row(Text(" error", "dim"), error)
    facts = [
        ("task", job.name),
        ("organization", job.organization_id),
        ("user", job.user_id),
        ("parent", _relative(job.parent, job)),
        ("root", _relative(job.root, job) if job.root != job.parent else None),
        ("attempts", f"{job.attempts_made} of {job.attempts}"),
        ("priority", job.priority),
        ("backoff", duration(job.backoff)),
        ("timeout", duration(job.timeout) if job.timeout else None),
        ("stalls", job.stalls or None),
        ("cancel", _cancel(job)),
        ("added", clock(job.created_at)),
        ("ended", clock(job.finished_at) if job.finished_at else None),
        ("progress", f"{job.progress:.0f}% {job.progress_message or ''}" if job.progress else None),
    ]
    for name, value in facts:
        if value is not None:
            table.add_row(Text(f" {name:<12}", "dim"), Text(safe(value, 200)))
    return table


def _waits(job: JobRecord) -> str:
    """What the job waits for, as the value of a field."""
    return (job.waits_for or "").removeprefix("waits ")


def _relative(one: Relative | None, job: JobRecord) -> str | None:
    """The id of a relative, with its queue if that is another one."""
    if one is None:
        return None
    return one.id if one.queue == job.queue else f"{one.queue} / {one.id}"


def _cancel(job: JobRecord) -> str | None:
    if job.cancel is None:
        return None
    by, reason = job.cancel["by"] or "an unknown user", job.cancel["reason"]
    return f"requested {clock(job.cancel['at'])} by {by}{f': {reason}' if reason else ''}"


def _rest(job: JobRecord, lines: list[str]) -> Group:
    parts: list[RenderableType] = [Text("\n Timeline (UTC)", "bold")]
    table = Table.grid(padding=(0, 2))
    for at, what in timeline(job):
        table.add_row(Text(f"   {at}", "dim"), Text(safe(what)))
    parts.append(table)
    if job.errors:
        parts.append(Text("\n Errors, newest first", "bold"))
    for error in reversed(job.errors):
        head = Text(f"{during(error)}, {clock(error.get('failedAt'))}, ")
        head.stylize("dim")
        head.append(safe(kind_of(error), 60) + ": ", "dim")
        head.append(safe(error.get("error"), 2_000), "fail")
        parts.append(Padding(head, (0, 1, 0, 3)))
        trace = safe(error.get("traceback") or "", 8_000, lines=True).splitlines()[-30:]
        if trace:
            parts.append(Padding(Text("\n".join(trace), "dim"), (0, 1, 0, 5)))
    if lines:
        every = counted(job.log_count, "line")
        parts.append(Text(f"\n Log, the last {len(lines):,} of {every}", "bold"))
        parts.append(Padding(Text("\n".join(map(safe, lines))), (0, 1, 0, 3)))
    return Group(*parts)
