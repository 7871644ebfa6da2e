"""What a Redis user needs for hsejobs: the least ACL, and a trial of it that changes nothing.

``docs/redis.md`` prints these rules; a test compares them with what the scripts call and the
program sends.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hsejobs.store import keys

if TYPE_CHECKING:
    from hsejobs.store.client import RedisClient

#: Stand for the throw-away key, one that is not there, and a channel, in what follows.
KEY, NONE, CHANNEL = "<key>", "<none>", "<channel>"
#: ms after which the throw-away key is gone, whatever happens to the trial.
KEY_TTL_MS = 30_000

#: Each command that the program sends or a script calls, and the arguments of a call that changes
#: nothing: it reads, works on a key that is not there, or is refused for its arguments or for the
#: type of the throw-away key. Redis looks at the rights before all of that.
COMMANDS: dict[str, tuple[str, ...]] = {
    "blpop": (KEY, "0.01"),
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
#: What one command of an administrator asks for, and does without where it is refused.
OPTIONAL = frozenset({"bgrewriteaof"})
#: On a Cluster besides. redis-py asks for the commands' tables to find the keys in a call.
CLUSTER_COMMANDS: dict[str, tuple[str, ...]] = {"asking": (), "cluster|slots": (), "command": ()}
#: Of a user at the sentinels, which have no keys and no channels of ours.
SENTINEL_COMMANDS = ("sentinel|masters",)


def rule(prefix: str, *, cluster: bool = False) -> str:
    """What follows ``ACL SETUSER <name> on ><password>`` for the least user, in one line."""
    more = CLUSTER_COMMANDS if cluster else {}
    words = [f"~{prefix}:*", "resetchannels", f"&{prefix}:*", "-@all"]
    return " ".join((*words, *(f"+{name}" for name in sorted(COMMANDS | more))))


def sentinel_rule() -> str:
    """The same for a user at the sentinels."""
    return " ".join(("resetkeys", "resetchannels", "-@all", *(f"+{n}" for n in SENTINEL_COMMANDS)))


@dataclass(slots=True)
class Rights:
    """What a trial found: words of an ACL rule that are ``missing``, and commands not ``tried``."""

    missing: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def try_rights(link: RedisClient, prefix: str) -> Rights:
    """Tries each command as the link's user, on one key of its own that goes by itself.

    What a full or a read-only server refuses is allowed all the same. Raises redis-py's errors
    when there is no connection.
    """
    from redis.exceptions import NoPermissionError, ResponseError

    base = keys.doctor(prefix)
    key = base + secrets.token_hex(8)
    places = {KEY: key, NONE: f"{key}:none", CHANNEL: f"{key}:channel"}
    connection = link.blocking(base)
    found = Rights()

    def call(name: str, *words: str) -> bool:
        try:
            _ask(
                connection, [*name.upper().split("|"), *(places.get(word, word) for word in words)]
            )
        except NoPermissionError as error:
            found.missing.append(_right(name, str(error), prefix))
            return False
        except ResponseError:
            pass
        return True

    commands = COMMANDS | CLUSTER_COMMANDS if link.cluster else COMMANDS
    try:
        # Without this key some commands would leave one of their own for ever.
        safe = call("set", KEY, "v", "PX", str(KEY_TTL_MS))
        for name, words in commands.items():
            # After a SUBSCRIBE nothing else may be said; a Cluster has one database.
            if name == "subscribe" or (name == "select" and link.cluster):
                continue
            if not safe and KEY in words and name != "blpop":
                found.untried.append(name)
            else:
                call(name, *words)
        # On a Cluster these are on other nodes, which say so after they looked at the rights.
        for place in (keys.queues(prefix), keys.alerts(prefix), keys.lock(prefix, "doctor")):
            call("hdel", place, "f")
        call("del", KEY)
        call("subscribe", CHANNEL)
    finally:
        connection.disconnect()
        link.close()
    found.missing = list(dict.fromkeys(found.missing))
    return found


def _ask(connection: Any, words: Sequence[str]) -> Any:
    connection.send_command(*words)
    return connection.read_response()


def _right(name: str, text: str, prefix: str) -> str:
    """The word of the rule that is missing, by the error's text: 6.2, 7 and Valkey differ."""
    if "channel" in text:
        return f"&{prefix}:*"
    # "no permissions to run the 'get' command" has no other "key" in it than a command's own.
    if "key" in text and "run the" not in text:
        return f"~{prefix}:*"
    return f"+{name}"
