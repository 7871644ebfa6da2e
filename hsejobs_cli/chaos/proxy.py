"""A TCP proxy on loopback in front of one Redis server, whose connections can be disrupted."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from hsejobs.forks import lock
from hsejobs.redis_url import parse_redis_url


class Proxy:
    """Listens on a loopback TCP port and forwards bytes to the Redis at *target_url*.

    ``url`` leads through the proxy, with the same login, database and TLS. ``connections`` counts the
    accepted ones. Raises ValueError for Sentinel and Cluster, whose servers announce addresses of their own.
    """

    def __init__(self, target_url: str) -> None:
        self._url = target_url
        self._target = parse_redis_url(target_url)
        if self._target.scheme not in ("redis", "unix"):
            raise ValueError("a proxy supports a single server only, not Sentinel or Cluster")
        self._lock = lock()
        self._connections: set[Connection] = set()
        self._threads: set[threading.Thread] = set()
        self._down = False
        self._closed = False
        self.open = threading.Event()
        self.open.set()
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """The target's URL with the proxy's address in place of the server's."""
        place = f"127.0.0.1:{self.port}"
        if self._target.scheme == "unix":
            user, password = (
                quote(part or "", safe="")
                for part in (self._target.username, self._target.password)
            )
            login = f"{user}:{password}@" if password else ""
            return f"redis://{login}{place}/{self._target.db}"
        parts = urlsplit(self._url)
        login, at, _ = parts.netloc.rpartition("@")
        query = [o for o in parts.query.split("&") if o and not o.startswith("ssl_check_hostname=")]
        if self._target.tls is not None and self._target.tls.verify:
            # The certificate is the server's and does not name the proxy's address.
            query.append("ssl_check_hostname=false")
        return parts._replace(netloc=f"{login}{at}{place}", query="&".join(query)).geturl()

    def cut_all(self) -> None:
        """Closes all open connections; new ones are accepted."""
        with self._lock:
            current = list(self._connections)
        for connection in current:
            connection.close()

    def silence(self) -> None:
        """Drops all requests on the open connections, which stay open."""
        with self._lock:
            for connection in self._connections:
                connection.silent = True

    def hole(self) -> None:
        """Holds all data back: connections stay and can be opened, until ``fill``."""
        self.open.clear()

    def fill(self) -> None:
        """Forwards the data that was held back, and goes on."""
        self.open.set()

    def down(self) -> None:
        """Closes all connections, and each new one at once, until ``up``."""
        with self._lock:
            self._down = True
        self.cut_all()

    def up(self) -> None:
        """Accepts connections again after ``down``."""
        with self._lock:
            self._down = False

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self.fill()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.down()
        for thread in list(self._threads):
            thread.join(10)

    def new_connection(self, client: socket.socket, server: socket.socket) -> Connection:
        """Creates the connection that forwards between the two sockets; tests override it."""
        return Connection(self, client, server)

    def forget(self, connection: Connection) -> None:
        """Forgets a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def _spawn(self, target: Callable[[], None]) -> None:
        def run() -> None:
            try:
                target()
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, daemon=True, name="proxy")
        thread.start()
        # After the start: __exit__ joins every thread in the set.
        self._threads.add(thread)
        if not thread.is_alive():
            self._threads.discard(thread)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            connection = self.new_connection(client, server)
            with self._lock:
                refused = self._down
                if not refused:
                    self._connections.add(connection)
                    self.connections += 1
            if refused:
                connection.close()
                client.close()
                server.close()
                continue
            self._spawn(connection.pump_requests)
            self._spawn(connection.pump_replies)

    def _connect(self) -> socket.socket:
        if self._target.scheme == "unix":
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self._target.path)
            except OSError:
                server.close()
                raise
            return server
        server = socket.create_connection(self._target.hosts[0], timeout=5)
        server.settimeout(None)
        return server


class Connection:
    """One client's connection and its connection to the server; each direction has a thread."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self.client = client
        self.server = server
        self._pumps = 2
        self.silent = False
        self._lock = lock()

    def close(self) -> None:
        """Shuts both sides down."""
        # A shutdown interrupts the recv of the other thread; close alone would not.
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def read(self, source: socket.socket) -> Iterator[bytes]:
        """Yields what *source* sends, in pieces that can be held back or forwarded."""
        while chunk := source.recv(65536):
            yield chunk

    def request(self, piece: bytes) -> bool:
        """Forwards a piece of a request; returns whether the connection continues."""
        self.server.sendall(piece)
        return True

    def reply(self, piece: bytes) -> bool:
        """Forwards a piece of a reply; returns whether the connection continues."""
        self.client.sendall(piece)
        return True

    def pump_requests(self) -> None:
        """Forwards from the client to the server until either closes."""
        with self._ending():
            for piece in self.read(self.client):
                if self.silent:
                    continue
                self._proxy.open.wait()
                if not self.request(piece):
                    return

    def pump_replies(self) -> None:
        """Forwards from the server to the client until either closes."""
        with self._ending():
            for piece in self.read(self.server):
                self._proxy.open.wait()
                if not self.reply(piece):
                    return

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        try:
            with contextlib.suppress(OSError):
                yield
        finally:
            self.close()
            with self._lock:
                self._pumps -= 1
                last = self._pumps == 0
            if last:
                self.client.close()
                self.server.close()
                self._proxy.forget(self)
