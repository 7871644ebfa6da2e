"""The color table as a Textual theme, which also colors Textual's own widgets."""

from __future__ import annotations

from typing import ClassVar

from textual.scrollbar import ScrollBarRender
from textual.theme import Theme

from hsejobs_tui.core.colors import grounds, style


def theme(mode: str) -> Theme:
    """The theme of a mode, called ``hsejobs-<mode>``."""
    ground, ansi = grounds(mode), mode == "ansi"

    def ink(name: str) -> str:
        value = style(name, mode).split()[-1]
        return f"ansi_{value}" if ansi else value

    dim, text = ink("dim"), ground["text"]
    cursor = ground["cursor"] if not ansi else "ansi_blue"
    return Theme(
        f"hsejobs-{mode}",
        primary=ground["accent"],
        secondary=ground["accent"],
        warning=ink("warn"),
        error=ink("fail"),
        success=ink("ok"),
        accent=ground["accent"],
        foreground=text,
        background=ground["background"],
        surface=ground["surface"],
        panel=ground["panel"],
        boost=ground["boost"],
        dark=mode != "light",
        ansi=ansi,
        text_alpha=1.0,
        variables={
            "text": text,
            **(
                {"ansi-background": "ansi_default", "ansi-foreground": "ansi_default"}
                if ansi
                else {}
            ),
            "text-muted": dim,
            "text-disabled": dim,
            "foreground-muted": dim,
            "foreground-disabled": dim,
            "primary-muted": ground["boost"],
            "block-cursor-foreground": text,
            "block-cursor-background": cursor,
            "block-cursor-blurred-foreground": text,
            "block-cursor-blurred-background": cursor,
            "block-hover-background": ground["boost"],
            "border": ground["accent"],
            "border-blurred": dim,
            "input-cursor-background": text,
            "input-cursor-foreground": ground["background"] if not ansi else "ansi_black",
            "input-selection-background": cursor,
            "input-selection-foreground": text,
            "screen-selection-background": cursor,
            "screen-selection-foreground": text,
            "scrollbar": dim,
            "scrollbar-hover": dim,
            "scrollbar-active": ground["accent"],
            "scrollbar-background": ground["panel"],
            "scrollbar-background-hover": ground["panel"],
            "scrollbar-background-active": ground["panel"],
            "button-foreground": text,
            "button-color-foreground": text,
            "footer-key-foreground": ground["accent"],
        },
    )


class PlainBar(ScrollBarRender):
    """A scroll bar whose ends are whole cells."""

    VERTICAL_BARS: ClassVar[list[str]] = [" "] * 8
    HORIZONTAL_BARS: ClassVar[list[str]] = [" "] * 8
