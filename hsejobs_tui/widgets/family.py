"""A family tree of jobs with a cursor: Enter opens the job under it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Static

from hsejobs_tui.core.lineage import Node
from hsejobs_tui.core.text import clock, safe
from hsejobs_tui.core.view import LOOK


class FamilyTree(Static, can_focus=True):
    """The relatives of a job, one per line; hidden without any."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Down", show=False),
        Binding("k,up", "move(-1)", "Up", show=False),
        Binding("enter", "take", "Open", show=False),
    ]

    class Opened(Message):
        """Posted when a relative is opened."""

        def __init__(self, node: Node) -> None:
            super().__init__()
            self.node = node

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__(id="family", markup=False)
        self.plain = ascii_only
        self.nodes: list[Node] = []
        self.cursor = 0
        self.display = False

    def show(self, nodes: Sequence[Node]) -> None:
        """Shows a tree; the cursor stays on its job, or goes to the first other one."""
        here = self.nodes[self.cursor] if self.nodes else None
        ids = [(one.queue, one.id) for one in nodes]
        self.nodes = list(nodes)
        self.display = bool(nodes)
        if here is not None and (here.queue, here.id) in ids:
            self.cursor = ids.index((here.queue, here.id))
        else:
            self.cursor = next((n for n, one in enumerate(nodes) if not one.own), 0)
        self._draw()

    def _draw(self) -> None:
        text = Text().append("\n Family", "bold").append("  Enter opens", "dim")
        for at, one in enumerate(self.nodes):
            found = line(one, ascii_only=self.plain, cursor=self.has_focus and at == self.cursor)
            if self.has_focus and at == self.cursor:
                found.stylize("bold")
            text.append("\n").append_text(found)
        self.update(text)

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def action_move(self, by: int) -> None:
        self.cursor = max(0, min(len(self.nodes) - 1, self.cursor + by))
        self._draw()

    def action_take(self) -> None:
        node = self.nodes[self.cursor] if self.nodes else None
        if node is not None and not node.own:
            self.post_message(self.Opened(node))

    def on_click(self, event: events.Click) -> None:
        """Moves the cursor; a double click opens."""
        at = event.y - 2
        if 0 <= at < len(self.nodes):
            self.cursor = at
            self._draw()
            if event.chain == 2:
                self.action_take()


def line(node: Node, *, ascii_only: bool, cursor: bool) -> Text:
    """One line of the tree."""
    branch = ("`- " if ascii_only else "└ ") if node.depth else ""
    text = Text(no_wrap=True, overflow="crop")
    text.append(f" {'>' if cursor else ' '} {'  ' * max(0, node.depth - 1)}{branch}", "dim")
    glyph, letter, color = LOOK[node.status or "gone"]
    text.append(f"{letter if ascii_only else glyph} {node.status or 'removed'} ", color)
    text.append(safe(f"{node.queue} / {node.id}", 120), "bold" if node.own else "")
    text.append(f"  {safe(node.name, 40)}", "dim")
    if node.at:
        text.append(f"  {clock(node.at)}", "dim")
    if node.own:
        text.append("  this job", "dim")
    if node.more:
        text.append(f"  and {node.more:,} more below", "dim")
    return text
