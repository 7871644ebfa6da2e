"""Assembles the ``hsejobs`` command; every error becomes an exit status."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hsejobs import __version__
from hsejobs_cli import (
    act,
    artifacts,
    auditing,
    circuits,
    doctor,
    enqueue,
    holding,
    http,
    listing,
    look,
    past,
    run,
    tenants,
    verify,
    workers,
)
from hsejobs_cli.chaos import command as chaos
from hsejobs_cli.demo import command as demo
from hsejobs_cli.run import App


class _Commands(TyperGroup):
    """The library's commands, then the application's; the application is loaded only when needed."""

    _added: Mapping[str, Any] | None = None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return super().get_command(ctx, cmd_name) or self._application_commands().get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *self._application_commands()]

    def _application_commands(self) -> Mapping[str, Any]:
        if self._added is None:
            self._added = _load_application_commands()
        return self._added


def _load_application_commands() -> Mapping[str, Any]:
    from hsejobs_cli.session import CommandSession

    application = CommandSession().application
    add = application.hook("add_commands")
    if add is None:
        return {}
    added = typer.Typer()
    with application.calling("add_commands"):
        add(added)
        found: Mapping[str, Any] = typer.main.get_group(added).commands
    return found


app = typer.Typer(
    name="hsejobs",
    cls=_Commands,
    help="Run and operate background jobs. Exit status: 0 done, 1 refused, 2 usage, 3 no Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (
    run,
    doctor,
    enqueue,
    look,
    workers,
    listing,
    past,
    act,
    auditing,
    artifacts,
    tenants,
    holding,
    circuits,
    http,
    verify,
    demo,
    chaos,
):
    part.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hsejobs {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
    app: App = None,
) -> None:
    pass


def run_command() -> int:
    """Runs the command in ``sys.argv`` and returns its exit status."""
    from hsejobs_cli.session import guarded

    status = 0

    def command() -> None:
        nonlocal status
        try:
            # In standalone mode, typer would draw a box of several lines around an error.
            result = app(standalone_mode=False)
            status = result if isinstance(result, int) else 0
            sys.stdout.flush()
        except SystemExit as end:
            # typer exits with 1 when the reader of a pipe has gone, which is not a refusal.
            if isinstance(end.__context__, BrokenPipeError):
                raise BrokenPipeError from None
            status = end.code if isinstance(end.code, int) else int(end.code is not None)

    failed = guarded(command)
    return failed or status
