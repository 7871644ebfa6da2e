"""The commands for how organizations share a queue: list its tenants, set what one gets."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hsejobs.errors import InvalidOption
from hsejobs_cli import output
from hsejobs_cli.look import Json, Org, Queue
from hsejobs_cli.session import CommandSession


class Tenants(TyperGroup):
    """`hsejobs tenants QUEUE` is short for `hsejobs tenants list QUEUE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["list", *args]
        return super().parse_args(ctx, args)


def list_tenants(
    queue: Queue,
    limit: Annotated[int, typer.Option(help="Tenants on the page, 1 to 200.")] = 50,
    cursor: Annotated[
        str | None, typer.Option(help="Continue after a page: its `next` value.")
    ] = None,
    org: Org = None,
    as_json: Json = False,
) -> None:
    """List the organizations that share a queue, the busiest first."""
    from hsejobs.control import sharing

    session = CommandSession()
    session.info(queue)
    only = session.actor(org).organization_id
    page = sharing.list_tenants(
        session.acts(), queue, limit=limit, cursor=cursor, organization_id=only
    )
    if as_json:
        output.document(page.public())
        return
    output.table(
        (
            "organization",
            "waiting",
            "active",
            "delayed",
            "failed",
            "rate/min",
            "share",
            "weight",
            "limit",
        ),
        [
            (
                (one.organization_id or "(none)") + (" (paused)" if one.paused else ""),
                one.waiting,
                one.active,
                one.delayed,
                one.failed,
                one.rate,
                f"{100 * one.share:.1f} %",
                one.weight,
                one.limit,
            )
            for one in page.tenants
        ],
        right=range(1, 9),
    )
    if page.next:
        typer.echo(f"more: --cursor {page.next}")


def set_tenant(
    org: Annotated[str, typer.Argument(metavar="ORG", help="The organization's id.")],
    queue: Annotated[str, typer.Option(help="The queue's name.")],
    weight: Annotated[
        int | None, typer.Option(help="How many turns it gets compared with others: 1 to 1000.")
    ] = None,
    limit: Annotated[
        str | None,
        typer.Option(
            metavar="N|none", help="How many of its jobs may run at once; none: no own limit."
        ),
    ] = None,
    paused: Annotated[
        bool | None,
        typer.Option("--paused/--resumed", help="Whether its jobs stay waiting."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Set an organization's weight, limit or pause in a queue; the rest stays as it is."""
    from hsejobs.control import sharing

    given: dict[str, Any] = {}
    if weight is not None:
        given["weight"] = weight
    if limit is not None:
        given["limit"] = None if limit == "none" else _number(limit)
    if paused is not None:
        given["paused"] = paused
    sharing.check_settings(**given)
    session = CommandSession()
    session.info(queue)
    tenant = sharing.set_tenant(session.acts(), queue, org, **given)
    if as_json:
        output.document(tenant.public())
        return
    limited = "no limit of its own" if tenant.limit is None else f"limit {tenant.limit}"
    state = "paused" if tenant.paused else "running"
    typer.echo(output.safe(f"{org} in {queue}: {state}, weight {tenant.weight}, {limited}"))


def _number(text: str) -> int:
    """Raises InvalidOption."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidOption("limit", "must be a whole number, or none")
    return int(text)
