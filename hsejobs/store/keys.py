"""Every Redis key of hsejobs is made here; the scripts get these names written in.

All keys of a queue share one hash tag, ``<prefix>:{<queue>}:``, so that a
script may touch any of them on a Redis Cluster. ``docs/redis-keys.md``
describes each key, its type and its life.
"""

from __future__ import annotations

import re

from hsejobs.model import (
    BACKOFF_FACTOR,
    DEFAULT_PRIORITY,
    LARGEST,
    LONGEST_BACKOFF_MS,
    LONGEST_MS,
    State,
    check_organization,
)

#: Suffixes after the queue's base. A trailing colon takes an id, an organization or a minute.
SUFFIXES: dict[str, str] = {
    # one record
    "job": "j:",
    "payload": "p:",
    "extras": "x:",
    "result": "r:",
    "errors": "e:",
    "logs": "l:",
    "marks": "k:",
    # the indexes, whole and per organization
    "waiting": "waiting",
    "active": "active",
    "delayed": "delayed",
    "completed": "completed",
    "failed": "failed",
    "org": "o:",
    # the queue itself
    "queue": "queue",
    "paused": "paused",
    "seq": "seq",
    "bell": "bell",
    "timer": "timer",
    "events": "events",
    "minute": "m:",
    "gone": "gone",
    "newevents": "events:new",
    "revoked": "revoked",
    "resent": "resent:",
    "slots": "slots",
    "lastruns": "lastruns",
    "lastends": "lastends",
    "workers": "workers",
    "worker": "w:",
    # Huey's own key-value store: locks, rate limits, chords
    "value": "kv:",
    "counter": "n:",
    "members": "s:",
    # circuit breakers, which belong to no queue
    "circuit": "c:",
    "circuits": "circuits",
    # counters of HTTP, which belong to no queue either
    "tally": "tally",
    "reported": "t:",
}

#: Life of the per-minute counters in seconds: whole queue, and one organization's.
MINUTE_TTL, ORG_MINUTE_TTL = 3 * 3600, 900
#: For so long the file of a job that a person removed is kept, in ms. The minute of an undo begins when
#: the last of many jobs was removed, and bringing many back over a slow line takes its time too.
UNDO_MS = 300_000
#: A claim that was sent again is known for so long, in seconds: what was sent before may still come.
RESENT_TTL = 3600
#: About how many entries the event feed keeps.
EVENTS_KEPT = 2_000
#: A waiting job's score is ``priority * PRIORITY_SPAN`` and its number in the order of arrival.
PRIORITY_SPAN = 2**50
#: What the scripts write as a word in capitals.
CONSTANTS = {
    "MINUTE_TTL": MINUTE_TTL,
    "ORG_MINUTE_TTL": ORG_MINUTE_TTL,
    "EVENTS_KEPT": EVENTS_KEPT,
    "PRIORITY_SPAN": PRIORITY_SPAN,
    "DEFAULT_PRIORITY": DEFAULT_PRIORITY,
    "LONGEST_MS": LONGEST_MS,
    "LARGEST": LARGEST,
    "BACKOFF_FACTOR": BACKOFF_FACTOR,
    "LONGEST_BACKOFF_MS": LONGEST_BACKOFF_MS,
    "UNDO_MS": UNDO_MS,
    "RESENT_TTL": RESENT_TTL,
}


def queues(prefix: str) -> str:
    """The set of the names of all queues that ever described themselves."""
    return f"{prefix}:queues"


def lock(prefix: str, name: str) -> str:
    """A lock for work that one process of the whole installation should do."""
    return f"{prefix}:lock:{name}"


def alerts(prefix: str) -> str:
    """The hash of the alerts that are on or went off lately, by rule and queue."""
    return f"{prefix}:alerts"


def circuits(prefix: str) -> str:
    """What the keys of all circuit breakers begin with; no queue can have that name."""
    return f"{prefix}:{{_circuits}}:"


def http(prefix: str) -> str:
    """What the keys of the HTTP counters begin with; no queue can have that name."""
    return f"{prefix}:{{_http}}:"


def doctor(prefix: str) -> str:
    """What the keys begin with that ``hsejobs doctor`` tries its rights on; no queue either."""
    return f"{prefix}:{{_doctor}}:"


def base(prefix: str, queue: str) -> str:
    """What all keys of a queue begin with."""
    return f"{prefix}:{{{queue}}}:"


def tenant(organization_id: str | None) -> str:
    """The organization as the scripts take it, ``""`` for all of them.

    An empty id is a mistake somewhere, and must not mean everybody. Raises InvalidOption.
    """
    return check_organization(organization_id) or ""


def index(queue_base: str, state: State, organization_id: str | None = None) -> str:
    """The sorted set of the ids in a state, of all or of one organization."""
    if organization_id is None:
        return queue_base + state.value
    return f"{queue_base}{SUFFIXES['org']}{state.value}:{organization_id}"


def of(queue_base: str, name: str, rest: str = "") -> str:
    """The key called ``name`` in SUFFIXES, with what follows a trailing colon."""
    return queue_base + SUFFIXES[name] + rest


def into_lua(code: str) -> str:
    """The code with ``K.name`` and the constants written out.

    A table of them would be built at each call, which for a single add cost more than the add.
    Raises KeyError for a name that is none.
    """
    code = re.sub(r"\bK\.(\w+)", lambda found: f"'{SUFFIXES[found[1]]}'", code)
    return re.sub(r"\b[A-Z_]+\b", lambda found: str(CONSTANTS.get(found[0], found[0])), code)
