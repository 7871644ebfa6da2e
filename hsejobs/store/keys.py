"""Every Redis key of hsejobs is defined here; the names are inserted into the Lua scripts.

All keys of a queue share one hash tag, ``<prefix>:{<queue>}:``, so that a script may access any of
them on a Redis Cluster. ``docs/redis-keys.md`` describes each key, its type and its lifetime.
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

#: Suffixes after the queue's base. After a trailing colon comes an id, an organization or a minute.
SUFFIXES: dict[str, str] = {
    # one record
    "job": "j:",
    "payload": "p:",
    "extras": "x:",
    "result": "r:",
    "errors": "e:",
    "logs": "l:",
    "marks": "k:",
    "checkpoint": "cp:",
    # the jobs that a running job added, in the queue of each
    "kids": "kids:",
    # the indexes, whole and per organization
    "waiting": "waiting",
    "active": "active",
    "delayed": "delayed",
    "completed": "completed",
    "failed": "failed",
    "org": "o:",
    # turns and limits: the waiting jobs of no organization, whose turn it is, the rules and the state of both
    "unowned": "unowned",
    "turns": "turns",
    "rested": "turns:rested",
    "parked": "turns:parked",
    "share": "share",
    "tenants": "tenants",
    "starts": "starts",
    # the held tasks, and the jobs of one that are aside
    "tasks": "tasks",
    "taskwaits": "tw:",
    # the queue itself
    "queue": "queue",
    "releases": "releases",
    "seen": "releases:seen",
    "masks": "masks",
    "paused": "paused",
    "seq": "seq",
    "bell": "bell",
    "ownbell": "bell:",
    "timer": "timer",
    "events": "events",
    "minute": "m:",
    # the organizations of the queue, and the busiest of each minute
    "orgs": "orgs",
    "orgswalk": "orgs:walk",
    "busiest": "mo:",
    # the failures of a minute by group, and its samples; the finished history, its names, and how far it goes
    "errorminute": "me:",
    "sample": "ms:",
    "period": "h:",
    "names": "hn:",
    "history": "history",
    "totals": "totals",
    "gone": "gone",
    "newevents": "events:new",
    "revoked": "revoked",
    "cancels": "cancels",
    "ended": "ended",
    "resent": "resent:",
    "claims": "claims:",
    "sentback": "sentback",
    "slots": "slots",
    "lastruns": "lastruns",
    "lastends": "lastends",
    "workers": "workers",
    "worker": "w:",
    # the last heartbeat of any consumer, and the start of a program that is to run some
    "lastseen": "lastseen",
    "starting": "starting",
    # what an operator asked a consumer to do
    "order": "wo:",
    # Huey's own key-value store: locks, rate limits, chords
    "value": "kv:",
    "counter": "n:",
    "members": "s:",
    # the jobs that wait for a lock
    "waiters": "lw:",
    # limits by key: those with parked jobs; of each, the jobs that run, the last starts, the parked jobs,
    # and the turns of their organizations
    "keyparked": "turns:keys",
    "keyactive": "ka:",
    "keystarts": "ks:",
    "keywaits": "kw:",
    "keytimes": "kt:",
    # rate limits of tasks
    "rate": "rl:",
    "line": "rq:",
    "expected": "rx:",
    # the audit log: the entries by time, those of one organization, one entry
    "audit": "audit",
    "auditorg": "audit:",
    "entry": "au:",
    # circuit breakers, which do not belong to a queue
    "circuit": "c:",
    "circuits": "circuits",
    # marks in the history, which do not belong to a queue
    "notes": "notes",
    "latest": "latest",
    # counters of HTTP, which do not belong to a queue
    "tally": "tally",
    "reported": "t:",
}

#: Retention of the per-minute counters in seconds: of the whole queue, and of one organization.
MINUTE_TTL, ORG_MINUTE_TTL = 3 * 3600, 900
#: Minutes after which names in the history are numbered from 1 again (10 days), and how many such books are
#: kept: for longer than every record that uses them.
NAMES_MINUTES, NAMES_KEPT = 14_400, 5
#: How many marks are kept, and for how long (s).
MARKS_KEPT, MARKS_TTL = 2_000, 30 * 86_400
#: Retention of a minute's counters, in seconds, until they are added to the history.
RAW_TTL = 48 * 3600
#: ms after the end of a minute before it is added to the history.
SETTLE_MS = 8_000
#: Groups of errors that a minute counts separately, and codes that the totals do.
GROUPS_COUNTED, CODES_COUNTED = 200, 50
#: Organizations of a queue that are sampled besides the busiest ones, those with the newest jobs first.
SAMPLED = 100
#: Retention of the totals in seconds, from the last minute that was added to them.
TOTALS_TTL = 30 * 86_400
#: How many organizations of a minute are kept for history, and how many are compared for it.
BUSIEST_KEPT, BUSIEST_COMPARED = 50, 500
#: Minutes after an organization's last counted job, after which a sweep checks whether it has any left.
IDLE_MINUTES = 60
#: The time in s after which all jobs are walked for their organizations again; how many in one sweep.
WALK_TTL, WALKED_AT_ONCE = 86_400, 200
#: Retention of the file of a manually removed job, in ms. It exceeds the minute of an undo, which starts
#: when the last of many jobs was removed; restoring many over a slow connection takes time, too.
UNDO_MS = 300_000
#: ms after which a consumer without a heartbeat counts as dead.
DEAD_MS = 15_000
#: For how long, in seconds, the last heartbeat of a queue is remembered, and a start that led to none.
LAST_SEEN_TTL, STARTING_TTL = 30 * 86_400, 3600
#: Seconds for which a resent claim is remembered: an earlier copy may still arrive.
RESENT_TTL = 3600
#: Retention of Huey's revocations, in seconds.
REVOKED_TTL = 7 * 86_400
#: Jobs that a consumer sent back: the longest delay of one in ms. After the first time, the time between
#: two that come back, and the latest time at which the last of many does; how many tasks are noted, and for
#: how long (s).
SENT_BACK_MOST_MS = 30_000
SENT_BACK_SOON_MS, SENT_BACK_GAP_MS, SENT_BACK_LATEST_MS = 2_000, 4, 600_000
SENT_BACK_KEPT, SENT_BACK_TTL = 100, 25 * 3600
#: How many releases of a queue's code are remembered, for how long after a consumer of theirs was seen,
#: and for how long their secret fields are masked: longer than their jobs are kept (in ms).
RELEASES_KEPT, RELEASE_MS, MASK_MS = 20, 7 * 86_400_000, 90 * 86_400_000
#: In ms: how long a lock is kept for the job that it was handed to; after how long the first job that
#: waits for it tries again, and all others, if no script hands it over.
LOCK_GIVEN_MS, LOCK_FIRST_MS, LOCK_REST_MS = 60_000, 5_000, 600_000
#: In ms: after how long a job that runs under a key's limit is checked again; after how long a key with
#: parked jobs is looked at again, if no script does so earlier.
KEY_CHECK_MS, KEY_AGAIN_MS = 1_000, 10_000
#: How long a slot of a rate limit is kept for a waiting job that does not come back for it, in us.
RATE_GRACE_US = 5_000_000
#: In ms: how long a worker's own bell rings, if the wait that it ends never comes.
OWN_BELL_TTL_MS = 10_000
#: How many of the jobs that one job added are listed, in each queue.
KIDS_KEPT = 1_000
#: The audit log: how long entries are kept, in s; how many of a queue, and of one organization in it, so
#: that no organization can push out what others did; how many ids an entry lists, in how many bytes.
AUDIT_TTL = 90 * 86_400
AUDIT_KEPT, AUDIT_ORG_KEPT = 20_000, 2_000
AUDIT_IDS, AUDIT_BYTES = 50, 2_000
#: Approximate number of entries that the event feed keeps.
EVENTS_KEPT = 2_000
#: A waiting job's score is ``priority * PRIORITY_SPAN`` plus its number in the order of arrival.
PRIORITY_SPAN = 2**50
#: Constants that the scripts use by name.
CONSTANTS = {
    "MINUTE_TTL": MINUTE_TTL,
    "ORG_MINUTE_TTL": ORG_MINUTE_TTL,
    "NAMES_MINUTES": NAMES_MINUTES,
    "NAMES_KEPT": NAMES_KEPT,
    "MARKS_KEPT": MARKS_KEPT,
    "MARKS_TTL": MARKS_TTL,
    "RAW_TTL": RAW_TTL,
    "SETTLE_MS": SETTLE_MS,
    "GROUPS_COUNTED": GROUPS_COUNTED,
    "CODES_COUNTED": CODES_COUNTED,
    "SAMPLED": SAMPLED,
    "TOTALS_TTL": TOTALS_TTL,
    "BUSIEST_KEPT": BUSIEST_KEPT,
    "BUSIEST_COMPARED": BUSIEST_COMPARED,
    "IDLE_MINUTES": IDLE_MINUTES,
    "WALK_TTL": WALK_TTL,
    "WALKED_AT_ONCE": WALKED_AT_ONCE,
    "AUDIT_TTL": AUDIT_TTL,
    "AUDIT_KEPT": AUDIT_KEPT,
    "AUDIT_ORG_KEPT": AUDIT_ORG_KEPT,
    "AUDIT_IDS": AUDIT_IDS,
    "AUDIT_BYTES": AUDIT_BYTES,
    "EVENTS_KEPT": EVENTS_KEPT,
    "KIDS_KEPT": KIDS_KEPT,
    "PRIORITY_SPAN": PRIORITY_SPAN,
    "DEFAULT_PRIORITY": DEFAULT_PRIORITY,
    "LONGEST_MS": LONGEST_MS,
    "LARGEST": LARGEST,
    "BACKOFF_FACTOR": BACKOFF_FACTOR,
    "LONGEST_BACKOFF_MS": LONGEST_BACKOFF_MS,
    "UNDO_MS": UNDO_MS,
    "DEAD_MS": DEAD_MS,
    "LAST_SEEN_TTL": LAST_SEEN_TTL,
    "STARTING_TTL": STARTING_TTL,
    "RESENT_TTL": RESENT_TTL,
    "REVOKED_TTL": REVOKED_TTL,
    "SENT_BACK_MOST_MS": SENT_BACK_MOST_MS,
    "SENT_BACK_SOON_MS": SENT_BACK_SOON_MS,
    "SENT_BACK_GAP_MS": SENT_BACK_GAP_MS,
    "SENT_BACK_LATEST_MS": SENT_BACK_LATEST_MS,
    "SENT_BACK_KEPT": SENT_BACK_KEPT,
    "SENT_BACK_TTL": SENT_BACK_TTL,
    "RELEASES_KEPT": RELEASES_KEPT,
    "RELEASE_MS": RELEASE_MS,
    "MASK_MS": MASK_MS,
    "LOCK_GIVEN_MS": LOCK_GIVEN_MS,
    "LOCK_FIRST_MS": LOCK_FIRST_MS,
    "LOCK_REST_MS": LOCK_REST_MS,
    "OWN_BELL_TTL_MS": OWN_BELL_TTL_MS,
    "KEY_CHECK_MS": KEY_CHECK_MS,
    "KEY_AGAIN_MS": KEY_AGAIN_MS,
    "RATE_GRACE_US": RATE_GRACE_US,
}


def queues(prefix: str) -> str:
    """The set of the names of all queues that have a description."""
    return f"{prefix}:queues"


def record_format(prefix: str) -> str:
    """The number of the format of all records; absent: 1."""
    return f"{prefix}:format"


def lock(prefix: str, name: str) -> str:
    """A lock for work that only one process of the installation does."""
    return f"{prefix}:lock:{name}"


def alerts(prefix: str) -> str:
    """The hash of the alerts that are on or turned off recently, by rule and queue."""
    return f"{prefix}:alerts"


def circuits(prefix: str) -> str:
    """The prefix of the keys of circuit breakers, and of acts on no queue; no queue can have that name."""
    return f"{prefix}:{{_circuits}}:"


def http(prefix: str) -> str:
    """The prefix of the keys of the HTTP counters; no queue can have that name."""
    return f"{prefix}:{{_http}}:"


def marks(prefix: str) -> str:
    """The prefix of the keys of the marks in the history; no queue can have that name."""
    return f"{prefix}:{{_marks}}:"


def doctor(prefix: str) -> str:
    """The prefix of the keys that ``hsejobs doctor`` tests permissions with; no queue can have that name."""
    return f"{prefix}:{{_doctor}}:"


def base(prefix: str, queue: str) -> str:
    """The prefix of all keys of a queue."""
    return f"{prefix}:{{{queue}}}:"


def tenant(organization_id: str | None) -> str:
    """The organization as the scripts expect it; ``""`` means all.

    Raises InvalidOption for an empty id, which is a mistake and must not mean all organizations.
    """
    return check_organization(organization_id) or ""


def index(queue_base: str, state: State, organization_id: str | None = None) -> str:
    """The sorted set of the ids of jobs in a state, of all organizations or of one."""
    if organization_id is None:
        return queue_base + state.value
    return f"{queue_base}{SUFFIXES['org']}{state.value}:{organization_id}"


def of(queue_base: str, name: str, rest: str = "") -> str:
    """The key ``name`` of SUFFIXES; ``rest`` is what follows a trailing colon."""
    return queue_base + SUFFIXES[name] + rest


def into_lua(code: str) -> str:
    """The code with ``K.name`` and the constants replaced by their values.

    Redis would build a Lua table of them at each call, which would cost more than adding a job.
    Raises KeyError for an unknown name.
    """
    code = re.sub(r"\bK\.(\w+)", lambda found: f"'{SUFFIXES[found[1]]}'", code)
    return re.sub(r"\b[A-Z_]+\b", lambda found: str(CONSTANTS.get(found[0], found[0])), code)
