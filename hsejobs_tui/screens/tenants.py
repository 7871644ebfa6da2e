"""Tenants: how organizations share a queue: running time, rate, waiting, failures, weight, limit."""

from __future__ import annotations

from typing import ClassVar

from hsejobs_tui.screens.base import View


class Tenants(View):
    SCOPE: ClassVar[str] = "tenants"
    HEAD: ClassVar[str] = "Tenants"
