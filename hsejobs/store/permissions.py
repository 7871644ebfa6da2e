"""The permissions that hsejobs needs in Redis: the minimal ACL, and a test of it that changes nothing.

``docs/redis.md`` lists these rules; a test compares them with the commands that the scripts and the
program use.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hsejobs.store import keys

if TYPE_CHECKING:
    from hsejobs.store.client import RedisClient

#: Placeholders below: the temporary key, a key that does not exist, and a channel.
KEY, NONE, CHANNEL = "<key>", "<none>", "<channel>"
#: ms after which the temporary key expires, whatever happens to the test.
KEY_TTL_MS = 30_000

#: Each command that the program or a script uses, with arguments that change nothing: the call reads,
#: works on a missing key, or fails because of its arguments or the type of the temporary key. Redis
#: checks permissions before all of that.
COMMANDS: dict[str, tuple[str, ...]] = {
    "blpop": (KEY, "0.01"),
    "copy": (NONE, NONE),
    "del": (NONE,),
    "eval": ("return 1", "1", NONE),
    "evalsha": ("0" * 40, "1", NONE),
    "exists": (NONE,),
    "expire": (NONE, "1"),
    "get": (NONE,),
    "getrange": (NONE, "0", "0"),
    "hdel": (NONE, "f"),
    "hget": (NONE, "f"),
    "hgetall": (NONE,),
    "hincrby": (NONE, "f", "no number"),
    "hmget": (NONE, "f"),
    "hset": (NONE, "f", "v", "a field without a value"),
    "hsetnx": (KEY, "f", "v"),
    "hvals": (NONE,),
    "incrby": (NONE, "no number"),
    "info": ("server",),
    "llen": (NONE,),
    "lpush": (KEY, "v"),
    "lrange": (NONE, "0", "0"),
    "ltrim": (NONE, "0", "0"),
    "mget": (NONE,),
    "mset": (NONE, "v", NONE),
    "persist": (NONE,),
    "pexpire": (NONE, "1"),
    "ping": (),
    "publish": (CHANNEL, ""),
    "rename": (NONE, NONE),
    "rpush": (KEY, "v"),
    "sadd": (KEY, "v"),
    "scan": ("0", "COUNT", "1"),
    "scard": (NONE,),
    "select": ("0",),
    "set": (NONE, "v", "XX"),
    "sismember": (NONE, "v"),
    "smembers": (NONE,),
    "subscribe": (CHANNEL,),
    "time": (),
    "unlink": (NONE,),
    "wait": ("0", "1"),
    "xadd": (NONE, "NOMKSTREAM", "*", "f", "v"),
    "xrange": (NONE, "-", "+", "COUNT", "1"),
    "xread": ("COUNT", "1", "STREAMS", NONE, "0"),
    "xrevrange": (NONE, "+", "-", "COUNT", "1"),
    "zadd": (NONE, "XX", "1", "v"),
    "zcard": (NONE,),
    "zcount": (NONE, "0", "0"),
    "zrange": (NONE, "0", "0"),
    "zrangebyscore": (NONE, "0", "0"),
    "zrank": (NONE, "v"),
    "zrem": (NONE, "v"),
    "zremrangebyscore": (NONE, "0", "0"),
    "zrevrange": (NONE, "0", "0"),
    "zrevrank": (NONE, "v"),
    "zscan": (NONE, "0"),
    "zscore": (NONE, "v"),
}
#: Without these, all works, but slower.
FASTER = frozenset({"copy", "mset"})
#: Used by one administrative command, which works without it.
OPTIONAL = frozenset({"bgrewriteaof"})
#: Also needed on a Cluster. redis-py reads the command table to find the keys in a call.
CLUSTER_COMMANDS: dict[str, tuple[str, ...]] = {"asking": (), "cluster|slots": (), "command": ()}
#: Needed by the user for the sentinels, where we use no keys or channels.
SENTINEL_COMMANDS = ("sentinel|masters",)


def rule(prefix: str, *, cluster: bool = False) -> str:
    """The minimal rule: what follows ``ACL SETUSER <name> on ><password>``, in one line."""
    more = CLUSTER_COMMANDS if cluster else {}
    words = [f"~{prefix}:*", "resetchannels", f"&{prefix}:*", "-@all"]
    return " ".join((*words, *(f"+{name}" for name in sorted(COMMANDS | more))))


def sentinel_rule() -> str:
    """The minimal rule for the sentinels' user."""
    return " ".join(("resetkeys", "resetchannels", "-@all", *(f"+{n}" for n in SENTINEL_COMMANDS)))


@dataclass(slots=True)
class Permissions:
    """The result of a test: words ``missing`` from the ACL rule, those without which adds are ``slower``,
    and commands left ``untried``.
    """

    missing: list[str] = field(default_factory=list)
    slower: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def try_permissions(client: RedisClient, prefix: str) -> Permissions:
    """Tries each command as the client's user, on a temporary key that expires.

    A command that only a full or read-only server refuses counts as allowed. Raises redis-py's
    errors when there is no connection.
    """
    from redis.exceptions import NoPermissionError, ResponseError

    base = keys.doctor(prefix)
    key = base + secrets.token_hex(8)
    places = {KEY: key, NONE: f"{key}:none", CHANNEL: f"{key}:channel"}
    connection = client.blocking(base)
    found = Permissions()

    def call(name: str, *words: str) -> bool:
        try:
            _ask(
                connection, [*name.upper().split("|"), *(places.get(word, word) for word in words)]
            )
        except NoPermissionError as error:
            right = _right(name, str(error), prefix)
            (found.slower if right[1:] in FASTER else found.missing).append(right)
            return False
        except ResponseError:
            pass
        return True

    commands = COMMANDS | CLUSTER_COMMANDS if client.cluster else COMMANDS
    try:
        # Without this key, some commands would create one that never expires.
        safe = call("set", KEY, "v", "PX", str(KEY_TTL_MS))
        for name, words in commands.items():
            # After SUBSCRIBE, other commands are not allowed; a Cluster has one database.
            if name == "subscribe" or (name == "select" and client.cluster):
                continue
            if not safe and KEY in words and name != "blpop":
                found.untried.append(name)
            else:
                call(name, *words)
        # On a Cluster, these keys are on other nodes, which check permissions before they redirect.
        for place in (keys.queues(prefix), keys.alerts(prefix), keys.lock(prefix, "doctor")):
            call("hdel", place, "f")
        call("del", KEY)
        call("subscribe", CHANNEL)
    finally:
        connection.disconnect()
        client.close()
    found.missing = list(dict.fromkeys(found.missing))
    return found


def _ask(connection: Any, words: Sequence[str]) -> Any:
    connection.send_command(*words)
    return connection.read_response()


def _right(name: str, text: str, prefix: str) -> str:
    """The missing word of the rule, from the error's text, which differs between 6.2, 7 and Valkey."""
    if "channel" in text:
        return f"&{prefix}:*"
    # In "no permissions to run the '...' command", "key" can only be part of the command's name.
    if "key" in text and "run the" not in text:
        return f"~{prefix}:*"
    return f"+{name}"
