"""The Lua scripts: one file per transition, read, checked and assembled when it is first used.

A script consists of the fragments of ``lua/lib`` that its header includes and its own text, with the
key names inserted. ``Script`` is the typed binding: the names of its arguments must match the file's
``ARGV:`` line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from hsejobs.forks import cached_property
from hsejobs.store import keys
from hsejobs.store.assembly import Fragment, assemble

Arg = str | bytes | int | float
T = TypeVar("T")

_LUA = Path(__file__).with_name("lua")
_HEADER = re.compile(
    r"^-- (KEYS|ARGV|returns|errors|first|include|rare|read only|full server)(?:: ?(.*))?$"
)
#: Commands that write nothing.
_READING = frozenset({"EXISTS", "HMGET", "MGET", "TIME", "ZRANGE", "ZRANGEBYSCORE", "ZSCORE"})
#: ``soft`` is lib/record's function that treats unreadable keys as absent.
_CALL = re.compile(r"\b(?:redis\.p?call|soft)\('([A-Z]+)'")
#: Commands whose rights are not checked before a script writes: it copies and sets several keys only where it
#: may, an announcement that is refused must not refuse a job, and the time was read before.
_UNASKED = frozenset({"COPY", "MSET", "PUBLISH", "TIME"})


@cache
def _text(*parts: str) -> str:
    return _LUA.joinpath(*parts).read_text(encoding="utf-8")


@cache
def keep(*needed: Script) -> None:
    """Reads all files now, for a program that runs for long: its scripts are those of its own release, also
    when another one is installed over it meanwhile. Assembles those ``needed``, before each of the
    program's threads and processes would.
    """
    for path in _LUA.glob("**/*.lua"):
        _text(*path.relative_to(_LUA).parts)
    for script in needed:
        script.prepare()


def _header(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        match = _HEADER.match(line)
        if match:
            found[match[1]] = match[2] or ""
    return found


def _code(text: str) -> str:
    """The text without comment lines, to save memory in Redis."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


@dataclass(frozen=True)
class Script:
    """The binding of one Lua file.

    ``fixed`` are the arguments given once, ``each`` those repeated for every item.
    """

    name: str
    fixed: tuple[str, ...] = ()
    each: tuple[str, ...] = ()

    def check(self, header: Mapping[str, str]) -> None:
        """Raises TypeError unless the header of its file takes these arguments."""
        missing = {"KEYS", "ARGV", "returns", "errors"} - header.keys()
        if missing:
            raise TypeError(f"{self.name}.lua: its header lacks {', '.join(sorted(missing))}")
        declared = header["ARGV"]
        fixed, _, each = declared.removeprefix("each:").partition("; each:")
        if declared.startswith("each:"):
            fixed, each = "", fixed
        names = tuple(filter(None, (part.strip() for part in fixed.split(","))))
        repeated = tuple(filter(None, (part.strip() for part in each.split(","))))
        if (names, repeated) != (self.fixed, self.each):
            raise TypeError(f"{self.name}.lua takes {declared!r}, its binding differs")

    @cached_property
    def text(self) -> str:
        """The complete script, as sent to Redis. Raises TypeError when the file's header differs."""
        body = _text(f"{self.name}.lua")
        header = _header(body)
        self.check(header)
        fragments = [
            Fragment(name, _code(_text("lib", f"{name}.lua")), lazy=include.endswith("?"))
            for include in header.get("include", "").split()
            if (name := include.removesuffix("?"))
        ]
        code = assemble(fragments, _code(body), header.get("rare", "").split())
        full = header.get("full server") == "runs"
        before = "" if "read only" in header else _before_writing(code, full=full)
        for first in reversed(header.get("first", "").split()):
            before = _first(_code(_text("lib", f"{first}.lua"))) + before
        # A local variable is faster than a field of a global, and scripts call it many times.
        code = (before + code).replace("redis.call(", "call(").replace("redis.pcall(", "try(")
        return keys.into_lua(f"local call, try = redis.call, redis.pcall\n{code}")

    def prepare(self) -> None:
        """Assembles the script, unless that was done."""
        self.sha  # noqa: B018

    @cached_property
    def sha(self) -> str:
        """The SHA-1 that EVALSHA takes."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    @property
    def read_only(self) -> bool:
        """Whether the header declares that the script writes nothing."""
        return "read only" in _header(_text(f"{self.name}.lua"))

    @property
    def runs_when_full(self) -> bool:
        """Whether the script works on a server that has reached ``maxmemory``."""
        return "full server" in _header(_text(f"{self.name}.lua"))


def _before_writing(code: str, *, full: bool) -> str:
    """The start of every script that writes, because Redis does not roll back a script's writes.

    A permission that is missing in the middle would leave half a transition, so all are checked
    first (on Redis 7 and newer). ``full``: a full server refuses a script's first write if it needs
    memory, but no write after one that needs none, so the script begins with such a write. A
    read-only server refuses every first write and needs no check.
    """
    used = sorted(set(_CALL.findall(code)) - _UNASKED)
    names = ", ".join(f"'{name}'" for name in used)
    first = "redis.call('ZREM', KEYS[1], '')\n" if full else ""
    # Every call pays for this check, and a loop takes half as long again as one expression.
    return (
        "local may, key = redis.acl_check_cmd, KEYS[1]\n"
        f"if may and not ({_allowed(used)}) then\n"
        f"for _, name in ipairs({{ {names} }}) do\n"
        "if not may(name, key) then\n"
        "return redis.error_reply('NOPERM the user of this connection may not run '"
        " .. name .. ' on ' .. key .. '*')\n"
        "end\nend\nend\n" + first
    )


def _allowed(names: Iterable[str]) -> str:
    return " and ".join(f"may('{name}', key)" for name in names)


def _first(code: str) -> str:
    """The part of a script that runs before everything else; it reads, and writes only behind ``RIGHTS``.

    That stands for the check of what it runs from there on, except for its first write, whose
    refusal does no harm. Raises TypeError if it writes before.
    """
    reads, writes = code.split("RIGHTS")
    if wrong := set(_CALL.findall(reads)) - _READING:
        raise TypeError(f"writes before its rights are checked: {', '.join(sorted(wrong))}")
    after = [name for name in _CALL.findall(writes)[1:] if name != "TIME"]
    check = f"(not may or ({_allowed(dict.fromkeys(after))}))"
    return f"do\nlocal may, key = redis.acl_check_cmd, KEYS[1]\n{reads}{check}{writes}\nend\n"


def chunks(items: list[T], size: int) -> Iterable[list[T]]:
    """Splits the items into lists of at most ``size``, because no script may do unbounded work."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


#: The arguments that the jobs of one call share, those that jobs of one owner share, and those of each job.
_SHARED = (
    "name",
    "priority",
    "delay_ms",
    "attempts",
    "backoff_ms",
    "timeout_ms",
    "extras",
    "tenant_backlog",
)
_OWNER = ("organization", "user", "signature", "role", "key", "family")
_EACH = ("id", "nonce", "payload")

ADD = Script("add", _SHARED, (*_OWNER, *_EACH))
ADD_ALIKE = Script("add_alike", (*_SHARED, *_OWNER), _EACH)
PROBE = Script("probe", _SHARED)
PERIODIC = Script("periodic", (*_SHARED, *_OWNER, *_EACH, "schedule", "slot"))
ACT_ADD = Script(
    "act_add",
    (*_SHARED, *_OWNER, *_EACH, "schedule", "last", "entry", "only", "instead", "seen"),
)
AUDIT = Script("audit", ("entry", "count", "id"))
AUDIT_PAGE = Script("audit_page", ("organization", "newest", "oldest", "offset", "limit"))
AUDIT_FORGET = Script("audit_forget", each=("id", "entry"))
COMPLETE = Script(
    "complete",
    ("claim_count", "token", "lease_ms", "again", "own_bell", "kinds"),
    ("id", "kind", "run_us", "result"),
)
FAIL = Script(
    "fail", ("id", "token", "final", "code", "least_ms", "run_us", "error", "errors_kept", "group")
)
POSTPONE = Script("postpone", ("id", "token", "delay_ms", "limit_ms", "code", "reason"))
KEY = Script("key", ("id", "token", "key"))
RELEASE = Script("release", each=("id", "token"))
RENEW = Script("renew", ("lease_ms",), ("id", "token"))
STALL = Script("stall", ("max_stalls",), ("id", "token"))
SWEEP = Script("sweep", ("max_stalls", "limit", "stall_limit", "ended_by"))
PROGRESS = Script("progress", ("id", "token", "percent", "message"))
LOG = Script("log", ("id", "token", "lines_kept", "final", "first"), ("line",))
ALONE = Script("alone", ("id", "token", "begins"))
MARK = Script("mark", ("id", "token", "mark", "set", "ask"))
CHECKPOINT = Script("checkpoint", ("id", "token", "value", "final"))
PROMOTE = Script("promote", ("organization", "moment", "entry"), ("id", "seen"))
RETRY = Script("retry", ("organization", "moment", "entry"), ("id", "seen"))
CANCEL = Script("cancel", ("organization", "owner", "by", "reason", "ask", "entry"), ("id", "seen"))
REMOVE = Script("remove", ("organization", "entry"), ("id", "seen"))
RESTORE = Script(
    "restore",
    (
        "organization",
        "id",
        "score",
        "payload",
        "extras",
        "result",
        "checkpoint",
        "revocation",
        "ended",
        "entry",
    ),
    ("value",),
)
CLEAN = Script(
    "clean",
    (
        "state",
        "organization",
        "grace_ms",
        "asked",
        "limit",
        "offset",
        "count_only",
        "spare",
        "entry",
    ),
    ("id", "seen"),
)
ARTIFACT = Script("artifact", ("id", "token", "fresh", "expires_at"))
WITHDRAW = Script("withdraw", ("organization", "id", "seen", "entry"))
ERASE = Script("erase", ("organization",), ("id",))
FORGET_EVENTS = Script("forget_events", ("organization", "limit"))
FORGET_TENANT = Script("forget_tenant", ("organization",))
OBLITERATE = Script(
    "obliterate",
    ("states", "force", "limit", "whole", "asked", "state", "offset", "entry"),
)
SAMPLE = Script("sample", ("minute", "lease_ms"))
FOLD = Script("fold", ("before", "through", "book", "numbered"), ("what", "value", "ttl_s"))
NOTE = Script("note", ("mark", "once"))
TOTALS = Script("totals", ("most",))
OVERDUE = Script("overdue", ("overdue_ms",))
PAUSE = Script("pause", ("pause", "seen", "entry"))
HEARTBEAT = Script("heartbeat", ("worker", "record", "ttl_ms", "release", "described", "hold"))
STARTING = Script("starting")
ORDER = Script("order", ("order", "ttl_ms", "entry"), ("worker",))
DESCRIBE = Script("describe")
REGISTER = Script(
    "register",
    ("description", "before"),
    ("release", "consumer", "source_ms", "its_description", "masks"),
)
RULES = Script("rules", each=("field", "value"))
LOCK = Script("lock", ("lock", "id", "token", "ttl_ms"))
UNLOCK = Script("unlock", ("lock", "id", "token"))
AWAIT_LOCK = Script("await_lock", ("id", "token", "lock"))
WHY = Script("why", ("organization", "id"))
RATE = Script("rate", ("rate", "limit", "per_us", "nonce", "id"))
JOB = Script("job", ("organization", "id", "payload_bytes"))
KIDS = Script("kids", ("organization", "parent", "limit"))
PAGE = Script(
    "page",
    (
        "state",
        "organization",
        "limit",
        "reverse",
        "cursor_score",
        "cursor_id",
        "payload_bytes",
        "errors",
        "most_bytes",
        "resultless",
    ),
)
CIRCUIT_ENTER = Script("circuit_enter", ("name", "token", "trial_ms"))
CIRCUIT_REPORT = Script(
    "circuit_report",
    ("name", "token", "verdict", "error", "threshold", "open_ms", "longest_ms"),
)
CIRCUIT_SET = Script("circuit_set", ("name", "open", "seen", "entry"))
CIRCUIT_FORGET = Script("circuit_forget", each=("name",))
CIRCUITS = Script("circuits", ("offset", "limit"))
STATS = Script("stats", ("organization", "minutes"))
WINDOW = Script(
    "window",
    ("state", "organization", "reverse", "offset", "limit", "anchor", "anchor_row", "errors"),
)
TENANTS = Script("tenants", ("cursor", "limit", "minutes", "newest"), ("organization",))
CROWD = Script("crowd", ("places", "looked_at", "cursor", "limit", "most"), ("organization",))
TENANT_SET = Script(
    "tenant_set", ("organization", "weight", "limit", "paused", "seen", "who", "entry")
)
TASK_SET = Script("task_set", ("task", "paused", "seen", "who", "entry"), ("other_name",))
WORKERS = Script("workers")
UNKNOWN = Script("unknown", ("sample",))
VERIFY = Script("verify", ("repair", "entry"), ("id", "organization"))
STRAY = Script("stray", ("repair", "parent"), ("id",))
TALLY = Script("tally", ("reporter", "number", "ttl_s"), ("field", "by"))

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Script))
