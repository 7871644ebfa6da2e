"""Every way in which a job moves: the one table, which ``docs/job-life.md`` shows.

It is not taken on trust: ``test_life.py`` watches every script and compares what it did with this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hsejobs.model import State

#: State before, name of the script, state after; None: the job is not there.
Move = tuple[State | None, str, State | None]

W, A, D, C, F = State.WAITING, State.ACTIVE, State.DELAYED, State.COMPLETED, State.FAILED
#: A target: each source itself. The record changes, its state does not.
STAYS = "stays"


@dataclass(frozen=True)
class Transition:
    """A row: every script of it leads from each source to each target."""

    name: str
    sources: tuple[State | None, ...]
    targets: tuple[State | None, ...] | str
    scripts: tuple[str, ...]
    rule: str

    def moves(self) -> Iterator[Move]:
        for source in self.sources:
            for target in (source,) if isinstance(self.targets, str) else self.targets:
                for script in self.scripts:
                    yield source, script, target


#: The scripts that may free a lock, besides `sweep` and `complete`, which move due jobs too.
_FREEING = (
    "lock",
    "unlock",
    "await_lock",
    "fail",
    "postpone",
    "release",
    "stall",
    "remove",
    "clean",
    "erase",
    "cancel",
)

TRANSITIONS = (
    Transition(
        "add",
        (None,),
        (W, D),
        ("add", "add_alike", "act_add"),
        "the same id again changes nothing",
    ),
    Transition("schedule", (None,), (W,), ("periodic",), "once per slot of a periodic task"),
    Transition(
        "claim",
        (W, D),
        (A,),
        ("complete",),
        "new lease and token, attempt counted; a delayed job only once it is due",
    ),
    Transition(
        "claim again",
        (A,),
        STAYS,
        ("complete",),
        "a claim whose reply was lost: the same jobs, a new lease",
    ),
    Transition("renew", (A,), STAYS, ("renew",), "by token, before the lease expires"),
    Transition("progress", (A,), STAYS, ("progress",), "by token"),
    Transition("log", (A,), STAYS, ("log",), "by token, capped"),
    Transition("mark", (A,), STAYS, ("mark",), "by token; records what an attempt did"),
    Transition(
        "alone",
        (A,),
        STAYS,
        ("alone",),
        "by token; a job whose worker died twice waits to run alone, then begins",
    ),
    Transition(
        "checkpoint",
        (A,),
        STAYS,
        ("checkpoint",),
        "by token; the value that the next attempt continues from",
    ),
    Transition(
        "file", (A,), STAYS, ("artifact",), "by token; the id of the file that the job creates"
    ),
    Transition(
        "cancel",
        (W, D, A),
        (F,),
        ("cancel",),
        "manual; an active job only if its lease has expired",
    ),
    Transition(
        "cancel, running",
        (A,),
        STAYS,
        ("cancel",),
        "manual; from then on it can only end, as failed",
    ),
    Transition(
        "end cancelled",
        (A,),
        (F,),
        ("complete", "postpone", "release"),
        "by token; a cancelled job fails, whatever its worker reports; so does one that stalls",
    ),
    Transition("lock", (A,), STAYS, ("lock", "unlock"), "by token; which locks the job holds"),
    Transition(
        "wait for a lock",
        (A,),
        (D, W),
        ("await_lock",),
        "by token; no attempt used, place kept; `waiting` if the lock was free by then",
    ),
    Transition(
        "hand over",
        (D,),
        (W,),
        _FREEING,
        "a lock was freed: the first job that waits for it is back at its place"
        " (`sweep.lua` and `complete.lua` too)",
    ),
    Transition(
        "next in line",
        (D,),
        STAYS,
        (*_FREEING, "sweep", "complete"),
        "the job that is now first to wait for a lock is due soon, should no script free it",
    ),
    Transition("complete", (A,), (C,), ("complete",), "by token; may claim the next job"),
    Transition(
        "fail",
        (A,),
        (D, F),
        ("fail",),
        "by token; `delayed` while attempts are left, even when the delay is 0",
    ),
    Transition("postpone", (A,), (D,), ("postpone",), "by token; no attempt used"),
    Transition("release", (A,), (W,), ("release",), "by token; no attempt used, place kept"),
    Transition("key", (A,), STAYS, ("key",), "by token; a job that was added without its key"),
    Transition(
        "park",
        (A,),
        (W,),
        ("key",),
        "its key has no room: no attempt used; it gets its place back when there is",
    ),
    Transition(
        "stall",
        (A,),
        (W, F),
        ("sweep", "stall"),
        "lease expired, or worker dead; no attempt used, place kept",
    ),
    Transition("due", (D,), (W,), ("sweep", "complete"), "it is due"),
    Transition("promote", (D,), (W,), ("promote",), "manual"),
    Transition("retry", (F,), (W,), ("retry",), "manual; allows the full number of attempts again"),
    Transition(
        "supersede",
        (F,),
        STAYS,
        ("act_add",),
        "manual; an edited copy is added and runs instead, and while that one exists a retry is refused",
    ),
    Transition("remove", (W, D, C, F), (None,), ("remove",), "refused while active"),
    Transition("clean", (W, D, C, F), (None,), ("clean",), "by state and age"),
    Transition("restore", (None,), (W, D, C, F), ("restore",), "undo of a removal"),
    Transition(
        "withdraw", (W, D, C, F), STAYS, ("withdraw",), "removes the job's file, keeps the job"
    ),
    Transition("drain", (W, D), (None,), ("obliterate",), "keeps the pause flag"),
    Transition("obliterate", (W, A, D, C, F), (None,), ("obliterate",), "active only when forced"),
    Transition(
        "erase",
        (W, D, C, F),
        (None,),
        ("erase",),
        "all jobs of an organization except active ones",
    ),
)

#: Scripts that neither move nor change a job if its record and indexes agree.
OTHERS = frozenset(
    {
        "circuit_enter",
        "circuit_forget",
        "circuit_report",
        "audit",
        "audit_forget",
        "audit_page",
        "circuit_set",
        "circuits",
        "crowd",
        "describe",
        "forget_events",
        "forget_tenant",
        "heartbeat",
        "job",
        "kids",
        "overdue",
        "page",
        "rules",
        "order",
        "pause",
        "probe",
        "rate",
        "register",
        "sample",
        "fold",
        "note",
        "totals",
        "starting",
        "stats",
        "stray",
        "tally",
        "task_set",
        "tenant_set",
        "tenants",
        "unknown",
        "verify",
        "why",
        "window",
        "workers",
    }
)

MOVES: frozenset[Move] = frozenset(move for one in TRANSITIONS for move in one.moves())


def drawn() -> str:
    """The state diagram and the table, as the page has them."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for one in TRANSITIONS:
        if isinstance(one.targets, str):
            continue
        for source in one.sources:
            for target in one.targets:
                arrows.setdefault((source or "[*]", target or "[*]"), []).append(one.name)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += ["```", "", "| transition | from | to | script | rule |", "|---|---|---|---|---|"]
    for one in TRANSITIONS:
        targets = one.targets if isinstance(one.targets, str) else _names(one.targets)
        scripts = ", ".join(f"`{name}.lua`" for name in one.scripts)
        lines.append(f"| {one.name} | {_names(one.sources)} | {targets} | {scripts} | {one.rule} |")
    return "\n".join(lines)


def _names(states: tuple[State | None, ...]) -> str:
    return ", ".join(state or "gone" for state in states)
