"""The connection to Redis: one server, Sentinel or Cluster, behind one small surface.

Every script is idempotent, so a call whose reply was lost is simply sent
again. redis-py's own retries are off: how long to be patient is the caller's
to say.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from hsejobs import forks
from hsejobs.errors import RedisUnavailable
from hsejobs.store.arrival import arrived
from hsejobs.store.connect import connect
from hsejobs.store.replies import Reply, classify, code_of, explained
from hsejobs.store.scripts import Arg, Script
from hsejobs.store.watchful import watchful

#: Seconds a reply may take before the call is sent again on a fresh connection.
REPLY_TIMEOUT = 2.0
#: Seconds that replicas get to confirm a write.
WAIT_TIMEOUT = 4.0
#: How long a caller's command is retried before RedisUnavailable, in seconds.
PATIENCE = 3.0
#: Seconds after which an idle connection is asked whether it is still there, and how long that may take.
PROBE_AFTER, PROBE_TIMEOUT = 0.5, 0.05


T = TypeVar("T")

#: Set while a job runs: whether its calls may go on waiting for Redis. What a caller would be told
#: at once (full, refused) is waited for as well, because a job must not fail for Redis' sake.
may_wait: ContextVar[Callable[[], bool] | None] = ContextVar("hsejobs_may_wait", default=None)


class RedisClient:
    """Redis as hsejobs uses it. Thread-safe and fork-safe; connects at the first call.

    A connection belongs to one thread, so nothing waits for a free one. ``probe_after``: a
    connection that was idle for so many seconds is asked first whether it is still there.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_replicas: int = 0,
        probe_after: float = PROBE_AFTER,
    ) -> None:
        self.url = url
        self.wait_replicas = wait_replicas
        self.probe_after = probe_after
        self._watch: tuple[int, Callable[[], None]] | None = None
        self._client: Any = None
        self._pid = 0
        self._lock = forks.lock()
        self._local = threading.local()

    def watch(self, while_waiting: Callable[[], None]) -> None:
        """This thread's calls call ``while_waiting`` about every 50 ms while they wait for Redis."""
        self._watch = (threading.get_ident(), while_waiting)
        self.close()

    @property
    def cluster(self) -> bool:
        """Whether this is a Redis Cluster."""
        return self.url.startswith(("redis+cluster:", "rediss+cluster:"))

    @property
    def client(self) -> Any:
        """redis-py's client of this process."""
        if self._client is None or self._pid != os.getpid():
            # What redis-py imports at its first client must be whole in a forked child.
            with self._lock, forks.quiet():
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
            self.check_replicas(base, WAIT_TIMEOUT)
        return reply

    def check_replicas(self, base: str, seconds: float) -> None:
        """Waits until the replicas have what this thread wrote to the server of ``base``.

        Raises RedisUnavailable when too few of them confirm it in time.
        """

        def once() -> Any:
            connection = self._connection(base)
            connection.send_command("WAIT", self.wait_replicas, int(seconds * 1000))
            return connection.read_response(timeout=seconds + REPLY_TIMEOUT)

        reached = int(self._patiently(0, once))
        if reached < self.wait_replicas:
            raise RedisUnavailable(
                f"only {reached} of {self.wait_replicas} replicas confirmed the write;"
                " it is kept by the primary: add it again with the same id to make sure"
            )

    def add_many(
        self,
        script: Script,
        base: str,
        calls: Sequence[T],
        args_of: Callable[[T], Sequence[Arg]],
    ) -> list[Any]:
        """Like ``add`` for several calls; Redis works on one while the next is put together."""
        if self.wait_replicas or len(calls) <= 1:
            return [self.add(script, base, args_of(call)) for call in calls]

        def once() -> list[Any]:
            connection = self._connection(base)
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
            connection = self._connection("")
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

    def scan(self, base: str, count: int) -> Iterator[list[bytes]]:
        """The keys that begin with ``base``, about ``count`` looked at in a step; some come twice.

        It goes through the whole server, so it is for an administrator's commands only.
        """
        pattern = re.sub(r"([*?\[\]\\])", r"\\\1", base) + "*"
        cursor: Any = 0
        while True:
            words: tuple[Arg, ...] = ("SCAN", cursor, "MATCH", pattern, "COUNT", count)
            cursor, found = self._at(base, words)
            yield found
            if int(cursor) == 0:
                return

    def _at(self, base: str, words: Sequence[Arg]) -> Any:
        """A command's reply from the server that holds the keys of ``base``."""

        def once() -> Any:
            connection = self._connection(base)
            connection.send_packed_command(_packed(words), check_health=False)
            return connection.read_response()

        return self._patiently(PATIENCE, once)

    def ping(self, *, patience: float = 1.0) -> None:
        """Raises RedisUnavailable when Redis does not answer; all primaries of a Cluster must."""
        if self.cluster:
            self._patiently(patience, self._ping_all)
        else:
            self.command("PING", patience=patience)

    def _ping_all(self) -> None:
        for node in self.client.get_primaries():
            connection = self._connection_to(node)
            connection.send_packed_command(_packed(("PING",)), check_health=False)
            connection.read_response()

    def blocking(self, key: str) -> Any:
        """This thread's connection to the server of ``key``, for a blocking command of one's own.

        Whoever abandons a wait disconnects it. Raises redis-py's errors.
        """
        return self._connection(key)

    def close(self) -> None:
        """Drops this thread's connections."""
        local = self._local
        held = getattr(local, "held", None)
        local.held = {}
        for connection, _ in (held or {}).values():
            connection.disconnect()

    # -- one exchange

    def _connection(self, key: Arg) -> Any:
        """This thread's connection to the server of ``key``, which was there a moment ago."""
        return self._connection_to(self.client.get_node_from_key(key) if self.cluster else None)

    def _connection_to(self, node: Any) -> Any:
        """Likewise, to a node of a Cluster, or to the one server."""
        local = self._local
        if getattr(local, "pid", 0) != os.getpid():
            local.pid, local.held = os.getpid(), {}
        name, pool = "", None
        if node is not None:
            name, pool = node.name, self.client.get_redis_connection(node).connection_pool
        held = local.held.get(name)
        now = time.monotonic()
        if held is not None:
            connection: Any = held[0]
            fresh = now - held[1] < self.probe_after
            if connection.is_connected and (fresh or _answers(connection)):
                held[1] = now
                return connection
            connection.disconnect()
        connection = self._new(pool or self.client.connection_pool)
        local.held[name] = [connection, now]
        connection.connect()
        return connection

    def _new(self, pool: Any) -> Any:
        """A connection as the pool would make it.

        The pool itself counts all that it ever made and refuses more than its most: a
        process that lost Redis often enough, or had threads enough, could never connect again.
        """
        kind = pool.connection_class
        if self._watch is not None and self._watch[0] == threading.get_ident():
            kind = watchful(kind, self._watch[1])
        return kind(**{**pool.connection_kwargs, "socket_timeout": REPLY_TIMEOUT})

    def _once(self, words: Sequence[Arg], script: Script | None) -> Any:
        from redis.exceptions import NoScriptError

        try:
            return self._exchange(words)
        except NoScriptError:
            if script is None:
                raise
            return self._exchange(("EVAL", script.text, *words[2:]))

    def _exchange(self, words: Sequence[Arg]) -> Any:
        connection = self._connection(_key_of(words) if self.cluster else "")
        connection.send_packed_command(_packed(words), check_health=False)
        return connection.read_response()

    def _patiently(self, patience: float, once: Callable[[], Any]) -> Any:
        """Calls until it answers, at least twice when the first call found a connection gone.

        While a job runs (see ``may_wait``), its calls wait as long as the job may.
        """
        give_up = time.monotonic() + patience
        waits = may_wait.get() if patience else None
        pause, tries = 0.0, 0
        refused: Exception | None = None
        while True:
            try:
                return once()
            except Exception as error:
                reply = classify(error)
                if reply is Reply.REFUSED:
                    # What comes after it says less: the connection that was refused is gone.
                    refused = error
                if reply is not Reply.FAULT:
                    self._lost(error)
                if reply is None:
                    raise
                waiting = waits is not None and waits()
                if reply in (Reply.FAULT, Reply.UNKNOWN_SCRIPT):
                    raise explained(error) from error
                if refused is not None and tries and not waiting:
                    raise explained(refused) from error
                if not waiting and (
                    reply is Reply.FULL
                    or (time.monotonic() + pause >= give_up and (tries or not patience))
                ):
                    raise explained(error) from error
            except BaseException:
                # A half-read reply (an interrupt) would be taken for the next one.
                self.close()
                raise
            time.sleep(pause)
            tries += 1
            pause = min(0.5, pause * 2 or 0.02)

    def _lost(self, error: Exception) -> None:
        """Nothing of the old connections is trusted any more; a Cluster's map is drawn again."""
        self.close()
        if self.cluster and self._client is not None:
            # The nodes may have changed places; when none is reachable the next try says so.
            with contextlib.suppress(Exception):
                self._client.nodes_manager.initialize()


def _key_of(words: Sequence[Arg]) -> Arg:
    """The key by which a Cluster finds the node; a command without one may go to any."""
    if words[0] in ("EVALSHA", "EVAL"):
        return words[3]
    if words[0] == "XREAD":
        return words[-2]
    return words[1] if len(words) > 1 else ""


def _packed(words: Sequence[Arg]) -> list[bytes]:
    """A command as it is sent; redis-py's own packing looks at every argument in Python first."""
    from hiredis import pack_command

    args: Any = tuple(words)
    return [pack_command(args)]


def _answers(connection: Any) -> bool:
    """Whether a connection that was idle still leads to a server; asks for at most PROBE_TIMEOUT."""
    try:
        connection.send_packed_command(_packed(("PING",)), check_health=False)
        if not arrived(connection, PROBE_TIMEOUT):
            return False
        connection.read_response(disconnect_on_error=False)
    except Exception as error:
        # An error that a server answered came over a connection that works.
        return code_of(error) != ""
    return True


def _reply(connection: Any) -> Any:
    """The next reply, or the error that the server answered."""
    from redis.exceptions import ResponseError

    try:
        return connection.read_response()
    except ResponseError as error:
        return error
