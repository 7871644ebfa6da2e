"""``hsejobs demo``: the TUI on an invented shop with three hours of history, which leaves nothing behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsejobs_cli.demo.filling import fill

__all__ = ["fill"]


def __getattr__(name: str) -> Any:
    if name != "fill":
        raise AttributeError(name)
    from hsejobs_cli.demo.filling import fill

    return fill
