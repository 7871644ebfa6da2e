"""Acts of people in words: one act is one line, on however many queues it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hsejobs.control.act_table import ACTS
from hsejobs.wording import counted

if TYPE_CHECKING:
    from hsejobs.store.audits import AuditEntry
    from hsejobs.store.marks import Mark

#: Acts that set something, in the words of what was set.
_HELD = {"true": "held", "false": "let go"}
_ONE = {"organization": "an organization", "file": "a file"}


class Words(NamedTuple):
    """An act: ``held`` ``org-7``, in ``email`` or in ``8 queues``, by ``ann``; '' for what it has not.

    ``whom``, ``queue`` and ``who`` are names of people's choice, of any length. ``to_queue``: the act is on
    the queue itself: ``paused`` ``email``.
    """

    done: str
    whom: str
    queue: str
    queues: int
    who: str
    to_queue: bool = False

    def parts(self) -> list[tuple[str, bool]]:
        """The texts in their order, and whether each is a name, which may be shortened."""
        found = [(self.done, False)]
        if self.whom:
            found += [(" ", False), (self.whom, True)]
        link = " " if self.to_queue else " in "
        if self.queues > 1:
            found.append((f"{link}{counted(self.queues, 'queue')}", False))
        elif self.queue:
            found += [(link, False), (self.queue, True)]
        return [*found, (", ", False), (self.who, True)]


def of_one_act(entries: Iterable[AuditEntry]) -> list[list[AuditEntry]]:
    """The entries, those of one act together, in the order of the first of each."""
    found: dict[str, list[AuditEntry]] = {}
    for one in entries:
        found.setdefault(one.together or one.id, []).append(one)
    return list(found.values())


def acts_together(marks: Iterable[Mark]) -> list[tuple[Mark, Words | None]]:
    """The marks, one for each act, with its words; None for a mark of something else.

    The mark of an act on several queues is the first of them.
    """
    every = list(marks)
    acts = {each[0].id: each for each in of_one_act(one.entry for one in every if one.entry)}
    found: list[tuple[Mark, Words | None]] = []
    for one in every:
        if one.entry is None:
            found.append((one, None))
        elif (entries := acts.pop(one.entry.id, None)) is not None:
            found.append((one, words(entries)))
    return found


def words(entries: Sequence[AuditEntry]) -> Words:
    """The words for the entries of one act."""
    first = entries[0]
    done, whom = _told(entries)
    act = ACTS.get(first.act)
    to_queue = act is not None and act.touches == "queue"
    return Words(done, whom, first.queue or "", len(entries), first.who, to_queue)


def _told(entries: Sequence[AuditEntry]) -> tuple[str, str]:
    """What was done, and to whom."""
    one = entries[0]
    act = ACTS.get(one.act)
    where = one.where or ""
    # A newer release may know other acts.
    if act is None:
        return one.act, ""
    if act.touches == "tenant" and one.organization_id is not None:
        return _set(where.removeprefix(f"org={one.organization_id} ")), one.organization_id
    if act.touches == "task" and where.startswith("task="):
        task, _, paused = where.removeprefix("task=").rpartition(" paused=")
        return f"{_HELD.get(paused, 'set')} the task", task.rpartition(".")[2]
    if act.touches == "queue":
        return act.past, ""
    if act.touches in ("organization", "file"):
        return f"{act.past.partition(' ')[0]} {_ONE[act.touches]}", ""
    if act.touches == "consumer":
        ids = sum(len((each.where or "").split()) for each in entries)
        return f"{act.past} {counted(ids, 'consumer')}", ""
    name = where.partition("=")[2]
    if act.touches == "circuit":
        return f"{act.past.partition(' ')[0]} the circuit", name
    if act.touches == "schedule":
        return act.past, name
    return f"{act.past} {counted(sum(each.count for each in entries), 'job')}", ""


def _set(text: str) -> str:
    """``held``, ``let go``, or ``set weight 3, limit none of``."""
    values = dict(word.partition("=")[::2] for word in text.split())
    held = _HELD.get(values.pop("paused", ""), "")
    rest = ", ".join(f"{name} {value}" for name, value in values.items())
    if held and rest:
        return f"set {rest} of and {held}"
    return held or f"set {rest} of"
