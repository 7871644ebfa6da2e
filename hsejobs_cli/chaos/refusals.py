"""Ways to make a server refuse commands, and to undo that: the previous settings are restored.

Each needs administrator rights and affects all users of the server, except
``no-rights``, which takes rights from a user that was created for the run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hsejobs.errors import Refused

Words = tuple[str, ...]
#: An address without a server, for REPLICAOF.
NOWHERE = ("127.0.0.1", "1")
#: The setting and value of each; the previous value is restored afterwards.
_CONFIG = {"full": ("maxmemory", "1"), "no-replicas": ("min-replicas-to-write", "100")}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The commands that begin the refusal, and those that end it."""

    begin: tuple[Words, ...]
    end: tuple[Words, ...]


def prepare(name: str, client: Any, user: Words = ()) -> Refusal:
    """Prepares the refusal *name* on the server of a redis-py *client*; changes nothing.

    ``user``: name and rule of the user whose write rights ``no-rights`` takes. Raises Refused if the
    server's state does not allow it, redis-py's errors if the client lacks rights.
    """
    if name in _CONFIG:
        setting, value = _CONFIG[name]
        if name == "full" and config(client, "maxmemory-policy") != "noeviction":
            raise Refused(
                "full: the server would evict other keys; this blow needs"
                " maxmemory-policy noeviction"
            )
        before = config(client, setting)
        # Fails here if the client may not set it.
        client.execute_command("CONFIG", "SET", setting, before)
        return Refusal((("CONFIG", "SET", setting, value),), (("CONFIG", "SET", setting, before),))
    if name == "read-only":
        role = client.execute_command("ROLE")
        if role[0] not in (b"master", "master"):
            raise Refused("read-only: the server is already a replica")
        return Refusal((("REPLICAOF", *NOWHERE),), (("REPLICAOF", "NO", "ONE"),))
    if name == "no-rights":
        return Refusal((("ACL", "SETUSER", user[0], "-@write"),), (("ACL", "SETUSER", *user),))
    if name == "flush-scripts":
        return Refusal((("SCRIPT", "FLUSH"),), ())
    raise ValueError(name)


def config(client: Any, setting: str) -> str:
    """Returns the value of a server setting."""
    found = client.execute_command("CONFIG", "GET", setting)
    # A map in RESP3, a list of names and values in RESP2.
    value = next(iter(found.values())) if isinstance(found, dict) else found[1]
    return value.decode() if isinstance(value, bytes) else str(value)


def run(client: Any, commands: tuple[Words, ...]) -> None:
    """Sends the commands in order. Raises redis-py's errors."""
    for words in commands:
        client.execute_command(*words)


@contextlib.contextmanager
def refusing(client: Any, name: str) -> Iterator[None]:
    """Applies the refusal *name* while the block runs."""
    refusal = prepare(name, client)
    run(client, refusal.begin)
    try:
        yield
    finally:
        run(client, refusal.end)
