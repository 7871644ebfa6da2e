"""Bulk adds: several calls of a script on the way at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from hsejobs.store.connect import PATIENCE
from hsejobs.store.scripts import Arg, Script
from hsejobs.store.words import packed

#: A call of a script, and what it is made of.
T = TypeVar("T", bound=tuple[Script, Any])
R = TypeVar("R")


class BulkAdds:
    """The part of ``RedisClient`` that adds in bulk."""

    wait_replicas: int

    if TYPE_CHECKING:

        def run(self, script: Script, base: str, args: Sequence[Arg] = ()) -> Any: ...
        def add(self, script: Script, base: str, args: Sequence[Arg]) -> Any: ...
        def _connection(self, key: Arg) -> Any: ...
        def _patiently(self, patience: float, once: Callable[[], Any]) -> Any: ...

    def add_many(
        self,
        base: str,
        calls: Iterable[T],
        args_of: Callable[[T], Sequence[Arg]],
        result_of: Callable[[T, Any], R],
    ) -> list[R]:
        """Like ``add`` for several calls, pipelined; returns each call's result, of its reply.

        While Redis runs one, the next is made and encoded, and the reply of the one before decoded.
        """
        if self.wait_replicas:
            return [result_of(call, self.add(call[0], base, args_of(call))) for call in calls]
        rest, made = iter(calls), list[T]()

        def every() -> Iterator[T]:
            # An attempt after the first sends again what the first has made.
            yield from made
            for call in rest:
                made.append(call)
                yield call

        def once() -> list[R | Exception]:
            connection = self._connection(base)
            results: list[R | Exception] = []

            def take() -> None:
                reply = next_reply(connection)
                call = made[len(results)]
                results.append(reply if isinstance(reply, Exception) else result_of(call, reply))

            for number, call in enumerate(every()):
                sent = packed(("EVALSHA", call[0].sha, 1, base, *args_of(call)))
                connection.send_packed_command(sent, check_health=False)
                if number:
                    take()
            if made:
                take()
            return results

        return [
            result_of(call, self.run(call[0], base, args_of(call)))
            if isinstance(result, Exception)
            else result
            for call, result in zip(made, self._patiently(PATIENCE, once), strict=True)
        ]


def next_reply(connection: Any) -> Any:
    """The next reply; an error reply is returned, not raised."""
    from redis.exceptions import ResponseError

    try:
        return connection.read_response()
    except ResponseError as error:
        return error
