"""The page for people: the counts of every queue, nothing that runs, nothing from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "no-store",
}
_COLUMNS = (
    "waiting", "active", "completed", "failed", "delayed", "paused", "total", "rate",
    "averageDuration", "failureRate", "oldestWaiting",
)  # fmt: skip
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color-scheme:light dark}"
    "table{border-collapse:collapse}th,td{padding:.3rem .8rem;text-align:right;"
    "border-bottom:1px solid #8884}th:first-child,td:first-child{text-align:left}"
)


def page(stats: dict[str, dict[str, Any]]) -> str:
    """HTML of the stats that the caller may see."""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("queue", *_COLUMNS))
    rows = []
    for name, one in stats.items():
        title = escape(name) + (" (paused)" if one["isPaused"] else "")
        cells = "".join(f"<td>{'-' if one[c] is None else one[c]}</td>" for c in _COLUMNS)
        rows.append(f"<tr><td>{title}</td>{cells}</tr>")
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5>"
        f"<title>Jobs</title><style>{_STYLE}</style><h1>Jobs</h1>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></html>"
    )
