"""The fate of a call, by seed: answered, lost on its way there or back, late, or refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import redis.exceptions as known
from redis._parsers.base import BaseParser

from hsejobs.store import adds, scripts
from hsejobs.store.client import REPLY_TIMEOUT, RedisClient
from hsejobs.store.new_job import NewJob
from hsejobs.store.words import Tail
from tests.simulator.world import EPOCH, NOTHING, Actor, World

if TYPE_CHECKING:
    from tests.simulator.observer import Call, Observer
    from tests.simulator.wire import Wire

#: The replies of a server that refuses writes.
REFUSALS = ("CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOPERM", "NOREPLICAS", "READONLY")
#: Those that refuse a look as well.
_ALL_REFUSED = ("MASTERDOWN", "CLUSTERDOWN")
_READERS = {script.name for script in scripts.ALL if script.read_only}
_READ_COMMANDS = {"GET", "HGET", "HGETALL", "SMEMBERS", "SISMEMBER", "PING", "LLEN", "EXISTS"}


def refusal(code: str) -> Exception:
    """The error as redis-py makes it of the server's words."""
    parse: Any = BaseParser.parse_error
    made: Exception = parse(f"{code} not now")
    return made


@dataclass(slots=True)
class Flying:
    """A call that was sent, and its reply once it has come. ``wake``: of the actor that waits for it."""

    call: Call
    reply: Any = NOTHING
    wake: Callable[[Any], None] | None = None

    def arrive(self, reply: Any) -> None:
        """The reply has come."""
        self.reply = reply
        if self.wake is not None:
            self.wake(reply)

    def disconnect(self) -> None:
        """There is no connection."""


class Network:
    """The network's and the server's faults. Rates are per call."""

    def __init__(self, world: World, wire: Wire, observer: Observer) -> None:
        self.world, self.wire, self.observer = world, wire, observer
        self.lose = self.mute = self.late = self.slow = self.fault = 0.0
        #: The server: until when it refuses connections, or answers nothing (and then everything).
        self.down_until = self.frozen_until = 0.0
        #: The code that it refuses writes with, and until when.
        self.refusing: tuple[str, float] = ("", 0.0)
        self.bells: list[tuple[Actor, Callable[[Any], None]]] = []
        self.ears: list[Subscription] = []

    # -- one exchange, seen from an actor

    def exchange(self, words: Sequence[Any], while_waiting: Callable[[], None] | None) -> Any:
        """The reply. Raises what redis-py raises."""
        return self.finish(self.begin(words), while_waiting)

    def begin(self, words: Sequence[Any]) -> Flying:
        """Sends a call; its reply may come while the actor does something else."""
        actor = self.world._me()
        flying = Flying(self.observer.call(actor, self._name(words), words))
        self._send(actor, flying.call, words, flying.arrive)
        return flying

    def finish(self, flying: Flying, while_waiting: Callable[[], None] | None) -> Any:
        """The reply of a call that was begun."""
        world, actor, call = self.world, self.world._me(), flying.call
        until = world.now + REPLY_TIMEOUT
        while True:
            reply, left = flying.reply, until - world.now
            if reply is not NOTHING:
                break
            flying.wake = world.waker()
            reply = world.wait(min(left, 0.05) if while_waiting else left)
            if reply is not NOTHING:
                break
            if world.now >= until - 1e-9:
                call.abandoned = True
                self._hurt(actor, own=call.own)
                world.note(f"{call.name} timed out")
                raise known.TimeoutError("Timeout reading from socket")
            if while_waiting is not None:
                while_waiting()
        kind, value = reply
        if kind == "error":
            call.abandoned = True
            raise value
        if world.now - call.sent_at > 0.5:
            self._hurt(actor)
        call.answered = True
        self.observer.answered(call, value)
        return value

    def _name(self, words: Sequence[Any]) -> str:
        if words[0] in ("EVALSHA", "EVAL"):
            return self.wire.names[words[1]]
        return str(words[0])

    def _hurt(self, actor: Actor, *, own: bool = False) -> None:
        """A call went wrong; ``own``: by the network, not because the server was away."""
        now = self.world.now
        if own or not self.server_trouble(now - 3.0):
            actor.hurt_at = actor.group.hurt_at = now

    def server_trouble(self, since: float) -> bool:
        """Whether the server was away or silent since then."""
        return max(self.down_until, self.frozen_until) > since

    def _send(
        self, actor: Actor, call: Any, words: Sequence[Any], wake: Callable[[Any], None]
    ) -> None:
        world, random = self.world, self.world.random
        call.wake, call.sent_at = [wake], world.now
        there, back = random.uniform(5e-5, 5e-4), random.uniform(5e-5, 5e-4)
        draw = random.random()
        if self.down_until > world.now:
            self._fail(call, there, known.ConnectionError("Connection refused"))
            return
        if actor.group.cut_until > world.now:
            actor.hurt_at = actor.group.hurt_at = actor.group.cut_until
            if draw < 0.5:
                self._fail(call, there, known.ConnectionError("No route to host"))
            else:
                # Its caller waits for longer than the cut may last.
                overdue = max(actor.group.cut_until, world.now + REPLY_TIMEOUT)
                actor.hurt_at = actor.group.hurt_at = overdue
            return
        for rate, act in (
            (self.lose, self._lose),
            (self.mute, self._mute),
            (self.late, self._late),
            (self.fault, self._fault),
        ):
            if draw < rate:
                act(actor, call, words, there, back)
                return
            draw -= rate
        if draw < self.slow:
            there, back = there * 1000, back * 1000
        code, until = self.refusing
        if until > world.now and (code in _ALL_REFUSED or self._writes(words)):
            self._fail(call, there, refusal(code), note=code)
            return
        world.at(world.now + there, lambda: self._execute(call, words, back))

    def _writes(self, words: Sequence[Any]) -> bool:
        if words[0] in ("EVALSHA", "EVAL"):
            return self.wire.names[words[1]] not in _READERS
        return words[0] not in _READ_COMMANDS

    def _fail(self, call: Any, there: float, error: Exception, note: str = "refused") -> None:
        def act() -> None:
            self.world.note(f"{call.who} {call.name} {note}")
            call.wake[0](("error", error))

        self.world.at(self.world.now + there, act)

    def _reset(self, actor: Actor, call: Any, there: float, what: str) -> None:
        """Half of the lost calls are noticed at once, the others when their reply is overdue."""
        call.own = True
        self._hurt(actor, own=True)
        self.world.note(f"{call.name} {what}")
        if self.world.random.random() < 0.5:
            self._fail(call, there * 2, known.ConnectionError("Connection reset by peer"))
        else:
            # Until then its caller waits, and can do nothing else.
            actor.hurt_at = actor.group.hurt_at = self.world.now + REPLY_TIMEOUT

    def _lose(self, actor: Actor, call: Any, words: Any, there: float, back: float) -> None:
        self._reset(actor, call, there, "is lost")

    def _mute(self, actor: Actor, call: Any, words: Any, there: float, back: float) -> None:
        self._reset(actor, call, there, "will be done, its reply lost")
        self.world.at(self.world.now + there, lambda: self._execute(call, words, None))

    def _late(self, actor: Actor, call: Any, words: Any, there: float, back: float) -> None:
        """It arrives when no caller waits for it any more."""
        self._reset(actor, call, there, "will be done late")
        later = self.world.now + self.world.random.uniform(0.01, 6.0)
        self.world.at(later, lambda: self._execute(call, words, None))

    def _fault(self, actor: Actor, call: Any, words: Any, there: float, back: float) -> None:
        self._hurt(actor)
        if call.name == "log":
            self.observer.muted.add(call.args[1])
        self._fail(call, there, known.ResponseError("ERR a mistake of the server"), note="fault")

    # -- at the server

    def _execute(self, call: Any, words: Sequence[Any], back: float | None) -> None:
        world = self.world
        if self.down_until > world.now:
            return
        if self.frozen_until > world.now:
            # What is in the sockets is read when it runs again, in any order.
            later = self.frozen_until + world.random.uniform(1e-5, 1e-3)
            world.at(later, lambda: self._execute(call, words, back))
            return
        self.observer.rate(call.actor.group)
        redis_us = int((EPOCH + world.now) * 1_000_000)
        self._forget_bells()
        reply, seen = self.wire.step(words, redis_us, len(self.bells))
        world.steps += 1
        call.late = call.late or call.abandoned
        problems, rung, announced, rows = seen
        if isinstance(reply, Exception):
            world.note(f"{call.who} {call.name} -> {type(reply).__name__} {str(reply)[:60]}")
            answer: Any = ("error", reply)
        else:
            world.note(f"{call.who} {call.name} {call.about} -> {brief(reply)}")
            answer = ("ok", reply)
        self.observer.after(call, reply, problems, rows, redis_us // 1000)
        if rung:
            self._ring()
        if announced:
            for ear in self.ears:
                ear.hear()
        if back is not None:
            world.at(world.now + back, lambda: call.wake[0](answer))

    # -- the doorbell and the subscriptions

    def _forget_bells(self) -> None:
        self.bells = [(actor, wake) for actor, wake in self.bells if actor.alive]

    def _ring(self) -> None:
        _actor, wake = self.bells.pop(0)
        if self.world.random.random() < self.lose:
            return  # the bell was taken by a connection that no longer exists
        self.world.at(self.world.now + self.world.random.uniform(5e-5, 1e-3), lambda: wake(None))


def brief(reply: Any) -> str:
    """A reply in a line of the trace."""
    return repr(reply).replace("b'", "'")[:70]


class SimClient(RedisClient):
    """The real RedisClient, whose exchanges go through the simulated network."""

    network: Network

    def __init__(self, url: str = "unix:///simulated", **options: Any) -> None:
        super().__init__(url, **options)
        self._watcher: Actor | None = None
        self._call: Callable[[], None] | None = None

    def watch(self, while_waiting: Callable[[], None]) -> None:
        self._watcher, self._call = self.network.world.current, while_waiting

    def _exchange(self, words: Sequence[Any]) -> Any:
        watched = self._watcher is not None and self._watcher is self.network.world.current
        return self.network.exchange(words, self._call if watched else None)

    def add_one(self, base: str, job: NewJob) -> Any:
        return self.add(scripts.ADD, base, adds.args((scripts.ADD, [job])))

    def _send(
        self,
        words: Sequence[Any],
        last: Tail | None = None,
        then: Sequence[Any] = (),
        behind: Any = None,
    ) -> Any:
        # The wait behind a step is simulated by the worker.
        self.network.observer.seen["behind" if behind is not None else "ahead"] += 1
        return self.network.begin(words if last is None else (*words, *last.words))

    def _receive(self, sent: Any) -> Any:
        try:
            return self.network.finish(sent, None)
        except Exception:
            self.network.observer.seen["ahead lost"] += 1
            raise

    def batch(self, calls: Any, *, patience: float = 3.0) -> list[Any]:
        return [self._single(script, words, patience) for script, words in calls]

    def add_many(self, base: str, calls: Any, args_of: Any, result_of: Any) -> list[Any]:
        return [result_of(call, self.add(call[0], base, args_of(call))) for call in calls]

    def blocking(self, key: str) -> Any:
        return Subscription(self.network)

    def close(self) -> None:
        """There are no connections."""


class Subscription:
    """What a ``DueTimer`` needs of a connection."""

    def __init__(self, network: Network) -> None:
        self._network, self._heard = network, 0
        self._group = network.world._me().group
        self._made_at = network.world.now

    def send_command(self, *words: Any) -> None:
        if words[0] == "SUBSCRIBE":
            network = self._network
            if network.server_trouble(network.world.now) or self._cut():
                raise known.ConnectionError("Connection refused")
            network.ears = [ear for ear in network.ears if ear._group is not self._group]
            network.ears.append(self)
        elif not self._cut():
            self._heard += 1  # the answer to PING

    def _cut(self) -> bool:
        return self._group.cut_until > self._network.world.now

    def hear(self) -> None:
        if self._group.alive and not self._cut():
            self._heard += 1

    @property
    def _parser(self) -> Subscription:
        return self

    #: Replies that were read and not asked for: there are none here.
    _reader = None

    def read_from_socket(self, *, timeout: float, raise_on_timeout: bool) -> bool:
        """Whether something has arrived, as ``arrived`` asks for it."""
        if self._network.down_until > self._made_at:
            raise known.ConnectionError("Connection closed by server")
        return self._heard > 0

    def read_response(self) -> list[bytes]:
        self._heard -= 1
        return [b"message"]
