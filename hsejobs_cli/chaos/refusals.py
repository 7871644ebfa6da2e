"""Ways to make a server say no, and to take them back: what was set before is set again.

Each needs rights of an administrator and holds for everybody who uses the server, except
``no-rights``, which takes rights from one user that was made for the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import Refused

Words = tuple[str, ...]
#: No server is there: what a replica takes for its primary.
NOWHERE = ("127.0.0.1", "1")
#: What is set, and to what; what it was comes back afterwards.
_CONFIG = {"full": ("maxmemory", "1"), "no-replicas": ("min-replicas-to-write", "100")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The commands that begin it, and those that end it."""

    begin: tuple[Words, ...]
    end: tuple[Words, ...]


def prepare(name: str, client: Any, user: Words = ()) -> Refusal:
    """The refusal of that name on the server of a redis-py *client*; changes nothing.

    ``user``: name and rule of the one whose right to write ``no-rights`` takes. Raises Refused
    where the server's present state forbids it, redis-py's errors where the client may not look.
    """
    if name in _CONFIG:
        setting, value = _CONFIG[name]
        if name == "full" and config(client, "maxmemory-policy") != "noeviction":
            raise Refused(
                "full: the server would evict other people's keys; it is tried only with"
                " maxmemory-policy noeviction"
            )
        before = config(client, setting)
        # Whoever may not set it learns it here.
        client.execute_command("CONFIG", "SET", setting, before)
        return Refusal((("CONFIG", "SET", setting, value),), (("CONFIG", "SET", setting, before),))
    if name == "read-only":
        role = client.execute_command("ROLE")
        if role[0] not in (b"master", "master"):
            raise Refused("read-only: the server is a replica already")
        return Refusal((("REPLICAOF", *NOWHERE),), (("REPLICAOF", "NO", "ONE"),))
    if name == "no-rights":
        return Refusal((("ACL", "SETUSER", user[0], "-@write"),), (("ACL", "SETUSER", *user),))
    if name == "flush-scripts":
        return Refusal((("SCRIPT", "FLUSH"),), ())
    raise ValueError(name)


def config(client: Any, setting: str) -> str:
    """A setting's value."""
    found = client.execute_command("CONFIG", "GET", setting)
    # A map in RESP3, a list of names and values in RESP2.
    value = next(iter(found.values())) if isinstance(found, dict) else found[1]
    return value.decode() if isinstance(value, bytes) else str(value)


def run(client: Any, commands: tuple[Words, ...]) -> None:
    """Sends the commands in turn. Raises redis-py's errors."""
    for words in commands:
        client.execute_command(*words)


@contextlib.contextmanager
def refusing(client: Any, name: str) -> Iterator[None]:
    """The server refuses what ``name`` says, until the end."""
    refusal = prepare(name, client)
    run(client, refusal.begin)
    try:
        yield
    finally:
        run(client, refusal.end)
