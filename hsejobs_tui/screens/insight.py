"""Insight: what happened, to whom, since when."""

from __future__ import annotations

from typing import ClassVar

from hsejobs_tui.screens.base import View


class Insight(View):
    SCOPE: ClassVar[str] = "insight"
    HEAD: ClassVar[str] = "Insight"
