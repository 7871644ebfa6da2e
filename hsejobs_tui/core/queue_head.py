"""The head strip of a queue: what comes in, what goes out, what fails, what waits, each with its past."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from hsejobs.store.minutes import Minute
from hsejobs.store.read import QueueStats
from hsejobs_tui.core.parts import KINDS, Kind, Past, Share
from hsejobs_tui.core.text import duration, safe, short, spark

#: The keys and names of the shares.
KEYS: dict[Kind, tuple[str, str]] = {
    "error": ("!", "errors"),
    "org": ("@", "tenants"),
    "task": ("#", "tasks"),
}


def strip(
    stats: QueueStats | None, past: Past | None, window: str, width: int, *, ascii_only: bool
) -> Text:
    """One line of at most ``width`` cells; without a past, only the figures of now."""
    minutes = past.minutes if past else []
    cells = max(4, min(30, (width - 66) // 4))
    per = (past.step / 60_000) if past else 1.0
    added = [one.added for one in minutes]
    ended = [one.ended for one in minutes]
    failed = [round(one.failure_ratio * 100) if one.judged else None for one in minutes]
    depth = [one.peak[0] if one.peak else None for one in minutes]
    total = _sum(minutes)

    def line(values: Sequence[int | None]) -> str:
        return spark(values, cells, ascii_only=ascii_only).rstrip() if values else ""

    span = max(1.0, (past.end - past.start) / 60_000) if past else 1.0
    text = Text(" ")
    _put(text, "in", f"{_rate(total.added / span)}/m", line(added), _most(added, per), "")
    _put(text, "out", f"{_rate(total.ended / span)}/m", line(ended), _most(ended, per), "")
    share = total.failure_ratio
    _put(text, "failed", f"{share:.0%}", line(failed), "", "bold fail" if share >= 0.1 else "")
    waiting = stats.waiting if stats else 0
    most = max((one for one in depth if one is not None), default=0)
    peak = f"max {short(most)}" if most else ""
    _put(text, "waiting", short(waiting), line(depth), peak, "")
    oldest = stats.oldest_waiting if stats else None
    if oldest is not None:
        text.append("oldest ", "dim").append(duration(oldest), "bold warn" * (oldest > 600_000))
        text.append("  ")
    text.append(f"[{window}]", "bold")
    return text


def _put(text: Text, name: str, value: str, line: str, scale: str, style: str) -> None:
    text.append(f"{name} ", "dim").append(value, style or "bold")
    if line:
        text.append(f" {line}", style.removeprefix("bold ") or "note")
        if scale:
            text.append(f" {scale}", "dim")
    text.append("  ")


def _rate(value: float) -> str:
    return f"{value:.1f}" if 0 < value < 9.95 else short(value)


def _most(values: Sequence[int], per: float) -> str:
    """The highest rate per minute, which is the scale of a chart."""
    top = max(values, default=0) / per
    return f"max {_rate(top)}" if top else ""


def _sum(minutes: Sequence[Minute]) -> Minute:
    total = Minute()
    for one in minutes:
        total += one
    return total


def shares(past: Past | None, active: dict[Kind, Share], width: int) -> Text:
    """One line of the largest shares, each kind with the key that filters by it; '' without any."""
    known = [one for one in KINDS if past is not None and past.shares.get(one)]
    if not known or past is None:
        return Text()
    text = Text(" ")
    room = max(12, (width - 2) // len(known))
    for one in known:
        key, name = KEYS[one]
        part = Text().append(key, "key").append(f" {name} ", "dim")
        for share in past.shares[one]:
            chosen = active.get(one) == share
            word = Text(f"{share.part:.0%} {safe(share.label, 28)}", "bold reverse" * chosen)
            if part.cell_len + word.cell_len + 2 > room and not chosen and "%" in part.plain:
                break
            part.append_text(word).append("  ")
        part.truncate(room, overflow="crop")
        text.append_text(part)
        if part.cell_len < room and one is not known[-1]:
            text.append(" " * (room - part.cell_len))
    text.rstrip()
    return text
