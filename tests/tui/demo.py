"""The app on the demo's data, at a moment at which its clock stands still."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hsejobs.store.read_live import Server, Snapshot
from hsejobs_cli import demo
from hsejobs_tui.app import JobsApp
from hsejobs_tui.core.acting import acts_of
from hsejobs_tui.core.options import Options
from hsejobs_tui.core.source import LiveSource
from tests.support import server
from tests.support.stopped import StoppedClient

#: 22:50:24 UTC, the time of the demo.
NOW = 1_800_053_424_000
#: The server must be able to load its file again.
_OPTIONS = {"enable-debug-command": "yes", "dbfilename": "demo.rdb"}


class Still(LiveSource):
    """All reads, without what differs from run to run: the time that a read took, and the server's memory."""

    def snapshot(self) -> Snapshot:
        seen = super().snapshot()
        return replace(
            seen,
            server=Server("Redis 7.0.15", 48_000_000, 0, 12, "noeviction"),
            cost=(seen.cost[0], 1.2),
        )


class DemoServer:
    """A server with the demo's data, to which it returns at each `reset`.

    Servers with the same *shared* folder load the data that the first of them made.
    """

    def __init__(self, shared: Path | None = None) -> None:
        self.shared = shared
        self.server = server.Server(server.server_binary(), options=_OPTIONS)

    def __enter__(self) -> DemoServer:
        #: The ids of the jobs with a story.
        self.jobs: dict[str, str] = {}
        if self.shared is None:
            self._fill()
            return self
        data, ids = self.shared / "demo.rdb", self.shared / "demo.json"
        with (self.shared / "demo.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if ids.exists():
                shutil.copy(data, self.server.folder)
                self.jobs = json.loads(ids.read_text())
                self.server.__enter__()
            else:
                self._fill()
                shutil.copy(self.server.folder / data.name, data)
                ids.write_text(json.dumps(self.jobs))
        return self

    def _fill(self) -> None:
        self.server.__enter__()
        client = StoppedClient(self.server.url, NOW)
        self.jobs = demo.fill(client, "t", NOW, still=True).jobs
        client.command("SAVE")
        client.close()

    def __exit__(self, *raised: Any) -> None:
        self.server.__exit__(*raised)

    def reset(self) -> None:
        """Undoes all changes of the data."""
        with self.server.client() as client:
            client.execute_command("DEBUG", "RELOAD", "NOSAVE")

    def app(self, home: Path, **values: Any) -> JobsApp:
        """The app on the data. It polls once, and on request."""
        given: dict[str, Any] = {"production": True, "refresh": 3600.0, **values}
        made = JobsApp(Options(self.server.url, "t", home, "prod-eu", **given))
        made.animation_level = "none"
        session = made.session
        session.redis = StoppedClient(self.server.url, NOW)
        session.source = Still(made.options, session.redis)
        session.acts = acts_of(made.options, session.redis)
        return made
