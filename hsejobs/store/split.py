"""Script calls in two halves: sent now, their replies read later, so that work is done meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from hsejobs.errors import JobsError
from hsejobs.store.replies import Reply, classify, explained
from hsejobs.store.scripts import Arg, Script
from hsejobs.store.words import Tail, key_of, packed, packed_with


class SplitCalls:
    """The part of ``RedisClient`` that sends a call and reads its reply separately.

    Between ``begin`` and ``finish``, the thread must make no other call with this client, but it may begin
    further ones ``behind`` the first, and finishes them in this order. Nothing here retries: any error
    means that the call may or may not have been executed.
    """

    #: Whether this is a Redis Cluster.
    cluster: bool
    run: Callable[..., Any]
    _connection: Callable[[Arg], Any]
    _lost: Callable[[Exception], None]
    _patiently: Callable[..., Any]
    close: Callable[[], None]
    _local: Any

    def begin(
        self,
        script: Script,
        base: str,
        args: Sequence[Arg],
        *,
        last: Tail | None = None,
        then: Sequence[Arg] = (),
        behind: Any = None,
    ) -> Any:
        """Sends a script's call; returns what ``finish`` needs. Raises RedisUnavailable or JobsError.

        ``last``: the rest of the arguments. ``then``: a command to send in the same packet, whose reply the
        caller reads after ``finish`` from what this returns, which is the connection; if ``finish`` fails, it
        must be disconnected. ``behind``: the connection of a call that is not finished yet.
        """
        call = ("EVALSHA", script.sha, 1, base, *args)
        if behind is not None:
            # As it is: a look whether it still works would take that call's reply for its own.
            return self._once_only(self._send, call, last, then, behind)
        return self._patiently(0, self._send, call, last, then)

    def finish(self, sent: Any) -> Any:
        """Waits for the reply of a call that was begun. Raises as ``begin``."""
        return self._once_only(self._receive, sent)

    def _once_only(self, act: Callable[..., Any], *given: Any) -> Any:
        try:
            return act(*given)
        except Exception as error:
            reply = classify(error)
            if reply is not Reply.FAULT:
                self._lost(error)
            if reply is None:
                raise
            raise explained(error) from error
        except BaseException:
            # The rest of this reply would be read as the next one.
            self.close()
            raise

    def early(self, script: Script, base: str, args: Sequence[Arg]) -> Callable[[], Any]:
        """Sends a script that only reads; returns the function that returns its reply, as ``run`` does.

        Until it is called, the thread must make no other call with this client.
        """
        sent: Any = None
        with contextlib.suppress(JobsError):
            sent = self.begin(script, base, args)

        def reply() -> Any:
            if sent is not None:
                with contextlib.suppress(JobsError):
                    return self.finish(sent)
            return self.run(script, base, args)

        return reply

    def answered(self, connection: Any) -> None:
        """Records that a reply has just come by this connection, so that it need not be probed."""
        for one in self._local.held.values():
            if one[0] is connection:
                one[1] = time.monotonic()

    def _send(
        self,
        words: Sequence[Arg],
        last: Tail | None = None,
        then: Sequence[Arg] = (),
        behind: Any = None,
    ) -> Any:
        lines = packed(words) if last is None else packed_with(words, last)
        if then:
            lines += packed(then)
        return self._send_line(b"".join(lines), key_of(words) if self.cluster else "", behind)

    def _send_line(self, line: bytes, key: Arg, behind: Any = None) -> Any:
        """Sends encoded commands to the server of ``key``, or by the connection ``behind`` whose last call
        they go; returns the connection.
        """
        connection = self._connection(key) if behind is None else behind
        connection.send_packed_command((line,), check_health=False)
        return connection

    def _receive(self, sent: Any) -> Any:
        return sent.read_response()
