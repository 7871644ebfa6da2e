"""``hsejobs verify``: checks every job against the indexes, and repairs inconsistencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import REFUSED, CommandSession

if TYPE_CHECKING:
    from hsejobs.store.verify import Verified


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: hsejobs verify --repair webhooks")(verify)


def verify(
    queues: Annotated[
        list[str] | None, typer.Argument(help="The queues to check; default: all.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what is wrong, one job at a time.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check that every job is in exactly one state; repair it with --repair."""
    session = CommandSession()
    found = verify_queues(session, queues or [], repair=repair)
    ok = not any(one.left for one in found)
    if as_json:
        output.document({"ok": ok, "queues": [one.public() for one in found]})
    else:
        _show(found)
    if not ok:
        raise typer.Exit(REFUSED)


def verify_queues(
    session: CommandSession, queues: list[str], *, repair: bool = False
) -> list[Verified]:
    """Checks some queues, or all if ``queues`` is empty. Raises UnknownQueue."""
    from hsejobs.store.verify import RecordVerifier

    names = [session.info(name).name for name in dict.fromkeys(queues)]
    names = names or [info.name for info in session.infos()]
    verifier = RecordVerifier(session.redis, session.settings.redis_prefix)
    if not repair:
        return [verifier.verify(name) for name in names]
    acts, found = session.acts(), []
    for name in names:
        with acts.recorded("repair", name) as record:
            found.append(verifier.verify(name, repair=True, entry=record.packed))
    return found


def _show(found: list[Verified]) -> None:
    from hsejobs.store.verify import FAULTS

    faults = [fault for one in found for fault in one.faults]
    if faults:
        output.table(
            ("queue", "job", "fault", "repaired", "meaning"),
            [
                (one.queue, one.job_id, one.code, "yes" if one.repaired else "no", FAULTS[one.code])
                for one in faults
            ],
        )
    for one in found:
        text = f"{one.queue}: {one.jobs:,} jobs checked, {one.found:,} faults"
        if one.found:
            text += f", {one.found - one.left:,} repaired, {one.left:,} left"
        typer.echo(text)
    if any(one.left for one in found):
        typer.echo("repair them with `hsejobs verify --repair`; it leaves active jobs alone")
