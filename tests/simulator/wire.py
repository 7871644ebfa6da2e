"""A private server and a minimal client: a step's call and the check after it are one round trip."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

import hiredis
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError, InvalidResponse

from hsejobs.store import scripts

_CHECK = files(__package__).joinpath("check.lua").read_text(encoding="utf-8")
_TIME, _PUBLISH = "call('TIME')", "redis.pcall('PUBLISH', "


def simulated(text: str) -> str:
    """A script that takes Redis time from its call, and leaves what it publishes to be fetched."""
    assert _TIME in text
    text = text.replace(_TIME, "{ KEYS[2], KEYS[3] }")
    head, *more = text.split(_PUBLISH)
    for part in more:
        # Its channel is the key of the timer; only the message matters.
        _, _, rest = part.partition(", ")
        head += "redis.pcall('SET', 'sim:announced', " + rest
    return head


def _sha(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _packed(words: Any) -> bytes:
    packed: bytes = hiredis.pack_command(words)
    return packed


class Wire:
    """One connection to the server, as an administrator. ``patches`` change a script's text by its name."""

    def __init__(
        self, path: str, base: str, patches: dict[str, Callable[[str], str]] | None = None
    ) -> None:
        self.base = base
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._sock.connect(path)
        self._sock.settimeout(20)
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=BaseParser.parse_error,
        )
        self.names: dict[str, str] = {}
        self._shas: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        for script in scripts.ALL:
            text = (patches or {}).get(script.name, str)(script.text)
            made = simulated(text)
            for way in (script.sha, script.text):
                self.names[way] = script.name
            self._shas[script.sha], self._texts[script.text] = _sha(made), made
        self._check = _sha(_CHECK)
        self.command("FLUSHALL")
        self.command("CONFIG", "SET", "maxmemory", "0")
        self.load()

    def close(self) -> None:
        self._sock.close()

    def load(self) -> None:
        """Makes the scripts known to the server."""
        for text in (*self._texts.values(), _CHECK):
            self.command("SCRIPT", "LOAD", text)

    def load_check(self) -> None:
        """Makes only the look known: the others are for the engine to send."""
        self.command("SCRIPT", "LOAD", _CHECK)

    def command(self, *words: Any) -> Any:
        """A command's reply; an error that the server answers is raised."""
        self._sock.sendall(_packed(words))
        reply = self._read()
        if isinstance(reply, Exception):
            raise reply
        return reply

    def step(self, words: Sequence[Any], redis_us: int, waiters: int) -> tuple[Any, list[Any]]:
        """What the server answers to the words of a ``Link``, and what ``check.lua`` then sees."""
        self._sock.sendall(
            _packed(self._words(words, redis_us))
            + _packed(("EVALSHA", self._check, 1, self.base, waiters))
        )
        reply, seen = self._read(), self._read()
        if isinstance(seen, Exception):
            raise seen
        return reply, seen

    def _words(self, words: Sequence[Any], redis_us: int) -> tuple[Any, ...]:
        if words[0] == "EVALSHA":
            way = self._shas[words[1]]
        elif words[0] == "EVAL":
            way = self._texts[words[1]]
        else:
            return tuple(words)
        seconds, rest = divmod(redis_us, 1_000_000)
        return (words[0], way, 3, words[3], seconds, rest, *words[4:])

    def _read(self) -> Any:
        while True:
            reply = self._reader.gets()
            if reply is not False:
                return reply
            data = self._sock.recv(65536)
            if not data:
                raise ConnectionError("the server is gone")
            self._reader.feed(data)
