"""Prints one frame as plain text, for scripts and for limited terminals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence

from hsejobs.store.client import RedisClient
from hsejobs.wording import counted
from hsejobs_tui.core.alerts import active_alerts, by_level, circuit_alerts
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from hsejobs_tui.core.text import duration, number, safe, size
from hsejobs_tui.core.view import NO_QUEUE, queue_row

_NAMES = (
    "queue",
    "wait",
    "run",
    "delay",
    "done",
    "fail",
    "in/m",
    "out/m",
    "oldest",
    "p95",
    "err%",
    "on",
)


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of the table. In a terminal queue names are shortened, never figures; piped, nothing is."""
    names, *figures = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if sys.stdout.isatty():
        room = max(80, shutil.get_terminal_size().columns) - sum(figures) - len(figures)
        names = max(8, min(names, room))
    for first, *rest in rows:
        name = first if len(first) <= names else first[: names - 2] + ".."
        cells = [cell.rjust(wide) for cell, wide in zip(rest, figures, strict=True)]
        yield " ".join([name.ljust(names), *cells]).rstrip() + "\n"


def show(options: Options) -> None:
    """Prints the overview. Raises RedisUnavailable."""
    client = RedisClient(options.url, prefix=options.prefix)
    try:
        source = LiveSource(options, client)
        seen = source.snapshot()
        # The whole truth, as there is no second look; and without keys, as there are none.
        alerts = active_alerts(seen, options.limits, source.crowds(whole=True), keys=None)
        alerts += circuit_alerts(source.circuits(), keys=False)
    finally:
        client.close()
    rows = [_NAMES]
    for row in map(queue_row, seen.queues):
        rows.append(
            (
                row.name + (" =" if row.paused else ""),
                number(row.waiting),
                number(row.active),
                number(row.delayed),
                number(row.completed),
                number(row.failed),
                f"{row.rate_in:.0f}",
                f"{row.rate_out:.0f}",
                duration(row.oldest),
                duration(row.run_p95),
                f"{row.failing:.0%}",
                str(row.workers),
            )
        )
    if len(rows) == 1:
        sys.stdout.write(f"{NO_QUEUE}\n")
    else:
        sys.stdout.writelines(_table(rows))
    server = seen.server
    about = f"{server.version}, {size(server.used_memory)}, " if server else ""
    sys.stdout.write(f"{about}{counted(seen.cost[0], 'command')}, {seen.cost[1]:.1f} ms\n")
    for one in by_level(alerts):
        sys.stdout.write(f"{one.level}: {safe(one.queue)}: {safe(one.told)}; {safe(one.todo)}\n")
