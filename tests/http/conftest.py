"""A real shim: uvicorn in a separate process, on a free port."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import redis

from hsejobs.engine import runtime
from hsejobs.engine.runtime import Runtime
from hsejobs.settings import load_settings
from tests import forkserver
from tests.support import wait_until

SECRET = "0123456789abcdef0123456789abcdef"
FAR = 4_000_000_000
MAIL = {"to": "user@example.com", "subject": "Hi", "text": "there"}


def signed(secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    return jwt.encode({"sub": "ann", "exp": FAR, **claims}, secret, algorithm=algorithm)


def token(role: str = "member", org: str | None = "org-1", user: str = "ann") -> str:
    organization = {} if org is None else {"organizationId": org}
    return signed(sub=user, role=role, **organization)


class Shim:
    def __init__(self, port: int, process: forkserver.Process, log: Path) -> None:
        self.port, self.process, self.log = port, process, log
        self.url = f"http://127.0.0.1:{port}"
        self.client = httpx.Client(base_url=self.url, timeout=20, trust_env=False)

    def ask(self, method: str, path: str, *who: str | None, **options: Any) -> httpx.Response:
        """Sends a request as (role, organization, user); ``/stats`` means ``/api/jobs/stats``."""
        headers = {**options.pop("headers", {})}
        headers.setdefault("Authorization", f"Bearer {token(*who)}")  # type: ignore[arg-type]
        return self.client.request(method, f"/api/jobs{path}", headers=headers, **options)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, *words: str, **env: str) -> Iterator[Shim]:
    """Runs `hsejobs serve` with these options and extra environment variables until it answers."""
    port, log = free_port(), folder / "shim.log"
    log.unlink(missing_ok=True)
    # In this mode the log can be emptied while it is written.
    with log.open("ab") as file, open(os.devnull, "rb") as nothing:
        process = forkserver.start(
            "shim",
            "hsejobs_cli",
            "serve",
            *words,
            files=[nothing.fileno(), file.fileno(), file.fileno()],
            env={"JOBS_HTTP_PORT": str(port), "JOBS_JWT_SECRET": SECRET, **env},
        )
    found = Shim(port, process, log)

    def up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            # Costs nothing while no one listens.
            socket.create_connection(("127.0.0.1", port), 10).close()
            return found.client.get("/healthz").status_code == 200
        except (OSError, httpx.TransportError):
            return False

    try:
        wait_until(up, 30, "the shim")
        yield found
    finally:
        found.client.close()
        process.terminate()
        try:
            process.wait(15)
        finally:
            process.kill()
            process.wait()


class Shared:
    """The shim that the tests of this process share, while its settings stay the same.

    Its ``JOBS_HOME`` is a link, which points to that of the test that uses it. Between these tests it is
    frozen: it would write to the Redis of others.
    """

    def __init__(self, folder: Path) -> None:
        self._home, self._folder = folder / "home", folder
        self._env: dict[str, str] = {}
        self._found: Shim | None = None
        self._stack = contextlib.ExitStack()
        #: What it writes to Redis when it starts: its queues. The next test's Redis is empty.
        self._written: dict[bytes, tuple[int, bytes]] = {}

    def shim(self, home: Path, client: redis.Redis) -> Shim:
        """The shim, which sees the files of ``home``; a new one if the last one has ended."""
        link = self._home.with_suffix(".new")
        link.symlink_to(home)
        link.replace(self._home)
        # What pytest itself sets differs by test.
        env = {
            name: value
            for name, value in os.environ.items()
            if name != "JOBS_HOME" and not name.startswith("PYTEST_")
        }
        if self._found is None or env != self._env or self._found.process.poll() is not None:
            self.close()
            self._env = env
            before = set(client.keys())
            self._found = self._stack.enter_context(
                running(self._folder, JOBS_HOME=str(self._home))
            )
            # It describes its queues when they are first asked for.
            assert self._found.ask("GET", "/stats", "operator").status_code == 200
            fresh: set[Any] = set(client.keys()) - before
            self._written = {
                key: (max(0, client.pttl(key)), value)
                for key in fresh
                if (value := client.dump(key)) is not None
            }
        else:
            for key, (ttl, value) in self._written.items():
                client.restore(key, ttl, value, replace=True)
            self._found.process.send_signal(signal.SIGCONT)
        self._found.client.cookies.clear()
        os.truncate(self._found.log, 0)
        return self._found

    def rest(self) -> None:
        """Freezes it until the next test that uses it."""
        if self._found is not None:
            self._found.process.send_signal(signal.SIGSTOP)

    def close(self) -> None:
        if self._found is not None:
            self._found.process.send_signal(signal.SIGCONT)
        self._stack.close()
        self._found = None


@pytest.fixture(scope="session")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    made = Shared(tmp_path_factory.mktemp("shim"))
    yield made
    made.close()


@pytest.fixture
def shim(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path, _shared: Shared
) -> Iterator[Shim]:
    """A shim with the settings of the test; one for several tests, as its start takes seconds."""
    yield _shared.shim(tmp_path, redis_client)
    _shared.rest()


@pytest.fixture
def own_shim(redis_url: str, tmp_path: Path) -> Iterator[Shim]:
    """A shim that has just started, for a test of what it remembers, or of its end."""
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def few(redis_url: str, tmp_path: Path) -> Iterator[Shim]:
    """A shim that allows two views at once."""
    with running(tmp_path, JOBS_HTTP_VIEWERS="2") as found:
        yield found


@pytest.fixture
def gate(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("JOBS_JWT_SECRET", SECRET)
    monkeypatch.setattr(runtime, "_runtime", Runtime(load_settings()))
    from hsejobs_http.app import create_app

    made = create_app()
    yield made
    made.app.state.shim.adder.close()
    runtime.runtime().redis.close()
