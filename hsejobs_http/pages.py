"""The HTML of the dashboard: a terminal, a login, and a table for browsers without scripts."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import HTMLResponse

_COLUMNS = (
    "waiting",
    "active",
    "completed",
    "failed",
    "delayed",
    "paused",
    "total",
    "rate",
    "averageDuration",
    "failureRate",
    "oldestWaiting",
)
_STYLE = """
@font-face{font-family:"Roboto Mono";src:url("/api/jobs/dashboard/static/mono.ttf");font-weight:100 700}
html,body{margin:0;height:100%;background:#121212;color:#e0e0e0;font:14px/1.5 "Roboto Mono",monospace}
table{border-collapse:collapse;margin:1rem}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
header{display:flex;gap:1rem;align-items:center;height:2rem;padding:0 .6rem;background:#1e2a33}
header span{flex:1;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
#terminal.textual-terminal{position:absolute;top:2rem;left:0;width:100vw;height:calc(100vh - 2rem)}
body{overflow:hidden}
.ended{display:none;position:absolute;inset:2rem 0 0 0;z-index:10;background:#121212ee;padding:3rem}
body.-closed .ended{display:block}
button,.button{font:inherit;padding:.2rem .8rem;background:#2b3f4e;color:inherit;border:1px solid #5a7a90;
text-decoration:none;cursor:pointer}
main{max-width:40rem;margin:10vh auto;padding:0 1rem}
textarea{width:100%;box-sizing:border-box;font:inherit;background:#1b1b1b;color:inherit}
.wrong{color:#ff8a80}
"""


def _page(body: str, head: str = "", policy: str = "", attributes: str = "") -> HTMLResponse:
    text = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'><title>Jobs</title>"
        f"<style>{_STYLE}</style>{head}</head><body{attributes}>{body}</body></html>"
    )
    return HTMLResponse(
        text,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline';"
            " font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            + policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        },
    )


def login_page(reason: str) -> HTMLResponse:
    """Returns a page that asks for a token; ``reason``: why the last one was refused, or empty."""
    return _page(
        "<main><h1>Jobs</h1><form method=post action=/api/jobs/dashboard/login>"
        f"<p class=wrong>{escape(reason)}</p>"
        "<p><label for=token>Your access token</label></p>"
        "<p><textarea id=token name=token rows=6 required autofocus spellcheck=false"
        " autocomplete=off></textarea></p><p><button>Log in</button></p></form>"
        "<p>An administrator creates tokens with <code>hsejobs token</code>.</p></main>"
    )


def view_page(
    address: str, sockets: str, stats: dict[str, dict[str, Any]], who: str
) -> HTMLResponse:
    """Returns the page with the terminal, whose socket is at ``address``; without scripts, the counts."""
    head = (
        "<link rel=stylesheet href=/api/jobs/dashboard/static/xterm.css>"
        "<script src=/api/jobs/dashboard/static/textual.js></script>"
        "<script src=/api/jobs/dashboard/static/dashboard.js></script>"
        "<noscript><meta http-equiv=refresh content=5></noscript>"
    )
    body = (
        f"<header><b>Jobs</b><span>{escape(who)}</span>"
        "<form method=post action=/api/jobs/dashboard/logout><button>Log out</button></form></header>"
        f"<noscript>{_table(stats)}</noscript>"
        f"<div id=terminal class=textual-terminal data-session-websocket-url='{escape(address)}'"
        " data-font-size=15></div>"
        "<div class=ended><p>This view has ended: it was closed, your token has expired, the server"
        " stopped, or too many views are open.</p><p><a class=button href=''>Open it again</a></p></div>"
    )
    policy = f"; script-src 'self'; img-src 'self' data:; connect-src 'self' {sockets}"
    return _page(body, head, policy)


def _table(stats: dict[str, dict[str, Any]]) -> str:
    head = "".join(f"<th scope=col>{name}</th>" for name in ("queue", *_COLUMNS))
    rows = []
    for name, one in stats.items():
        title = escape(name) + (" (paused)" if one["isPaused"] else "")
        cells = "".join(f"<td>{'-' if one[c] is None else one[c]}</td>" for c in _COLUMNS)
        rows.append(f"<tr><td>{title}</td>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
