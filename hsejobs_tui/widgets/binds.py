"""Makes Textual key bindings from the command table."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from hsejobs_tui.core.commands import COMMANDS, keys_shown


def bindings(scope: str) -> list[BindingType]:
    """The bindings of a screen (or of ``app``)."""
    return [
        Binding(
            one.keys,
            f"command('{one.id}')",
            one.title,
            show=one.footer,
            key_display=keys_shown(one).partition(" or ")[0],
            id=f"{scope}.{one.id}",
            priority=one.first,
        )
        for one in COMMANDS
        if scope in one.scopes
    ]
