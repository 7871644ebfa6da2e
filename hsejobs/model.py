"""The job model: states, limits, ids and the record."""

from __future__ import annotations

import os
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from hsejobs import forks
from hsejobs.errors import InvalidJobId, InvalidOption

#: Largest payload, in bytes of compact UTF-8 JSON.
PAYLOAD_LIMIT = 102_400
#: Largest result kept with a job, in bytes of compact UTF-8 JSON; store larger results as artifacts.
RESULT_LIMIT = 1_048_576
#: 1 is served first, 5 last.
PRIORITIES = range(1, 6)
DEFAULT_PRIORITY = 3
#: The delay before attempt n+1 is ``base * BACKOFF_FACTOR ** (n - 1)``, capped at one day; a base
#: above one day is used unchanged. Computed only in ``store/lua/lib/backoff.lua``.
BACKOFF_FACTOR, LONGEST_BACKOFF_MS = 5, 24 * 3600 * 1000
#: Log lines kept for one job, and characters kept of one line.
LOG_LINES, LOG_LINE_LENGTH = 1_000, 2_000
#: The most bytes of a job's checkpoint, as JSON.
CHECKPOINT_BYTES = 16_384
#: Errors kept for one job (the newest), and characters of traceback in each.
ERRORS_KEPT, TRACEBACK_LENGTH = 25, 8_000
#: The longest delay, timeout or backoff that a caller may set, in ms (a year).
LONGEST_MS = 366 * 24 * 3600 * 1000

#: Callers' roles, from the least to the most privileged.
ROLES = ("member", "admin", "operator")

QUEUE_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
#: Names that would collide with routes of the HTTP shim.
RESERVED_QUEUE_NAMES = frozenset(
    {
        "history",
        "marks",
        "dashboard",
        "stats",
        "alerts",
        "audit",
        "workers",
        "schedules",
        "circuits",
        "jobs",
        "queues",
        "events",
    }
)
_JOB_ID = re.compile(r"[A-Za-z0-9_:@+=][A-Za-z0-9._:@+=-]{0,199}")
#: Characters not allowed in the id of an organization or user: control characters, spaces other
#: than U+0020, invisible marks, private use. A fixed list, so that every version of Python, and the
#: pattern in the OpenAPI document, agree.
UNSEEN = (
    r"\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f"
    r"\u205f-\u206f\u3000\ue000-\uf8ff\ufeff\ufff0-\uffff"
)
SEEN = re.compile(rf"[^{UNSEEN}\ud800-\udfff]{{1,200}}")
#: Prefixes of ids that only the system itself may use.
RESERVED_IDS = ("periodic:", "sys:")


class State(StrEnum):
    """A job's state. ``paused`` is not one: such a job is ``waiting`` in a paused queue."""

    WAITING = "waiting"
    ACTIVE = "active"
    DELAYED = "delayed"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def letter(self) -> str:
        """The one character that stands for the state in Redis."""
        return self.value[0]

    @classmethod
    def of_letter(cls, letter: object) -> State:
        """The state for a record's letter. An unknown letter counts as failed: a person must decide."""
        text = letter.decode("ascii", "replace") if isinstance(letter, bytes) else letter
        return STATE_OF_LETTER.get(str(text), cls.FAILED)


STATE_OF_LETTER = {state.letter: state for state in State}
FINISHED = frozenset({State.COMPLETED, State.FAILED})


_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_id_lock = forks.lock()
#: The process id, its last millisecond, the counter within it, the millisecond as text, and what
#: the counters start from.
_id_state: list[Any] = [0, 0, 0, "", None]


_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]


def _eight(number: int) -> str:
    """The lowest 40 bits as eight characters, converted two at a time."""
    return (
        _PAIRS[number >> 30 & 1023]
        + _PAIRS[number >> 20 & 1023]
        + _PAIRS[number >> 10 & 1023]
        + _PAIRS[number & 1023]
    )


def new_job_id() -> str:
    """A new id: 17 characters that sort by creation time.

    Nine characters hold the milliseconds. Eight hold a per-process counter that starts at a random
    value in every millisecond, so that the ids of one process keep their order.
    """
    letters, counter = _next_ids(1)
    return letters + _eight(counter)


def new_job_ids(number: int) -> list[str]:
    """As many new ids, in order, for less than each costs alone."""
    letters, counter = _next_ids(number)
    found: list[str] = []
    while len(found) < number:
        # The first characters change once in 1024 ids.
        start = counter + len(found)
        ahead = letters + _eight(start)[:-2]
        last = start & 1023
        found += [ahead + pair for pair in _PAIRS[last : last + number - len(found)]]
    return found


def _next_ids(number: int) -> tuple[str, int]:
    """The nine characters of the time, and the first of as many values of the counter."""
    now = time.time_ns() // 1_000_000
    with _id_lock:
        pid = os.getpid()
        if now > _id_state[1] or pid != _id_state[0]:
            moment = _ALPHABET[now >> 40 & 31] + _eight(now)
            if pid != _id_state[0]:
                # Not `random` itself, which a program may seed. The kernel is asked once a process:
                # each time gives the interpreter away to another thread.
                _id_state[4] = random.Random(os.urandom(16))
            _id_state[:4] = [pid, now, _id_state[4].getrandbits(39), moment]
        else:
            _id_state[2] += 1
        counter: int = _id_state[2]
        _id_state[2] += number - 1
        letters: str = _id_state[3]
    return letters, counter


def job_id_of(ms: int, counter: int) -> str:
    """The id that `new_job_id` gives at ``ms`` since the epoch, with that value of its counter."""
    return _ALPHABET[ms >> 40 & 31] + _eight(ms) + _eight(counter)


def check_job_id(job_id: object, *, internal: bool = False) -> str:
    """Returns the id if it is valid and not reserved. Raises InvalidJobId.

    ``internal``: reserved ids are valid too.
    """
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise InvalidJobId(
            "job_id",
            "must be 1 to 200 of A-Z a-z 0-9 . _ : @ + = -, and must not begin with - or .",
        )
    if not internal and job_id.startswith(RESERVED_IDS):
        raise InvalidJobId(
            "job_id", "must not begin with 'periodic:' or 'sys:', which are reserved"
        )
    return job_id


def check_queue_name(name: object) -> str:
    """Returns the name if it is a valid queue name. Raises InvalidOption."""
    if not isinstance(name, str) or not QUEUE_NAME.fullmatch(name):
        raise InvalidOption("queue", "must be 1 to 40 of a-z 0-9 -, and must begin with a letter")
    if name in RESERVED_QUEUE_NAMES:
        raise InvalidOption("queue", f"{name!r} is reserved for an HTTP route; choose another name")
    return name


def check_organization(organization_id: object, field: str = "organization_id") -> str | None:
    """Returns an organization's or user's id if it is valid, or None. Raises InvalidOption."""
    if organization_id is None:
        return None
    if not isinstance(organization_id, str) or not SEEN.fullmatch(organization_id):
        raise InvalidOption(field, "must be 1 to 200 printable characters")
    return organization_id


#: The longest reason of a cancel, in characters.
REASON_LENGTH = 500
#: Characters not allowed in a reason: control characters, line ends, and marks that change the direction
#: of the text around them.
_UNREASONABLE = r"\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufffe\uffff"
#: The pattern of a reason in the OpenAPI document.
REASON = f"^[^{_UNREASONABLE}]{{0,{REASON_LENGTH}}}$"
_REASON = re.compile(rf"[^{_UNREASONABLE}\ud800-\udfff]{{0,{REASON_LENGTH}}}")


def check_reason(reason: object) -> str | None:
    """Returns the reason of a cancel, or None for none or an empty one. Raises InvalidOption."""
    if reason is None:
        return None
    if not isinstance(reason, str) or not _REASON.fullmatch(reason):
        problem = (
            f"must be one line of at most {REASON_LENGTH} characters, without control characters"
        )
        raise InvalidOption("reason", problem)
    return reason.strip() or None


def may_read(
    role: str,
    user_id: str | None,
    organization_id: str | None,
    *,
    owner_organization: str | None,
    owner: str | None,
) -> bool:
    """Whether the caller may read a job's data, result, errors, logs and file.

    Every interface uses this rule. An operator may read everything; an admin, and the platform
    itself (``system``), the jobs of its organization; a member the jobs that it created.
    """
    if role == "operator":
        return True
    if organization_id is None or organization_id != owner_organization:
        return False
    return role in ("admin", "system") or (owner is not None and owner == user_id)


#: The largest integer that Redis scores, Lua and JavaScript all represent exactly.
LARGEST = 2**53 - 1


def whole_number(value: object) -> int | None:
    """A record's value as an integer, truncated and clamped to ±LARGEST; None if it is not a number."""
    # Nearly every value is this; a list of jobs has a million of them.
    if value.__class__ is bytes and len(value) < 16 and value.isdigit():
        return int(value)
    try:
        number = float(value)  # type: ignore[arg-type]
        return max(-LARGEST, min(LARGEST, int(number)))
    except (TypeError, ValueError, OverflowError):
        return None


#: The last millisecond of the year 9999.
_LAST_MS = 253_402_300_799_999


def iso_time(ms: object) -> str | None:
    """Milliseconds since the epoch as ISO 8601 in UTC with milliseconds.

    Returns None for None, and for a value in a broken record that is not a valid time.
    """
    ms = None if ms is None else whole_number(ms)
    if ms is None or not 0 <= ms <= _LAST_MS:
        return None
    return f"{_iso_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=1024)
def _iso_second(seconds: int) -> str:
    """The time to the second; a list of jobs has each many times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


#: What a job waits for that a consumer sent back without running it, by code.
SENT_BACK = {
    "unknown_task": "waits for a consumer that has its task (unknown_task)",
    "sealed": "waits for a consumer that has the key of its secrets (sealed)",
}


class Relative(NamedTuple):
    """A job that another one descends from. In a record: ``queue/id``; of a job of an organization,
    ``~queue/id`` if this one has none.
    """

    queue: str
    id: str
    #: Whether it has no organization although its descendant has one.
    unowned: bool = False

    @classmethod
    def parse(cls, text: str) -> Relative | None:
        """Reads the form of a record; None if it is not one."""
        queue, slash, job_id = text.removeprefix("~").partition("/")
        return cls(queue, job_id, text.startswith("~")) if slash and queue and job_id else None

    def __str__(self) -> str:
        return f"{'~' if self.unowned else ''}{self.queue}/{self.id}"

    def of_child(
        self, owner: str | None, root: Relative | None, organization_id: str | None
    ) -> str:
        """The family of a job that this one adds, as in its record; '' for none.

        ``owner``: this job's organization; ``root``: the first job of its family, if it is not the
        first. A job of another organization has no parent: no record names a job of somebody else.
        """
        if owner not in (None, organization_id):
            return ""
        unowned = owner is None and organization_id is not None
        own = str(self._replace(unowned=unowned))
        return own if root is None else f"{own} {root._replace(unowned=unowned or root.unowned)}"


@dataclass(slots=True)
class JobRecord:
    """A job as read from Redis. Times are ms since the epoch, durations ms.

    ``data``, ``result`` and ``errors`` are decoded JSON. Secret fields are as stored (sealed or
    plain): mask them before you show them.
    """

    id: str
    queue: str
    name: str
    status: State
    organization_id: str | None
    user_id: str | None
    priority: int
    attempts_made: int
    attempts: int
    backoff: int
    timeout: int
    created_at: int
    processed_at: int | None = None
    finished_at: int | None = None
    run_at: int | None = None
    progress: float = 0
    progress_message: str | None = None
    #: When the progress or its message changed last; None if it never did, or its consumer is of an older
    #: release. It may have been in an earlier attempt.
    progress_at: int | None = None
    stalls: int = 0
    code: str | None = None
    data: Any = None
    result: Any = None
    errors: tuple[dict[str, Any], ...] = ()
    log_count: int = 0
    token: str | None = None
    paused: bool = False
    #: Who cancelled the job, why and when (ms): ``by``, ``reason``, ``at``; None unless it was cancelled.
    cancel: dict[str, Any] | None = None
    #: The id of the job, an edited copy, that was added to run instead of this one.
    superseded_by: str | None = None
    #: The lock that a delayed job waits for.
    lock: str | None = None
    #: What a postponed job waits for: a code and what it is about, such as ``circuit_open <name>``.
    postponed: str | None = None
    #: The job that was running when this one was added, and the first job of their family.
    parent: Relative | None = None
    root: Relative | None = None
    #: The id of the request that added the job, or the job that added it; None if no request did.
    request_id: str | None = None
    #: Why the job is where it is, as `hsejobs.control.why` tells; None if it has ended, or was not asked for.
    why: dict[str, Any] | None = None
    explained: bool = False
    #: Changes whenever the job enters a state; an action can require that it has not changed.
    version: str = ""

    @property
    def failed_reason(self) -> str | None:
        """The newest error's text, for a job that failed or waits for its next attempt; or `waits_for`."""
        if self.status is State.COMPLETED:
            return None
        if waits := self.waits_for:
            return waits
        if not self.errors:
            return None
        return str(self.errors[-1].get("error"))

    @property
    def waits_for(self) -> str | None:
        """What a job waits for that consumers could not run, or that found a lock taken; else None."""
        if self.status not in (State.WAITING, State.DELAYED):
            return None
        if self.lock is not None:
            return f"waits for the lock {self.lock}"
        return SENT_BACK.get(self.code or "")
