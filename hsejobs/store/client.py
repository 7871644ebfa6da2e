"""The connection to Redis: one interface to a single server, Sentinel or Cluster.

Every script is idempotent, so a call whose reply was lost is sent again. redis-py's own retries are
off, because the caller decides how long to retry.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from hsejobs import forks, pulse
from hsejobs.errors import RedisUnavailable, UnknownFormat
from hsejobs.store import adds, formats, keys
from hsejobs.store.arrival import arrived
from hsejobs.store.bulk import BulkAdds, next_reply
from hsejobs.store.connect import PATIENCE as PATIENCE
from hsejobs.store.connect import connect
from hsejobs.store.lane import Lane, open_lane
from hsejobs.store.new_job import NewJob
from hsejobs.store.quick import quick
from hsejobs.store.replies import Reply, classify, code_of, explained
from hsejobs.store.scripts import ADD, Arg, Script
from hsejobs.store.split import SplitCalls
from hsejobs.store.watchful import watchful
from hsejobs.store.words import packed

#: Seconds that a reply may take before the call is sent again on a new connection.
REPLY_TIMEOUT = 2.0
#: Seconds that replicas have to confirm a write.
WAIT_TIMEOUT = 4.0
#: Seconds after which an idle connection is probed before use, and seconds that the probe may take.
PROBE_AFTER, PROBE_TIMEOUT = 0.5, 0.05

#: Set while a job runs: whether its calls may keep waiting for Redis. They also wait when Redis is full
#: or refuses the login, which other callers get as an error at once: a job must not fail because of Redis.
may_wait: ContextVar[Callable[[], bool] | None] = ContextVar("hsejobs_may_wait", default=None)


class RedisClient(BulkAdds, SplitCalls):
    """Redis as hsejobs uses it. Thread-safe and fork-safe; connects on the first call.

    Each thread has its own connection, so that no call waits for a free one. ``probe_after``:
    seconds after which an idle connection is probed before use. ``prefix``: before the first call,
    and after each outage, checks the format of the records under this prefix; calls then may raise
    UnknownFormat.
    """

    def __init__(
        self,
        url: str,
        *,
        wait_replicas: int = 0,
        probe_after: float = PROBE_AFTER,
        prefix: str | None = None,
    ) -> None:
        self.url = url
        self.cluster = url.startswith(("redis+cluster:", "rediss+cluster:"))
        self.wait_replicas = wait_replicas
        self.probe_after = probe_after
        self._format_key = None if prefix is None else keys.record_format(prefix)
        self._check_at = None if prefix is None else 0.0  # None: no check is needed
        #: Why this program cannot work with the records, once it has found out.
        self.unknown_format: UnknownFormat | None = None
        self._watch: tuple[int, Callable[[], None]] | None = None
        self._client: Any = None
        self._pid = 0
        self._lock = forks.lock()
        self._local = threading.local()

    def watch(self, while_waiting: Callable[[], None]) -> None:
        """Calls ``while_waiting`` about every 50 ms while this thread's calls wait for Redis."""
        self._watch = (threading.get_ident(), while_waiting)
        self.close()

    @property
    def driver(self) -> Any:
        """redis-py's client of this process."""
        if self._client is None or self._pid != os.getpid():
            # A fork must not interrupt the imports of redis-py's first client.
            with self._lock, forks.quiet():
                if self._client is None or self._pid != os.getpid():
                    self._client, self._pid = connect(self.url), os.getpid()
        return self._client

    def run(
        self, script: Script, base: str, args: Sequence[Arg] = (), *, patience: float = PATIENCE
    ) -> Any:
        """Runs a script and returns its reply. Raises RedisUnavailable after ``patience`` seconds."""
        words = ("EVALSHA", script.sha, 1, base, *args)
        return self._patiently(patience, self._once, words, script)

    def command(self, *words: Arg, patience: float = PATIENCE) -> Any:
        """Sends a plain command, whose first argument is a key, and returns its reply."""
        return self._patiently(patience, self._once, words, None)

    def add(
        self, script: Script, base: str, args: Sequence[Arg], *, patience: float = PATIENCE
    ) -> Any:
        """Like ``run``, then waits for as many replicas as ``wait_replicas``."""
        return self._confirmed(base, self.run(script, base, args, patience=patience))

    def add_one(self, base: str, job: NewJob) -> Any:
        """Like ``add`` for one job."""
        return self._confirmed(base, self._patiently(PATIENCE, self._add_once, base, job))

    def _confirmed(self, base: str, reply: Any) -> Any:
        if self.wait_replicas:
            self.check_replicas(base, WAIT_TIMEOUT)
        return reply

    def _add_once(self, base: str, job: NewJob) -> Any:
        try:
            return self._send_line(adds.line(base, job), base).read_response()
        except Exception as error:
            if classify(error) is not Reply.UNKNOWN_SCRIPT:
                raise
        return self._exchange(("EVAL", ADD.text, 1, base, *adds.args((ADD, [job]))))

    def check_replicas(self, base: str, seconds: float) -> None:
        """Waits until replicas confirm this thread's writes to the server of ``base``.

        Raises RedisUnavailable when too few of them confirm within ``seconds``.
        """

        def once() -> Any:
            connection = self._connection(base)
            connection.send_command("WAIT", self.wait_replicas, int(seconds * 1000))
            return connection.read_response(timeout=seconds + REPLY_TIMEOUT)

        reached = int(self._patiently(0, once))
        if reached < self.wait_replicas:
            raise RedisUnavailable(
                f"only {reached} of {self.wait_replicas} replicas confirmed the write;"
                " the primary has it: add the job again with the same id to make sure"
            )

    def run_many(
        self, calls: Sequence[tuple[Script, str, Sequence[Arg]]], *, patience: float = PATIENCE
    ) -> list[Any]:
        """Runs several scripts in one round trip (on a Cluster: one round trip each)."""
        return self.batch(
            [(script, (base, *args)) for script, base, args in calls], patience=patience
        )

    def batch(
        self,
        calls: Sequence[tuple[Script | None, Sequence[Arg]]],
        *,
        patience: float = PATIENCE,
    ) -> list[Any]:
        """Runs scripts (with base and arguments) and plain commands (None) in one round trip.

        On a Cluster, each takes one. Plain commands must be safe to send twice.
        """
        if self.cluster or len(calls) == 1:
            return [self._single(script, words, patience) for script, words in calls]

        def once() -> list[Any]:
            connection = self._connection("")
            packed = connection.pack_commands(
                [("EVALSHA", script.sha, 1, *words) if script else words for script, words in calls]
            )
            connection.send_packed_command(packed, check_health=False)
            return [next_reply(connection) for _ in calls]

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
        """Yields the keys that begin with ``base``, scanning about ``count`` per step; some come twice.

        It scans the whole server, so it is only for administrative commands.
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
        """Sends a command to the server that holds the keys of ``base``; returns the reply."""

        def once() -> Any:
            connection = self._connection(base)
            connection.send_packed_command(packed(words), check_health=False)
            return connection.read_response()

        return self._patiently(PATIENCE, once)

    def ping(self, *, patience: float = 1.0) -> None:
        """Raises RedisUnavailable when Redis, or any primary of a Cluster, does not answer."""
        if self.cluster:
            self._patiently(patience, self._ping_all)
        else:
            self.command("PING", patience=patience)

    def _ping_all(self) -> None:
        for node in self.driver.get_primaries():
            connection = self._connection_to(node)
            connection.send_packed_command(packed(("PING",)), check_health=False)
            connection.read_response()

    def blocking(self, key: str) -> Any:
        """This thread's connection to the server of ``key``, for the caller's blocking command.

        A caller that abandons the wait must disconnect it. Raises redis-py's errors.
        """
        return self._connection(key)

    def lane(self) -> Lane | None:
        """A new connection for an event loop, after a call of this thread has succeeded.

        None where a call needs more than one connection, or TLS. Raises RedisUnavailable.
        """
        if self.cluster or self.wait_replicas:
            return None
        try:
            return open_lane(self._new(self.driver.connection_pool))
        except Exception as error:
            raise explained(error) from error

    def close(self) -> None:
        """Closes this thread's connections."""
        local = self._local
        held = getattr(local, "held", None)
        local.held = {}
        for connection, _ in (held or {}).values():
            connection.disconnect()

    # -- one exchange

    def _connection(self, key: Arg) -> Any:
        """This thread's connection to the server of ``key``, recently used or probed."""
        return self._connection_to(self.driver.get_node_from_key(key) if self.cluster else None)

    def _connection_to(self, node: Any) -> Any:
        """This thread's connection to a node of a Cluster, or (None) to the single server."""
        local = self._local
        # Not `forks.generation`: a server such as uWSGI may fork without telling Python.
        if getattr(local, "pid", 0) != os.getpid():
            local.pid, local.held = os.getpid(), {}
        name, pool = "", None
        if node is not None:
            name, pool = node.name, self.driver.get_redis_connection(node).connection_pool
        held = local.held.get(name)
        now = time.monotonic()
        if held is not None:
            connection: Any = held[0]
            fresh = now - held[1] < self.probe_after
            if connection.is_connected and (fresh or _answers(connection)):
                held[1] = now
                return connection
            connection.disconnect()
        connection = self._new(pool or self.driver.connection_pool)
        local.held[name] = [connection, now]
        with pulse.connecting():
            connection.connect()
        return connection

    def _new(self, pool: Any) -> Any:
        """A new connection with the pool's options.

        The pool itself counts all connections that it ever made, up to a maximum: a process that
        lost Redis often enough, or had enough threads, could never connect again.
        """
        kind = quick(pool.connection_class)
        if self._watch is not None and self._watch[0] == threading.get_ident():
            kind = watchful(pool.connection_class, self._watch[1])
        return kind(**{**pool.connection_kwargs, "socket_timeout": REPLY_TIMEOUT})

    def _once(self, words: Sequence[Arg], script: Script | None) -> Any:
        try:
            return self._exchange(words)
        except Exception as error:
            if script is None or classify(error) is not Reply.UNKNOWN_SCRIPT:
                raise
        return self._exchange(("EVAL", script.text, *words[2:]))

    def _exchange(self, words: Sequence[Arg]) -> Any:
        return self._send(words).read_response()

    def _patiently(self, patience: float, once: Callable[..., Any], *given: Any) -> Any:
        """Calls *once* with what is *given* until it succeeds or ``patience`` ends; retries a failed
        connection at least once.

        While a job runs, its calls wait as long as ``may_wait`` allows.
        """
        give_up = time.monotonic() + patience
        waits = may_wait.get() if patience else None
        pause, tries = 0.0, 0
        refused: Exception | None = None
        while True:
            try:
                if self._check_at is not None and time.monotonic() >= self._check_at:
                    self._check_format()
                return once(*given)
            except Exception as error:
                reply = classify(error)
                if reply is Reply.REFUSED:
                    # Later errors are less specific, because the refused connection is closed.
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
                # After an interrupt, the rest of this reply would be read as the next one.
                self.close()
                raise
            time.sleep(pause)
            tries += 1
            pause = min(0.5, pause * 2 or 0.02)

    def check_format(self) -> None:
        """Raises UnknownFormat if Redis answers and has records that this release cannot work with."""
        with contextlib.suppress(RedisUnavailable):
            self._patiently(0, lambda: None)

    def _check_format(self) -> None:
        try:
            formats.check(self._exchange(("GET", self._format_key or "")))
        except UnknownFormat as error:
            self.unknown_format = error
            raise
        except Exception as error:
            if not self.cluster or classify(error) in (None, Reply.FAULT):
                raise
            # The number is on another node than most queues, which go on without that node.
            self._lost(error)
            self._check_at = time.monotonic() + formats.PAUSE
        else:
            self._check_at = None

    def _lost(self, error: Exception) -> None:
        """Discards this thread's connections; reloads a Cluster's topology."""
        self.close()
        if self._format_key is not None and self._check_at is None:
            self._check_at = 0.0
        if self.cluster and self._client is not None:
            # Nodes may have changed roles; if none is reachable, the next call reports it.
            with contextlib.suppress(Exception):
                self._client.nodes_manager.initialize()


def _answers(connection: Any) -> bool:
    """Whether an idle connection still works; probes it for at most PROBE_TIMEOUT."""
    try:
        connection.send_packed_command(packed(("PING",)), check_health=False)
        if not arrived(connection, PROBE_TIMEOUT):
            return False
        connection.read_response(disconnect_on_error=False)
    except Exception as error:
        # An error reply from the server shows that the connection works.
        return code_of(error) != ""
    return True
