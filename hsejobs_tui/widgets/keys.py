"""The footer: a line with the keys of the screen.

Textual's own footer creates a widget per key at each change of screen and never frees
them: 50 MB after 336 changes. This footer is one line of text.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual import events
from textual.widgets import Static

from hsejobs_tui.core.command import Command
from hsejobs_tui.core.commands import keys_shown
from hsejobs_tui.session.session import session_of

#: Cells between two commands.
GAP = 2


class Keys(Static):
    """The commands that the screen ``offers``, as far as they fit; each can be clicked.

    Those that are ``needed`` go before others.
    """

    def __init__(
        self, scope: str, offers: Callable[[Command], bool], needed: tuple[str, ...]
    ) -> None:
        super().__init__(id="keys", markup=False)
        self.scope, self.offers, self.needed = scope, offers, needed
        self._drawn: object = None
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        """Draws the line."""
        self.draw()

    def draw(self) -> None:
        """Draws the line again if the screen offers something else."""
        offered = [one for one in session_of(self).commands(self.scope) if self.offers(one)]
        drawn = (offered, self.app.size.width)
        if drawn == self._drawn:
            return
        self._drawn, self._spans, text = drawn, [], Text()
        for one, named in _fitting(offered, self.app.size.width, self.needed):
            first = text.cell_len
            text.append_text(named)
            self._spans.append((first, text.cell_len, one.id))
            text.append(" " * GAP)
        text.rstrip()
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        """Runs the command under the mouse."""
        for first, end, command_id in self._spans:
            if first <= event.x < end:
                session_of(self).perform(command_id)


def _named(command: Command, *, brief: bool) -> Text:
    key = keys_shown(command).partition(" or ")[0]
    title = (brief and command.brief) or command.title
    return Text.assemble((key, "key"), f" {title}")


def _fitting(
    offered: list[Command], width: int, needed: tuple[str, ...]
) -> list[tuple[Command, Text]]:
    """Those that fit, with their texts: first those of all screens, then the needed, the spare ones last."""

    def rank(one: Command) -> int:
        return 0 if "app" in one.scopes else 1 if one.id in needed else 2 + one.spare

    usual = [_named(one, brief=False).cell_len + GAP for one in offered if rank(one) < 3]
    brief = sum(usual) - GAP > width
    room, found = width + GAP, []
    for one in sorted(offered, key=rank):
        text = _named(one, brief=brief)
        if (taken := text.cell_len + GAP) <= room:
            room -= taken
            found.append((one, text))
    found.sort(key=lambda pair: ("app" in pair[0].scopes, pair[0].spare, offered.index(pair[0])))
    return found
