"""The commands for circuit breakers: list, open, close."""

from __future__ import annotations

from typing import Annotated

import typer

from hsejobs.store.circuits import Circuits
from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The circuit's name, as in `hsejobs circuits`.")
]
Org = Annotated[str | None, typer.Option("--org", help="Show only this organization's circuits.")]


def register(app: typer.Typer) -> None:
    circuits = typer.Typer(
        invoke_without_command=True,
        help="List, open and close circuit breakers: they pause calls to hosts that keep failing.",
        epilog="Example: hsejobs circuits --org org-1",
    )
    circuits.callback()(list_circuits)
    example = "Example: hsejobs circuits {} webhook:org-1:api.example.com:443"
    circuits.command("open", epilog=example.format("open"))(open_circuit)
    circuits.command("close", epilog=example.format("close"))(close_circuit)
    app.add_typer(circuits, name="circuits")


def _circuits(session: CommandSession) -> Circuits:
    return Circuits(session.redis, session.settings.redis_prefix)


def list_circuits(context: typer.Context, as_json: Json = False, org: Org = None) -> None:
    """List the circuits that failed or changed in the last day."""
    if context.invoked_subcommand is not None:
        return
    found = [one.public() for one in _circuits(CommandSession()).all(org)]
    if as_json:
        output.document(found)
        return
    output.table(
        ("name", "organization", "host", "state", "failures", "since", "until", "last error"),
        [
            (
                one["name"],
                one["organizationId"],
                one["host"],
                one["state"] + (" (manually)" if one["byHand"] else ""),
                one["failures"],
                one["since"],
                one["until"],
                one["lastError"],
            )
            for one in found
        ],
        right=(4,),
    )


def open_circuit(name: Name, as_json: Json = False) -> None:
    """Open a circuit: calls to its host are postponed until you close it."""
    _set("open", name, as_json)


def close_circuit(name: Name, as_json: Json = False) -> None:
    """Close a circuit: calls to its host go through again."""
    _set("close", name, as_json)


def _set(act: str, name: str, as_json: bool) -> None:
    session = CommandSession()
    session.acts().circuit(name, act)
    if as_json:
        output.document(_circuits(session).get(name).public())
    else:
        typer.echo(f"{name} is {'open' if act == 'open' else 'closed'}")
