"""One module a screen; each fills a base with its own columns and acts."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsejobs_tui.screens.base import View

#: The screens that have a number, by the id of their command.
CLASSES = {
    "overview": "Overview", "failures": "Failures", "workers": "Workers",
    "schedules": "Schedules", "alerts": "Alerts", "circuits": "CircuitList", "events": "Events",
}  # fmt: skip


def named(name: str) -> View:
    """A new screen by its command's id; its module is loaded when first needed."""
    made: View = getattr(import_module(f"hsejobs_tui.screens.{name}"), CLASSES[name])()
    return made
