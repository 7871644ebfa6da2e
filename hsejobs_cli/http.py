"""The commands that belong to the HTTP shim: serve, token, alerts."""

from __future__ import annotations

from typing import Annotated

import typer

from hsejobs.extras import require
from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs serve --workers 2")(serve)
    app.command(epilog="Example: hsejobs token --org org-1 --user ann --role admin")(token)
    app.command(epilog="Example: hsejobs alerts --json")(alerts)


def serve(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Number of processes.")] = 1,
) -> None:
    """Run the HTTP shim until SIGINT or SIGTERM."""
    require("http")
    from hsejobs_http.server import serve as run

    run(CommandSession().settings, workers)


def token(
    user: Annotated[str, typer.Option(help="The user's id.")],
    org: Annotated[str | None, typer.Option(help="The organization's id.")] = None,
    role: Annotated[str, typer.Option(help="The role: member, admin or operator.")] = "member",
    ttl: Annotated[str, typer.Option(help="How long the token is valid: 30s, 15m, 1h, 7d.")] = "1h",
) -> None:
    """Print a signed token for the HTTP shim."""
    from hsejobs.control.durations import parse_duration
    from hsejobs_http.tokens import make_token

    seconds = parse_duration(ttl, "ttl") / 1000
    typer.echo(make_token(CommandSession().settings, org, user, role, seconds))


def alerts(as_json: Json = False) -> None:
    """List the alerts that are on, and those that ended in the last day."""
    from hsejobs.watch.alerts import stored

    session = CommandSession()
    found = stored(session.redis, session.settings.redis_prefix)
    if as_json:
        output.document(found)
        return
    output.table(
        ("rule", "queue", "state", "value", "limit", "message", "since", "ended"),
        [tuple(one.values()) for one in found],
    )
