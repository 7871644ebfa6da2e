"""The group of errors under the cursor: its text, its past as a chart, who has it, what a deploy changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rich.text import Text
from textual.widgets import Static

from hsejobs.errors import JobCancelled
from hsejobs.model import JobRecord
from hsejobs.wording import counted, verb
from hsejobs_tui.core import charts, failures
from hsejobs_tui.core.charts import moment_text
from hsejobs_tui.core.failures import Known, Past, Since, Trend
from hsejobs_tui.core.groups import Group
from hsejobs_tui.core.text import duration, safe, short
from hsejobs_tui.session.session import session_of
from hsejobs_tui.widgets.trace import folded

#: The signs of marks below the chart, and in ASCII.
SIGNS = {"deploy": ("▲", "^"), "act": ("●", "*"), "alert": ("!", "!")}
#: Lines of the chart that a traceback leaves.
LEAST_ROWS = 9


@dataclass(frozen=True, slots=True)
class Shown:
    """A group with its past."""

    group: Group
    trend: Trend
    since: Since | None
    known: Known | None
    past: Past | None
    #: The newest failed job with its traceback; None while it is not read.
    sample: JobRecord | None = None


class ErrorPane(Static):
    """Details of one group, as many as the height allows."""

    def __init__(self) -> None:
        super().__init__(id="error-pane", markup=False)
        self._drawn: object = None

    def show(self, shown: Shown | None, width: int, height: int) -> None:
        """Draws the group, None for none, in that many cells: the layout may not have been done yet."""
        text = Text() if shown is None else self._text(shown, max(20, width - 2), height)
        drawn = (text.plain, text.spans)
        if drawn != self._drawn:
            self._drawn = drawn
            self.update(text, layout=False)

    def _text(self, shown: Shown, width: int, height: int) -> Text:
        group = shown.group
        plain = session_of(self).options.ascii_only
        lines = [_title(shown, width, plain)]
        lines += _wrapped(
            safe(group.sample_error or group.error, 800), width, 2 if height < 16 else 4
        )
        lines += [one for one in self._facts(shown) if one.plain]
        more = self._more(shown)
        room = height - len(lines) - 1
        rows = room
        if more and room > LEAST_ROWS:
            # The chart gets what the jobs and the traceback leave, and at least a half.
            rows = max(LEAST_ROWS, room - len(more), room // 2)
        if rows >= 2 and shown.trend.values:
            lines += self._chart(shown, width, rows, plain)
        lines += more
        for line in lines:
            line.truncate(width, overflow="crop" if plain else "ellipsis")
        return Text("\n").join([Text(" ") + line for line in lines[: max(1, height)]])

    def _more(self, shown: Shown) -> list[Text]:
        """The traceback of the newest job, and the newest jobs."""
        now, lines = session_of(self).redis_now, _traceback(shown.sample)
        if lines:
            lines = [Text("newest traceback", "dim"), *lines]
        if shown.group.newest:
            lines.append(Text("newest jobs", "dim"))
        for at, job_id, org, task in shown.group.newest:
            line = Text(f"{moment_text(at, max(0, now - at)):>8}  {safe(job_id, 40):<24}")
            line.append(f" {safe(org or '-', 40):<20} {safe(task.rpartition('.')[2], 40)}")
            lines.append(line)
        return lines

    def _facts(self, shown: Shown) -> list[Text]:
        session, group, trend = session_of(self), shown.group, shown.trend
        window = session.window.name
        first = Text()
        if shown.past is not None:
            first.append(f"{short(trend.count)} errors in {window}: {short(trend.failed)} final, ")
            first.append(f"{short(trend.retried)} retried")
        else:
            first.append(f"{counted(trend.count, 'job')} of {window}")
        if group.count:
            newest = moment_text(group.last, max(0, session.redis_now - group.first))
            first.append(f"; {counted(group.count, 'failed job')} now, newest {newest}")
        second = _who("organizations", group.orgs, group.count)
        second += _who("tasks", group.tasks, group.count)
        third = _first(shown, session.redis_now), _deploy(shown, session.redis_now)
        fourth = Text("", "dim")
        if group.count and session.has("retry"):
            far = "" if group.over else " read so far"
            those = verb(group.count, "it", f"these {group.count:,}{far}")
            fourth.append(f"r retries {those}, x removes; ")
        if group.count:
            fourth.append(f"Enter lists {verb(group.count, 'it', 'them')}, e exports; ")
        if session.has("pause"):
            fourth.append(f"P pauses {group.queue}")
        fourth.rstrip()
        return [first, second, *third, fourth]

    def _chart(self, shown: Shown, width: int, rows: int, plain: bool) -> list[Text]:
        past, session = shown.past, session_of(self)
        start, end = (past.start, past.end) if past is not None else session.bounds
        scale = len(short(charts.highest(shown.trend.values)))
        cells = max(4, width - scale - 2)
        drawn = charts.bar_chart(shown.trend.values, cells, rows, style="fail", ascii_only=plain)
        marks = [
            (one.at, SIGNS[one.kind][plain])
            for one in (past.marks if past is not None else ())
            if one.kind in SIGNS and one.queue in (None, shown.group.queue)
        ]
        axis = charts.time_axis(start, end, cells, marks, ascii_only=plain)
        lines = [Text.assemble(*line) for line in drawn]
        return [*lines, Text(" " * (scale + 2) + axis, "dim")]


def _title(shown: Shown, width: int, plain: bool) -> Text:
    group = shown.group
    line = "--" if plain else "──"
    text = Text(f"{line} ", "dim").append(f"{safe(group.code, 60)} in {group.queue}", "bold fail")
    return text.append(" " + ("-" if plain else "─") * max(0, width - text.cell_len - 1), "dim")


def _wrapped(text: str, width: int, most: int) -> list[Text]:
    """The text in at most that many lines."""
    words = [text[at : at + width] for at in range(0, max(1, len(text)), width)]
    return [Text(word) for word in words[:most]]


def _who(noun: str, parts: Counter[str], whole: int) -> Text:
    """The shares of the three that have most of the jobs."""
    text = Text()
    if not whole or (len(parts) == 1 and "" in parts):
        return text
    text.append(f"{noun}: ", "dim")
    shown = [
        f"{safe(name.rpartition('.')[2] or 'none', 30)} {charts.percent(count / whole)}"
        for name, count in parts.most_common(3)
    ]
    if len(parts) > 3:
        shown.append(f"{len(parts) - 3:,} more")
    return text.append(", ".join(shown)).append("   ")


def _first(shown: Shown, now: int) -> Text:
    """Since when it is known, and whether it came back."""
    since = shown.since
    if since is None:
        return Text()
    text = Text(f"first {moment_text(since.first, now - since.first)}, ", "dim")
    text.append(f"{duration(max(0, now - since.first))} ago")
    if since.back is not None:
        text.append(f"; came back {duration(max(0, now - since.back))} ago", "bold warn")
        text.append(f" after {duration(since.quiet)} without it", "bold warn")
    return text


def _deploy(shown: Shown, now: int) -> Text:
    """Whether the error was there before the newest deploy."""
    since, known = shown.since, shown.known
    deploy = failures.latest_deploy(known.deploys, now) if known is not None else None
    if since is None or known is None or deploy is None:
        return Text()
    which = f"deploy {safe(failures.deploy_name(deploy), 60)}"
    at = f"({moment_text(deploy.at, now - deploy.at)})"
    name = failures.name_of(shown.group)
    if shown.group.raw == JobCancelled.code:
        return Text("cancelled by a person or a program: no error, and of no deploy", "dim")
    if (older := since.deploy) is not None and older.at < deploy.at:
        fresh = now - since.first <= failures.FRESH and since.back is None
        if fresh and not known.before(name, older.at):
            # It came with an older deploy: the newest may be the one that was to end it.
            then = f"deploy {safe(failures.deploy_name(older), 60)}"
            text = Text(f"new since {then} ({moment_text(older.at, now - older.at)})", "bold warn")
            if now - deploy.at < 2 * failures.MINUTE:
                return text.append(f"; {which} {at} came after it", "")
            count = known.after(name, deploy.at)
            left = counted(count, "error") if count else "none"
            return text.append(f"; {left} since {which} {at}", "" if count else "ok")
    before = known.before(name, deploy.at)
    if since.deploy == deploy and not before:
        return Text(f"new since {which} {at}: not seen before it", "bold warn")
    text = Text(f"was there before {which} {at}: ")
    if before:
        return text.append(f"{counted(before, 'error')} in the day before it")
    return text.append("but not in the day before it")


def _traceback(sample: JobRecord | None) -> list[Text]:
    """The traceback of the newest error, the application's own frames."""
    error = sample.errors[-1] if sample is not None and sample.errors else {}
    text = str(error.get("traceback") or "")
    return folded(text) if text else []
