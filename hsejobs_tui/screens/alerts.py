"""Active alerts with what to do, followed by those that ended in the window of time."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static

from hsejobs.model import State
from hsejobs.store.marks import Mark
from hsejobs_tui.core import past_alerts
from hsejobs_tui.core.alerts import LEVELS, STYLES, Alert, ended, value_text
from hsejobs_tui.core.charts import moment_text
from hsejobs_tui.core.command import Command
from hsejobs_tui.core.text import duration, safe
from hsejobs_tui.flows import queue_acts
from hsejobs_tui.screens.base import View
from hsejobs_tui.session.places import Place, QueuePlace
from hsejobs_tui.widgets.rows import Column, Row, Rows

COLUMNS = (
    Column("level", 8),
    Column("queue", 15, wide=18),
    Column("since", 5, above=100),
    Column("for", 5, right=True),
    Column("value", 6, right=True),
    Column("worst", 6, right=True),
    Column("alert", 0),
    Column("action", 0, above=110),
)
_DAY = 86_400_000
#: The screens that explain rules, by their commands' ids; those of them that are about all queues.
_SCREENS = {
    "failures": "failures",
    "circuit": "circuits",
    "tenant_held": "tenants",
    "redis": "insight",
    **dict.fromkeys(("no_worker", "stalled", "unknown_task", "sealed"), "workers"),
}
_WHOLE = ("failures", "circuits", "insight")
#: The rules about Redis itself, which a dialog explains, and what stands for it.
_REDIS, REDIS = ("memory", "eviction"), "redis"


class Alerts(View):
    """The list of alerts, most severe first."""

    SCOPE: ClassVar[str] = "alerts"
    HEAD: ClassVar[str] = "Alerts"

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[Mark] = []
        #: Who paused each queue, by the time of the pause.
        self.paused: dict[tuple[str, int], str] = {}
        self._read: tuple[int, int] | None = None
        self._due = float("-inf")

    def body(self) -> ComposeResult:
        yield Rows(COLUMNS, "No alert is active, and none ended in this time.")
        yield Static(id="detail", markup=False)

    @property
    def has_read(self) -> bool:
        """Whether the alerts that ended were read, or an active one is in the snapshot."""
        return self._read is not None or bool(self.session.alerts)

    async def poll(self) -> None:
        """Reads the past alerts of the window, and who paused the queues."""
        session = self.session
        bounds = session.bounds
        if session.now() >= self._due or (self._read and bounds[0] < self._read[0]):
            self.marks = await session.read(past_alerts.read, session.source, bounds)
            self._read, self._due = bounds, session.now() + 5
        for one in session.alerts:
            pause = (one.queue, one.since or 0)
            if one.rule == "paused" and pause not in self.paused and session.has("pause"):
                who = await session.read(session.source.paused_by, *pause)
                self.paused[pause] = who or ""

    @property
    def every(self) -> list[Alert]:
        """The active alerts, then those that ended in the window."""
        seen = self.session.snapshot
        if seen is None:
            return []
        kept = ended(seen)
        return self.session.alerts + past_alerts.over(kept, self.marks, self.session.bounds)

    def head(self) -> Text:
        on, over = len(self.session.alerts), len(self.every) - len(self.session.alerts)
        past = f"{over} ended" if self._read is not None else f"those that ended {self.unread}"
        return Text(f"Alerts: {on} active now, {past}  [{self.session.window.name}]")

    def detail(self) -> Text:
        """The alert under the cursor and what to do, in full."""
        one = next((one for one in self.every if one.key == self.rows.key), None)
        return Text() if one is None else self._detail(one)

    def _detail(self, one: Alert) -> Text:
        now, rule = self.session.redis_now, one.rule
        text = Text(safe(f"{one.queue}: {_what(one)}", 300), STYLES[one.level])
        words = []
        if one.since:
            words.append(f"since {moment_text(one.since, max(now - one.since, _DAY))}")
        if one.ended:
            words.append(f"ended {duration(max(0, now - one.ended))} ago")
        if one.since:
            until = one.ended or now
            words.append(
                f"{'lasted' if one.ended else 'for'} {duration(max(0, until - one.since))}"
            )
        if one.peak is not None and rule != "eviction":
            words.append(f"worst {value_text(rule, one.peak)}")
        if who := self.paused.get((one.queue, one.since or 0)):
            words.append(f"paused by {safe(who, 60)}")
        text.append("\n" + ", ".join(words) if words else "", "dim")
        return text.append("\n").append(safe(one.todo, 300), "default") if one.todo else text

    def draw(self) -> None:
        """Draws the rows of the latest snapshot."""
        if self.session.snapshot is not None:
            self.rows.fill([self._row(one) for one in self.every], whole=self._read is not None)
        super().draw()

    def _row(self, one: Alert) -> Row:
        now = self.session.redis_now
        until = one.ended or now
        lasted = duration(max(0, until - one.since)) if one.since else "now"
        todo = f"ended {duration(max(0, now - one.ended))} ago" if one.ended else one.todo
        what = _what(one)
        if who := self.paused.get((one.queue, one.since or 0)):
            what = f"{what}, by {who}"
        return Row(
            one.key,
            [
                Text(one.level, STYLES[one.level]),
                one.queue,
                moment_text(one.since) if one.since else "-",
                lasted,
                value_text(one.rule, one.value),
                Text(value_text(one.rule, one.peak), "" if one.ended else "bold"),
                safe(what, 200),
                safe(todo, 200),
            ],
            bool(one.ended),
            values=[
                *(LEVELS.index(one.level), None, one.since),
                *(until - one.since if one.since else None, one.value, one.peak),
            ],
        )

    @property
    def _target(self) -> tuple[str, str]:
        """The rule and the queue of the alert under the cursor."""
        rule, _, queue = (self.rows.key or "").partition("\0")[0].partition("/")
        return rule, queue

    def lacking(self, command: Command) -> str:
        """An alert may be about no queue, such as that of a circuit."""
        why = super().lacking(command)
        if not why and command.acts_on == "queue" and not self._has(self._target[1]):
            return "This alert is about no queue: Enter opens what explains it."
        return why

    def offers(self, command: Command) -> bool:
        """In the footer, what does something with the alert under the cursor."""
        if command.id == "open":
            return self._opens is not None
        if command.id in ("pause", "hold"):
            return super().offers(command) and self._has(self._target[1])
        return super().offers(command)

    @property
    def _opens(self) -> str | Place | None:
        """What explains the alert under the cursor: a screen, by its command's id, a place, or REDIS.

        None if there is nothing, such as for the alert of a queue that is no more.
        """
        rule, queue = self._target
        if rule in _REDIS:
            return REDIS if self.session.snapshot and self.session.snapshot.server else None
        screen = _SCREENS.get(rule, "")
        if screen and self.session.has(screen) and (screen in _WHOLE or self._has(queue)):
            return screen
        return QueuePlace(queue, State.WAITING) if self._has(queue) else None

    def _has(self, queue: str) -> bool:
        return queue in self.session.source.infos

    async def do_open(self) -> None:
        """Opens what explains the alert: a screen, the queue's jobs, or what to do about Redis."""
        opens = self._opens
        if opens == REDIS:
            from hsejobs_tui.flows.redis_trouble import explain

            await explain(self.session, self._target[0])
        elif isinstance(opens, str):
            self.session.perform(opens)
        elif opens is not None:
            self.session.open(opens)

    async def do_pause(self) -> None:
        """Pauses or resumes the queue of the alert."""
        queue = self._target[1]
        if self._has(queue):
            await queue_acts.pause(self.session, queue)

    async def do_hold(self) -> None:
        """Holds a task or an organization in the alert's queue; or lets go what is held."""
        from hsejobs_tui.flows.holding import hold

        await hold(self.session, self._target[1])


def _what(one: Alert) -> str:
    """What is wrong, and why; of an alert that is over, what it said at its worst."""
    return one.worst or one.told
