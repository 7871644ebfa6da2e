"""Which of the jobs on display an act can change, by the state in which they were seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hsejobs.control.act_table import ACTS
from hsejobs.model import STATE_OF_LETTER, State
from hsejobs.store.write import Seen
from hsejobs_tui.core.commands import by_id, keys_shown

#: The acts on jobs that a message offers in place of one that cannot apply.
_OTHERS = ("retry", "promote", "cancel", "remove")


def state_of(seen: Seen) -> State | None:
    """The state in which a job was seen; None if that is not known."""
    return STATE_OF_LETTER.get(seen[1][:1])


def split(act: str, jobs: Iterable[Seen]) -> tuple[list[Seen], list[Seen]]:
    """The jobs that the act can change, and those whose state it cannot; an unknown state may fit."""
    fit: list[Seen] = []
    rest: list[Seen] = []
    for one in jobs:
        (fit if state_of(one) in (None, *ACTS[act].states) else rest).append(one)
    return fit, rest


def states_text(states: Iterable[State], word: str = "or") -> str:
    """``waiting, active or delayed``, in the order of the states."""
    found = set(states)
    names = [one.value for one in State if one in found]
    return f" {word} ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)


def misfit(act: str, states: Sequence[State | None], may: Callable[[str], bool]) -> str:
    """Why the act changes no job in these states, and which acts do; '' if there are none or it may.

    ``states``: None for one that is not known, which may fit, as in `split`.
    ``may``: whether the session has a command.
    """
    allowed = ACTS[act].states
    known = {one for one in states if one is not None}
    if not states or None in states or any(one in allowed for one in known):
        return ""
    those = states_text(known)
    text = f"Only {states_text(allowed, 'and')} jobs can be {ACTS[act].past}, not {those} ones"
    found = [one for one in _OTHERS if may(one) and known <= set(ACTS[one].states)]
    others = [f"{keys_shown(by_id(one)).partition(' ')[0]} {by_id(one).title}" for one in found]
    return f"{text}: here {', '.join(others)}." if others else f"{text}."
