"""The connection to Redis: one server, Sentinel or Cluster, behind one small surface.

Every script is idempotent, so a call whose reply was lost is simply sent
again. redis-py's own retries are off: how long to be patient is the caller's
to say.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from hsejobs.errors import JobsError, RedisUnavailable
from hsejobs.store.connect import SOCKET_TIMEOUT, connect
from hsejobs.store.scripts import Arg, Script

#: How long a caller's command is retried before RedisUnavailable, in seconds.
PATIENCE = 3.0
#: What a server says that is starting, failing over or has lost its majority.
_PASSING = ("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY")
_FULL = "OOM "


T = TypeVar("T")


class Link:
    """Redis as hsejobs uses it. Thread-safe and fork-safe; connects at the first call.

    A connection belongs to one thread, so nothing waits for a free one.
    """

    def __init__(self, url: str, *, wait_replicas: int = 0) -> None:
        self.url = url
        self.wait_replicas = wait_replicas
        self._client: Any = None
        self._pid = 0
        self._lock = threading.Lock()
        self._local = threading.local()

    @property
    def cluster(self) -> bool:
        """Whether this is a Redis Cluster."""
        return self.url.startswith(("redis+cluster:", "rediss+cluster:"))

    @property
    def client(self) -> Any:
        """redis-py's client of this process."""
        if self._client is None or self._pid != os.getpid():
            with self._lock:
                if self._client is None or self._pid != os.getpid():
                    self._client, self._pid = connect(self.url), os.getpid()
        return self._client

    def run(
        self, script: Script, base: str, args: Sequence[Arg] = (), *, patience: float = PATIENCE
    ) -> Any:
        """The script's reply. Raises RedisUnavailable after ``patience`` seconds without one."""
        return self._patiently(
            patience, lambda: self._once(("EVALSHA", script.sha, 1, base, *args), script)
        )

    def command(self, *words: Arg, patience: float = PATIENCE) -> Any:
        """The reply to a plain command, whose first argument is a key."""
        return self._patiently(patience, lambda: self._once(words, None))

    def add(
        self, script: Script, base: str, args: Sequence[Arg], *, patience: float = PATIENCE
    ) -> Any:
        """Like ``run``, and then waits for the replicas that the settings ask for."""
        reply = self.run(script, base, args, patience=patience)
        if self.wait_replicas:
            words = ("WAIT", self.wait_replicas, int(SOCKET_TIMEOUT * 800))
            if self.cluster:
                client: Any = self.client
                node = client.get_node_from_key(base)
                # Any write on WAIT's own connection makes it cover the one before it.
                reached = client.execute_command(*words, target_nodes=node)
                reached = reached if isinstance(reached, int) else min(reached.values())
            else:
                reached = self._once(words, None)
            if reached < self.wait_replicas:
                raise RedisUnavailable(
                    f"only {reached} of {self.wait_replicas} replicas confirmed the write;"
                    " it is kept by the primary: add it again with the same id to make sure"
                )
        return reply

    def add_many(
        self,
        script: Script,
        base: str,
        calls: Sequence[T],
        args_of: Callable[[T], Sequence[Arg]],
    ) -> list[Any]:
        """Like ``add`` for several calls; Redis works on one while the next is put together."""
        if self.cluster or self.wait_replicas or len(calls) <= 1:
            return [self.add(script, base, args_of(call)) for call in calls]

        def once() -> list[Any]:
            connection = self._connection()
            replies: list[Any] = []
            for number, call in enumerate(calls):
                packed = _packed(("EVALSHA", script.sha, 1, base, *args_of(call)))
                connection.send_packed_command(packed, check_health=False)
                if number:
                    replies.append(_reply(connection))
            replies.append(_reply(connection))
            return replies

        replies = self._patiently(PATIENCE, once)
        return [
            self.run(script, base, args_of(call)) if isinstance(reply, Exception) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    def run_many(
        self, calls: Sequence[tuple[Script, str, Sequence[Arg]]], *, patience: float = PATIENCE
    ) -> list[Any]:
        """Several scripts in one round trip (on a Cluster: one each)."""
        return self.batch(
            [(script, (base, *args)) for script, base, args in calls], patience=patience
        )

    def batch(
        self,
        calls: Sequence[tuple[Script | None, Sequence[Arg]]],
        *,
        patience: float = PATIENCE,
    ) -> list[Any]:
        """Scripts (with base and arguments) and plain commands (None) in one round trip.

        On a Cluster: one each. A plain command must be safe to send twice.
        """
        if self.cluster or len(calls) == 1:
            return [self._single(script, words, patience) for script, words in calls]

        def once() -> list[Any]:
            connection = self._connection()
            packed = connection.pack_commands(
                [("EVALSHA", script.sha, 1, *words) if script else words for script, words in calls]
            )
            connection.send_packed_command(packed, check_health=False)
            return [_reply(connection) for _ in calls]

        replies = self._patiently(patience, once)
        for i, (script, words) in enumerate(calls):
            if isinstance(replies[i], Exception):
                replies[i] = self._single(script, words, patience)
        return list(replies)

    def _single(self, script: Script | None, words: Sequence[Arg], patience: float) -> Any:
        if script is None:
            return self.command(*words, patience=patience)
        return self.run(script, str(words[0]), words[1:], patience=patience)

    def ping(self) -> None:
        """Raises RedisUnavailable when Redis does not answer."""
        if self.cluster:
            self._patiently(1.0, lambda: self.client.ping())
        else:
            self.command("PING", patience=1.0)

    def blocking(self, key: str) -> Any:
        """This thread's connection to the server of ``key``, for a blocking command of one's own.

        Whoever abandons a wait disconnects it. Raises redis-py's errors.
        """
        if not self.cluster:
            connection: Any = self._connection()
            if not connection.is_connected:
                connection.connect()
            return connection
        client: Any = self.client
        node = client.get_node_from_key(key)
        pool = client.get_redis_connection(node).connection_pool
        held = getattr(self._local, "held", None)
        if held is None or held[0] != node.name or held[2] != os.getpid():
            held = self._local.held = (node.name, _connection_of(pool), os.getpid())
        if not held[1].is_connected:
            held[1].connect()
        return held[1]

    def close(self) -> None:
        """Drops this thread's connection."""
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.disconnect()

    def _connection(self) -> Any:
        local = self._local
        connection: Any = getattr(local, "connection", None)
        if connection is None or local.pid != os.getpid():
            connection = local.connection = _connection_of(self.client.connection_pool)
            local.pid = os.getpid()
            connection.connect()
        return connection

    def _once(self, words: Sequence[Arg], script: Script | None) -> Any:
        from redis.exceptions import NoScriptError

        try:
            return self._exchange(words)
        except NoScriptError:
            if script is None:
                raise
            return self._exchange(("EVAL", script.text, *words[2:]))

    def _exchange(self, words: Sequence[Arg]) -> Any:
        if self.cluster:
            return self.client.execute_command(*words)
        connection = self._connection()
        connection.send_packed_command(_packed(words), check_health=False)
        return connection.read_response()

    def _patiently(self, patience: float, once: Any) -> Any:
        """Calls until it answers; a connection that went away while idle costs no waiting."""
        from redis.exceptions import RedisError

        give_up = time.monotonic() + patience
        pause = 0.0
        while True:
            try:
                return once()
            except (RedisError, OSError) as error:
                if _is_reply(error) and not str(error).startswith(_PASSING):
                    raise _explained(error) from error
                self.close()
                if time.monotonic() + pause >= give_up:
                    raise RedisUnavailable(f"Redis does not answer ({_brief(error)})") from error
            except BaseException:
                # A half-read reply (an interrupt) would be taken for the next one.
                self.close()
                raise
            time.sleep(pause)
            pause = min(0.5, pause * 2 or 0.02)


def _packed(words: Sequence[Arg]) -> list[bytes]:
    """A command as it is sent; redis-py's own packing looks at every argument in Python first."""
    from hiredis import pack_command

    args: Any = tuple(words)
    return [pack_command(args)]


def _connection_of(pool: Any) -> Any:
    """A connection as the pool would make it.

    The pool itself counts all that it ever made and refuses more than its most: a
    process that lost Redis often enough, or had threads enough, could never connect again.
    """
    return pool.connection_class(**pool.connection_kwargs)


def _reply(connection: Any) -> Any:
    """The next reply, or the error that the server answered."""
    try:
        return connection.read_response()
    except Exception as error:
        if not _is_reply(error):
            raise
        return error


def _is_reply(error: BaseException) -> bool:
    """Whether the server answered at all: an error of its own, not of the connection."""
    from redis.exceptions import (
        AuthenticationError,
        BusyLoadingError,
        ConnectionError,
        ResponseError,
    )

    if isinstance(error, AuthenticationError):
        return True
    return isinstance(error, ResponseError) and not isinstance(
        error, (ConnectionError, BusyLoadingError)
    )


def _explained(error: Exception) -> Exception:
    text = str(error)
    if text.startswith(_FULL) or "OOM command" in text:
        return RedisUnavailable("Redis is out of memory and takes no more jobs: raise maxmemory")
    if "NOAUTH" in text or "WRONGPASS" in text or "AUTH" in text.upper()[:20]:
        return RedisUnavailable("Redis refuses the login: check QUEUE_REDIS_PASSWORD or the URL")
    return JobsError(f"Redis refused a command: {text[:200]}")


def _brief(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:160]
