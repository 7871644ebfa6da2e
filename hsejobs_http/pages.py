"""The HTML of the dashboard: a terminal, a login, and a table for programs."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.responses import HTMLResponse

from hsejobs_tui.session.addresses import ROOT

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
#: The page without a terminal; those of its queues and jobs are below it.
PLAIN = f"{ROOT}/plain"
_STYLE = """
@font-face{font-family:"Roboto Mono";src:url("/api/jobs/dashboard/static/mono.ttf");font-weight:100 700}
:root{color-scheme:dark light;--ground:#121212;--text:#e4e4e4;--bar:#1e2a33;--button:#2b3f4e;--edge:#5a7a90;
--field:#1b1b1b;--fail:#ff8787;--warn:#ffd75f;--dim:#a8a8a8}
@media (prefers-color-scheme:light){:root{--ground:#fff;--text:#1c1c1c;--bar:#e6e8ec;--button:#d3e0f5;
--edge:#5a6b80;--field:#f2f2f2;--fail:#b00020;--warn:#7a5200;--dim:#595959}}
html,body{margin:0;height:100%;background:var(--ground);color:var(--text);
font:14px/1.5 "Roboto Mono",monospace}
table{border-collapse:collapse;margin:1rem}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}
header{display:flex;gap:1rem;align-items:center;height:2rem;padding:0 .6rem;background:var(--bar)}
header span{flex:1;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
#terminal.textual-terminal{position:absolute;top:2rem;left:0;width:100vw;height:calc(100vh - 2rem)}
.terminal{overflow:hidden}
.terminal .xterm .xterm-viewport{background-color:var(--ground)!important}
.ended{display:none;position:absolute;inset:2rem 0 0 0;z-index:10;background:var(--ground);padding:3rem}
body.-closed .ended{display:block}
button,.button{font:inherit;padding:.2rem .8rem;background:var(--button);color:inherit;
border:1px solid var(--edge);text-decoration:none;cursor:pointer}
[aria-pressed=true]{outline:2px solid var(--edge);font-weight:700}
main{max-width:40rem;margin:10vh auto;padding:0 1rem}
textarea{width:100%;box-sizing:border-box;font:inherit;background:var(--field);color:inherit}
a{color:inherit}
.wrong{color:var(--fail)}
"""


def html_page(
    body: str, *, head: str = "", policy: str = "", kind: str = "", title: str = "Jobs"
) -> HTMLResponse:
    """Returns a page of the dashboard. ``kind``: its body's class. ``policy``: more of its policy."""
    text = (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        f"<meta name=viewport content='width=device-width'><title>{escape(title)}</title>"
        f"<style>{_STYLE}</style>{head}</head><body class='{kind}'>{body}</body></html>"
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


def login_page(reason: str, wanted: str) -> HTMLResponse:
    """Returns a page that asks for a token.

    ``reason``: why the last one was refused, or empty; ``wanted``: the address to show after the login.
    """
    return html_page(
        "<main><h1>Jobs</h1><form method=post action=/api/jobs/dashboard/login>"
        f"<p class=wrong>{escape(reason)}</p>"
        "<p><label for=token>Your access token</label></p>"
        "<p><textarea id=token name=token rows=6 required autofocus spellcheck=false"
        f" autocomplete=off></textarea></p><input type=hidden name=next value='{escape(wanted)}'>"
        "<p><button>Log in</button></p></form>"
        "<p>An administrator creates tokens with <code>hsejobs token</code>.</p></main>"
    )


def view_page(
    address: str, sockets: str, plain: str, stats: dict[str, dict[str, Any]], who: str
) -> HTMLResponse:
    """Returns the page with the terminal, whose socket is at ``address``.

    ``plain``: the address of the page without a terminal, for phones and browsers without scripts;
    programs that read the page find the counts there.
    """
    plain = escape(plain)
    head = (
        "<link rel=stylesheet href=/api/jobs/dashboard/static/xterm.css>"
        f"<link id=plain rel=alternate href='{plain}'>"
        "<script src=/api/jobs/dashboard/static/dashboard.js></script>"
        "<script src=/api/jobs/dashboard/static/textual.js></script>"
        f"<noscript><meta http-equiv=refresh content='0; url={plain}'></noscript>"
    )
    body = (
        f"<header><b>Jobs</b><span>{escape(who)}</span>"
        "<button id=select type=button aria-pressed=false title='Then drag to select, Ctrl+C to copy;"
        " Shift and dragging always selects'>Select text</button>"
        f"<a class=button href='{plain}'>Plain page</a>"
        "<form method=post action=/api/jobs/dashboard/logout><button>Log out</button></form></header>"
        f"<noscript><p><a href='{plain}'>The page without scripts</a></p>{_table(stats)}</noscript>"
        f"<div id=terminal class=textual-terminal data-session-websocket-url='{escape(address)}'"
        " data-font-size=15></div>"
        "<div class=ended><p>This view has ended: <span id=why></span>.</p>"
        "<p><a class=button href=''>Open it again</a>"
        f" <a class=button href='{plain}'>Plain page</a></p></div>"
    )
    policy = f"; script-src 'self'; img-src 'self' data:; connect-src 'self' {sockets}"
    return html_page(body, head=head, policy=policy, kind="terminal")


def _table(stats: dict[str, dict[str, Any]]) -> str:
    if not stats:
        return ""
    head = "".join(f"<th scope=col>{name}</th>" for name in ("queue", *_COLUMNS))
    rows = []
    for name, one in stats.items():
        title = escape(name) + (" (paused)" if one["isPaused"] else "")
        cells = "".join(f"<td>{'-' if one[c] is None else one[c]}</td>" for c in _COLUMNS)
        rows.append(f"<tr><td>{title}</td>{cells}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
