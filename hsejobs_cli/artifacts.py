"""The commands for artifacts, the files that jobs produce: list, remove."""

from __future__ import annotations

from typing import Annotated

import typer

from hsejobs.errors import ArtifactNotFound, InvalidOption
from hsejobs.model import check_organization, iso_time
from hsejobs_cli import output
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession

Org = Annotated[
    str | None, typer.Option("--org", help="Limit the command to this organization's files.")
]


def register(app: typer.Typer) -> None:
    artifacts = typer.Typer(
        invoke_without_command=True,
        help="List and remove artifacts: the reports and exports that jobs produced.",
        epilog="Example: hsejobs artifacts --org org-1",
    )
    artifacts.callback()(list_artifacts)
    artifacts.command(
        "remove", epilog="Example: hsejobs artifacts remove 0f3a5c9d2b7e41f8a6c4d1e0b9f27358 --yes"
    )(remove_artifact)
    app.add_typer(artifacts, name="artifacts")


def list_artifacts(context: typer.Context, as_json: Json = False, org: Org = None) -> None:
    """List the stored files that jobs produced, newest first."""
    if context.invoked_subcommand is not None:
        return
    found = sorted(
        CommandSession().files.store.walk(check_organization(org, "org")),
        key=lambda one: one.created_at,
        reverse=True,
    )
    if as_json:
        output.document([one.public() for one in found])
        return
    output.table(
        ("id", "organization", "queue", "job", "name", "bytes", "created", "expires"),
        [
            (
                one.id,
                one.organization_id,
                one.queue,
                one.job_id,
                one.name,
                f"{one.bytes:,}",
                iso_time(one.created_at),
                iso_time(one.expires_at),
            )
            for one in found
        ],
        right=(5,),
    )


def remove_artifact(
    artifact_id: Annotated[
        str, typer.Argument(metavar="ID", help="The artifact's id, as in `hsejobs artifacts`.")
    ],
    org: Org = None,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Remove a file permanently, with all links to it; its job stays."""
    from hsejobs.services.artifacts.removal import withdraw_by_id

    session = CommandSession()
    acts, files = session.acts(org), session.files
    found = files.store.find(artifact_id, acts.org)
    if not found:
        raise ArtifactNotFound("there is no artifact with this id; see `hsejobs artifacts`")
    if len(found) > 1:
        raise InvalidOption(
            "org", "must be given: several organizations have an artifact with this id"
        )
    [one] = found
    output.confirm_act("remove file", f"Remove {one.name} of {one.organization_id}?", yes=yes)
    with acts.recorded(
        "remove file", one.queue, where=f"file={one.id}", organization_id=one.organization_id
    ) as record:
        # No script removes a file without a job: then the entry is written before.
        withdraw_by_id(
            files,
            one,
            entry=record.packed,
            unheld=lambda: acts.write_entry(record, 1, one.job_id or ""),
        )
    if as_json:
        output.document({"removed": 1, "id": one.id})
    else:
        typer.echo(f"removed {one.id}")
