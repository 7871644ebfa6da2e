"""Why a job is where it is: one cause, named the same through every door."""

from __future__ import annotations

from typing import Any, NamedTuple

from hsejobs.control.actors import Actor
from hsejobs.control.durations import duration
from hsejobs.control.turns import Line, shared
from hsejobs.model import JobRecord, iso_time, whole_number
from hsejobs.store import waits
from hsejobs.store.client import PATIENCE
from hsejobs.store.pages import WHOLE
from hsejobs.store.read import JobReader
from hsejobs.store.waits import Facts, Party
from hsejobs.wording import counted

#: What each code means, in the order in which the causes of a waiting job are looked for.
CODES: dict[str, str] = {
    "paused": "the queue is paused",
    "tenant_paused": "its organization is paused in this queue",
    "task_paused": "its task is paused in this queue",
    "no_worker": "no consumer of the queue is alive",
    "workers_quiet": "all consumers of the queue are quiet: they claim no jobs",
    "unknown_task": "no living consumer has its task",
    "sealed": "it waits for a consumer that has the key of its secrets",
    "tenant_limit": "its organization runs as many jobs as it may",
    "key_limit": "as many jobs with its key run as may",
    "key_rate": "as many jobs with its key have begun as its rate allows",
    "limit": "the queue runs as many jobs as it may",
    "rate": "as many jobs have begun as the queue's rate allows",
    "behind": "other jobs come first",
    "slots_busy": "it is next, and all workers are busy",
    "next": "it is next: a worker takes it now",
    "locked": "it waits for a lock",
    "sent_back": "a consumer that does not have its task sent it back; another one has it",
    "circuit_open": "the circuit of the server that it calls is open",
    "rate_limited": "it waits for its turn in a rate limit of its task",
    "redis_unavailable": "Redis did not answer while it ran",
    "alone": "its worker died: it waits to run while its consumer runs nothing else",
    "postponed": "its task postponed it",
    "backoff": "its last attempt failed",
    "delayed": "it was added with a delay",
    "running": "a worker runs it",
    "cancel_requested": "it was cancelled and is being interrupted",
    "stalled": "its worker has not renewed its lease",
}
#: The codes of a postponement's reason.
_REASONS = ("circuit_open", "rate_limited", "redis_unavailable", "alone", "locked")


class Why(NamedTuple):
    """The cause. ``until``: when it ends, ms; ``place``: how many jobs come first."""

    code: str
    detail: str = ""
    until: int | None = None
    place: int | None = None

    def public(self) -> dict[str, Any]:
        """The object that the HTTP shim and ``--json`` return; what is not known is left out."""
        text = CODES[self.code] + (f": {self.detail}" if self.detail else "")
        if self.code == "behind":
            text = f"behind {counted(self.place or 0, 'job')}"
        found: dict[str, Any] = {"code": self.code, "text": text}
        if (until := iso_time(self.until)) is not None:
            found["until"] = until
        if self.place is not None:
            found["place"] = self.place
        return found


def line(public: dict[str, Any]) -> str:
    """The public object as one line of text."""
    until = f", until {public['until']}" if "until" in public else ""
    place = public.get("place") if public["code"] != "behind" else None
    ahead = f"; {counted(place, 'job')} ahead" if place else ""
    return f"{public['text']}{until}{ahead} ({public['code']})"


def read(
    reader: JobReader,
    queue: str,
    job_id: str,
    actor: Actor,
    *,
    limit: int = WHOLE,
    patience: float = PATIENCE,
) -> JobRecord:
    """As `JobReader.job`, limited to the actor's organization, with why the job is where it is.

    Takes one round trip. Raises JobNotFound.
    """
    org = actor.organization_id
    record, facts = waits.read(reader, queue, job_id, org, limit=limit, patience=patience)
    record.explained = True
    if facts is not None:
        shows = actor.may_read_contents(record.organization_id, record.user_id)
        record.why = explain(record, facts, contents=shows, others=org is None).public()
    return record


def explain(record: JobRecord, facts: Facts, *, contents: bool = True, others: bool = True) -> Why:
    """Names the cause. ``contents``: what the job contains may be shown, ``others``: other jobs' ids, and who
    holds a task or an organization."""
    state = facts.text("state")
    if state == "a":
        return _active(facts)
    if state == "w":
        return _waiting(facts, others=others)
    return _delayed(record, facts, contents=contents, others=others)


def _active(facts: Facts) -> Why:
    lease, now = facts.number("lease"), facts.number("now") or 0
    if facts.text("cancel"):
        return Why("cancel_requested")
    if lease is not None and lease < now:
        return Why("stalled")
    return Why("alone" if facts.text("alone") else "running")


def _no_start(facts: Facts, place: int | None, *, others: bool) -> Why | None:
    """What keeps every job of the queue, or of the organization or task, from starting."""
    if facts.flag("paused"):
        return Why("paused", place=place)
    if facts.flag("tenant_paused"):
        return Why("tenant_paused", _held(facts, "tenant_held", others=others), place=place)
    if facts.text("task_held"):
        return Why("task_paused", _held(facts, "task_held", others=others), place=place)
    if not facts.number("consumers"):
        return Why("no_worker", "start one", place=place)
    if facts.flag("quiet"):
        return Why("workers_quiet", "wake one", place=place)
    if not facts.flag("knows"):
        return Why("unknown_task", facts.text("task") or "", place=place)
    return None


def _waiting(facts: Facts, *, others: bool) -> Why:
    place = place_of(facts)
    if found := _no_start(facts, place, others=others):
        return found
    if facts.text("code") == "sealed":
        return Why("sealed", place=place)
    return _limited(facts, place) or _in_turn(facts, place)


def _limited(facts: Facts, place: int | None) -> Why | None:
    """The limit that a claim would find, in the order in which it looks at them."""
    if _reached(facts, "tenant_limit", "tenant_running"):
        return Why("tenant_limit", facts.text("tenant_limit") or "", place=facts.number("own"))
    if (in_line := facts.number("key_place")) is not None:
        return _of_key(facts, in_line)
    if _reached(facts, "limit", "running"):
        return Why("limit", facts.text("limit") or "", place=place)
    if (opens := facts.number("rate_opens")) is not None:
        return Why("rate", until=opens, place=place)
    # The claim that comes to a job whose key has no room parks it.
    free = (facts.number("workers") or 0) - (facts.number("running") or 0)
    full = _reached(facts, "key_limit", "key_running") or facts.number("key_opens") is not None
    if full and (place or 0) < max(1, free):
        return _of_key(facts, facts.number("key_line"))
    return None


def _of_key(facts: Facts, in_line: int | None) -> Why:
    opens = facts.number("key_opens")
    if opens is not None and not _reached(facts, "key_limit", "key_running"):
        return Why("key_rate", until=opens, place=in_line)
    return Why("key_limit", facts.text("key_limit") or "", place=in_line)


def _in_turn(facts: Facts, place: int | None) -> Why:
    """Nothing but its turn, and a worker, is missing."""
    # The place is an estimate; those that the free workers take first are counted.
    place = place or facts.number("overtaken") or place
    if place:
        return Why("behind", place=place)
    busy = _reached(facts, "workers", "running")
    return Why("slots_busy" if busy else "next", place=place)


def _held(facts: Facts, name: str, *, others: bool) -> str:
    """Since when it is held and, with ``others``, by whom; '' if that is not known."""
    since, _, who = (facts.text(name) or "").partition(" ")
    by = f"by {who} " if others and who else ""
    return by + _ago(facts, since) if since else ""


def _ago(facts: Facts, since: str) -> str:
    """In whole minutes, so that it says the same for a while."""
    minutes = ((facts.number("now") or 0) - (whole_number(since) or 0)) // 60_000
    return f"{duration(60_000 * minutes)} ago" if minutes > 0 else "a moment ago"


def _reached(facts: Facts, limit: str, running: str) -> bool:
    most = facts.number(limit)
    return most is not None and (facts.number(running) or 0) >= most


def _delayed(record: JobRecord, facts: Facts, *, contents: bool, others: bool) -> Why:
    due, now = facts.number("due") or 0, facts.number("now") or 0
    if facts.text("lock"):
        holder = facts.text("holder")
        detail = (record.lock or "") if contents else ""
        detail += f", which job {holder} has" if holder and detail and others else ""
        return Why("locked", detail, place=facts.number("lock_place"))
    code = facts.text("code")
    if code == "sealed":
        return Why("sealed", until=due)
    if code == "unknown_task":
        task = facts.text("task") or ""
        return Why("sent_back" if facts.flag("knows") else "unknown_task", task, until=due)
    if due <= now:
        # Every claim, and every sweep, moves it to the waiting jobs first.
        return (
            _no_start(facts, None, others=others) or _limited(facts, None) or _in_turn(facts, None)
        )
    at, _, reason = (facts.text("reason") or "").partition(" ")
    if at == facts.text("due"):
        code, _, about = reason.partition(" ")
        return Why(code if code in _REASONS else "postponed", about if contents else "", due)
    if made := facts.number("attempts"):
        return Why("backoff", f"attempt {made + 1} of {record.attempts} is next", due)
    return Why("postponed" if facts.text("postponed") else "delayed", until=due)


def place_of(facts: Facts) -> int | None:
    """How many jobs start before a waiting one, as far as is known now; None for one that is parked."""
    own, better = facts.number("own"), facts.number("better")
    if own is None or better is None:
        return None
    slots = facts.number("workers") or 0
    if limit := facts.number("limit"):
        slots = min(slots, limit)
    cost, most = facts.number("own_cost"), facts.number("tenant_limit")
    limits = [one.limit for one in facts.parties if not one.paused and one.limit is not None]
    if cost and slots and min([*limits, most or slots]) < slots and not facts.flag("tenant_paused"):
        line = Line(own, cost, (facts.number("own_weight") or 1000) / 1000, most or slots)
        rest = (facts.number("waiting") or 0) - (facts.number("own_waiting") or 0)
        return own + better + round(shared(line, facts.parties, slots, rest))
    ahead = own + better + _of_parties(facts.parties, own, slots)
    if most and most < slots and not facts.flag("tenant_paused"):
        # While its organization is at its limit, the other workers run whatever else waits.
        meanwhile = own + _meanwhile(facts.parties, own / most, slots - most)
        ahead = max(ahead, min((facts.number("waiting") or 1) - 1, meanwhile))
    return ahead


def _meanwhile(parties: list[Party], rounds: float, slots: int) -> int:
    """How many jobs of the other parties begin while ``rounds`` jobs run one after the other."""
    free = [one for one in parties if not one.paused]
    limited = [one for one in free if one.limit is not None and one.limit < slots]
    taken = sum(min(one.waiting, (one.limit or 0) * rounds) for one in limited)
    others = sum(one.waiting for one in free if one not in limited)
    return round(taken + min(others, max(0.0, slots * rounds - taken)))


def _of_parties(parties: list[Party], own: int, slots: int) -> int:
    """How many jobs of other parties come first: those at their limit leave workers to the others."""
    free = [one for one in parties if not one.paused]
    limited = [one for one in free if one.limit is not None and one.limit < slots]
    jobs = sum(one.jobs for one in free if one not in limited)
    if not limited:
        return jobs
    work: float = sum(one.jobs * one.cost for one in free if one not in limited)
    mean = sum(one.cost for one in free) / len(free)
    work += own * mean
    # The longer the others take, the more jobs of those at a limit have their turn meanwhile.
    taken = [0.0] * len(limited)
    for _ in range(100):
        seconds = (work + sum(n * one.cost for n, one in zip(taken, limited, strict=True))) / slots
        before, taken = (
            taken,
            [min(one.jobs, (one.limit or 0) * seconds / max(1, one.cost)) for one in limited],
        )
        if sum(taken) - sum(before) < 0.5:
            break
    return jobs + round(sum(taken))
