"""A client that notes what each script did to each job: state before, script, state after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import redis

from hsejobs.model import State
from hsejobs.store import adds
from hsejobs.store.client import PATIENCE, RedisClient
from hsejobs.store.new_job import NewJob
from hsejobs.store.scripts import ADD, Arg, Script
from tests.store.transitions import MOVES, Move

T = TypeVar("T", bound=tuple[Script, Any])
R = TypeVar("R")

#: For each record of the installation ``t``: its id, its state, and a sum of all that it holds and
#: of its place in the index of that state.
_LOOK = """
local out = {}
for _, key in ipairs(redis.call('KEYS', 't:{q}:j:*')) do
  local id = string.sub(key, 9)
  local state = redis.call('HGET', key, 'st')
  local sum = redis.call('HGETALL', key)
  if state == 'a' then sum[#sum + 1] = redis.call('ZSCORE', 't:{q}:active', id) or '' end
  out[#out + 1] = { id, state, redis.sha1hex(table.concat(sum, '\\0')) }
end
return out
"""


class WatchedClient(RedisClient):
    """Raises AssertionError at once for a move that the table does not have."""

    def __init__(self, url: str, client: redis.Redis) -> None:
        super().__init__(url)
        self._look = client.register_script(_LOOK)
        self.moves: set[Move] = set()

    def _seen(self) -> dict[bytes, tuple[State, bytes]]:
        return {job: (State.of_letter(state), rest) for job, state, rest in self._look()}

    def run(
        self, script: Script, base: str, args: Sequence[Arg] = (), *, patience: float = PATIENCE
    ) -> Any:
        if script.read_only:
            # It writes nothing: test_replies.py uses it on a server that refuses writes.
            return super().run(script, base, args, patience=patience)
        before = self._seen()
        reply = super().run(script, base, args, patience=patience)
        after = self._seen()
        for job in before.keys() | after.keys():
            if before.get(job) == after.get(job):
                continue
            old, new = before.get(job), after.get(job)
            move = (old[0] if old else None, script.name, new[0] if new else None)
            assert move in MOVES, f"{job!r}: {move} is in no row of the table"
            self.moves.add(move)
        return reply

    def add_one(self, base: str, job: NewJob) -> Any:
        return self.run(ADD, base, adds.args((ADD, [job])))

    # Several scripts in one round trip would be seen as one.

    def add_many(
        self,
        base: str,
        calls: Iterable[T],
        args_of: Callable[[T], Sequence[Arg]],
        result_of: Callable[[T, Any], R],
    ) -> list[R]:
        return [result_of(call, self.add(call[0], base, args_of(call))) for call in calls]

    def batch(
        self,
        calls: Sequence[tuple[Script | None, Sequence[Arg]]],
        *,
        patience: float = PATIENCE,
    ) -> list[Any]:
        return [self._single(script, words, patience) for script, words in calls]
