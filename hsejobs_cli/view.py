"""The live view in front of ``hsejobs up``: one row a queue, once a second."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from hsejobs.errors import JobsError
from hsejobs.store.read import QueueStats, percentile
from hsejobs_cli.output import duration
from hsejobs_cli.session import Session


class View:
    """A rich ``Live`` that keeps the last figures while Redis is away."""

    def __init__(self) -> None:
        from rich.live import Live

        self.session = Session()
        self._live = Live(auto_refresh=False)
        self._at = 0.0
        self._seen: list[QueueStats] = []

    def __enter__(self) -> View:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def refresh(self) -> None:
        """Reads and draws, at most once a second."""
        now = time.monotonic()
        if now - self._at < 1:
            return
        self._at = now
        try:
            self._seen = self.session.reader.stats(list(self.session.own))
            took = (time.monotonic() - now) * 1000
            health = f"Redis ok, {took:.1f} ms. Ctrl-C ends everything."
        except JobsError as error:
            health = f"{error}; the figures are old"
        self._live.update(_table(self._seen, health), refresh=True)


def _table(seen: list[QueueStats], health: str) -> Any:
    from rich import box
    from rich.table import Table

    made = Table(
        box=box.SIMPLE_HEAD,
        caption=health,
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    names = ("queue", "wait", "run", "delay", "done", "fail", "/min", "p50", "p95", "oldest", "on")
    for number, name in enumerate(names):
        made.add_column(name, justify="right" if number else "left", no_wrap=True)
    for one in seen:
        run = one.window().run
        p50, p95 = (duration(percentile(run, share)) for share in (0.5, 0.95))
        mark = " paused" if one.is_paused else ""
        made.add_row(
            one.name + mark, f"{one.waiting:,}", str(one.active), f"{one.delayed:,}",
            f"{one.completed:,}", f"{one.failed:,}", f"{one.public()['rate']:g}", p50, p95,
            duration(one.oldest_waiting), str(one.consumers),
        )  # fmt: skip
    return made
