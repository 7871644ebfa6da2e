"""Writing a job: JSON in the built-in editor or in $EDITOR, checked, shown as a diff, added."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static, TextArea

from hsejobs.errors import JobsError
from hsejobs_tui.core import compose
from hsejobs_tui.core.text import safe
from hsejobs_tui.dialogs.questions import Ask, Confirm
from hsejobs_tui.widgets.typing import Lines

if TYPE_CHECKING:
    from hsejobs.store.registry import QueueInfo, TaskInfo
    from hsejobs_tui.app import JobsApp


class Editor(ModalScreen[str]):
    """A text; '' when left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", priority=True),
        Binding("ctrl+s", "save", "Check and add", priority=True),
        Binding("ctrl+e", "outside", "$EDITOR", priority=True),
    ]

    def __init__(self, title: str, text: str, problem: str = "") -> None:
        super().__init__()
        self.asked, self.text, self.problem = title, text, problem

    def compose(self) -> ComposeResult:
        """Title, text, what is wrong."""
        with Vertical(classes="dialog -tall"):
            yield Static(safe(self.asked), classes="title", markup=False)
            yield Lines(self.text)
            yield Static(safe(self.problem, 400), markup=False, id="problem")
            with Horizontal(classes="buttons"):
                yield Button("Check and add (Ctrl+S)", id="save", compact=True)
                if not self._far:
                    yield Button("$EDITOR (Ctrl+E)", id="outside", compact=True)
                yield Button("Leave (Esc)", id="leave", compact=True)

    @property
    def _far(self) -> bool:
        """Whether the person sits at another machine: its browser has no editor of this one."""
        return cast("JobsApp", self.app).options.viewer is not None

    def on_mount(self) -> None:
        """Ready to be typed into."""
        self.query_one(TextArea).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By mouse."""
        getattr(self, f"action_{event.button.id}")()

    def action_leave(self) -> None:
        """Nothing."""
        self.dismiss("")

    def action_save(self) -> None:
        """The text."""
        self.dismiss(self.query_one(TextArea).text)

    def action_outside(self) -> None:
        """In the person's own editor, while the TUI stands aside."""
        if self._far:
            return
        words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
        if not words:
            self.query_one("#problem", Static).update("$EDITOR is not set")
            return
        area = self.query_one(TextArea)
        with tempfile.NamedTemporaryFile("w+", suffix=".json", encoding="utf-8") as file:
            file.write(area.text)
            file.flush()
            with self.app.suspend():
                status = subprocess.call([*words, file.name])
            # Editors that write a new file in its place leave ours as it was.
            with open(file.name, encoding="utf-8", errors="replace") as written:
                text = written.read()
        if status == 0:
            area.text = text


async def write_job(app: JobsApp, queue: str, of_id: str | None) -> None:
    """Asks for a job of the queue and adds it; ``of_id``: begins with a copy of that job."""
    info = app.source.infos.get(queue)
    if info is None or not info.tasks:
        app.say(f"{queue} has not described its tasks: start a worker of it", bad=True)
        return
    try:
        of = await app.look(app.source.stored, queue, of_id) if of_id else None
        task = info.task(of.name) if of else await _task(app, info)
        if task is None:
            return
    except JobsError as error:
        app.say(error)
        return
    before = compose.masked_text(of, task.secret) if of else compose.skeleton(task)
    text, problem = before, "*** keeps the stored secret" if of else task.doc
    title = f"Copy of {of_id}" if of else f"New job of {queue}: {task.name}"
    while True:
        text = await app.push_screen_wait(Editor(title, text, problem))
        if not text:
            return
        try:
            new = compose.new_job(
                info, task, text, organization_id=app.options.organization_id,
                sealed=app.options.sealed, of=of,
                user_id=app.options.viewer.user_id if app.options.viewer else None,
            )  # fmt: skip
        except JobsError as error:
            problem = str(error)
            continue
        changed = "\n".join(compose.diff(before, text)[:30]) or "unchanged"
        org = new.organization_id or "no organisation"
        asked = f"Add this job to {queue} ({org}, priority {new.priority})?"
        if await app.push_screen_wait(Confirm(asked, changed)):
            break
    try:
        added = await app.do(app.acts.add, info, new)
    except JobsError as error:
        app.say(error)
        return
    app.say(f"added {added.id}, {added.status}")
    app.poll_soon()


async def _task(app: JobsApp, info: QueueInfo) -> TaskInfo | None:
    if len(info.tasks) == 1 or info.default_task:
        return info.task(None)
    names = ", ".join(one.name.rpartition(".")[2] for one in info.tasks)
    name = await app.push_screen_wait(Ask(f"Task of {info.name}", f"One of: {names}"))
    return info.task(name) if name else None
