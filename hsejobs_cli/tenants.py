"""The commands for tenants; here those for an organization's data: export it, erase it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from hsejobs.errors import InvalidOption
from hsejobs.model import check_organization
from hsejobs_cli import output, sharing
from hsejobs_cli.look import Json
from hsejobs_cli.session import CommandSession

Name = Annotated[str, typer.Argument(metavar="ORG", help="The organization's id.")]


def register(app: typer.Typer) -> None:
    tenants = typer.Typer(
        cls=sharing.Tenants,
        no_args_is_help=True,
        help="List the organizations that share a queue, set what one gets; export or erase its data."
        " `hsejobs tenants QUEUE` lists those of a queue.",
        epilog="Example: hsejobs tenants email",
    )
    tenants.command("list", epilog="Example: hsejobs tenants list email --limit 20")(
        sharing.list_tenants
    )
    tenants.command("set", epilog="Example: hsejobs tenants set org-1 --queue email --weight 3")(
        sharing.set_tenant
    )
    tenants.command(epilog="Example: hsejobs tenants erase org-1 --dry-run")(erase)
    tenants.command(epilog="Example: hsejobs tenants export org-1 --output org-1.zip")(export)
    app.add_typer(tenants, name="tenants")


def _tenant(session: CommandSession, name: str) -> Any:
    from hsejobs import application
    from hsejobs.services.tenants import Tenant

    # An application that cannot be loaded ends the command: it may hold data of the organization.
    session.application = application.find(session.settings)
    organization_id = check_organization(name, "org") or ""
    own_rows = session.application.hook("tenant_rows")
    return Tenant(organization_id, session.settings, session.redis, own_rows)


def erase(
    org: Name,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be erased, and do nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Skip the confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Erase an organization's jobs, files, mails, circuits and counters permanently."""
    from hsejobs.services.tenants import erase as erasing
    from hsejobs.services.tenants import inventory

    session = CommandSession()
    tenant = _tenant(session, org)
    found = inventory(tenant)
    if dry_run:
        _show(found, as_json)
        return
    if not yes:
        _show(found, as_json=False)
    question = f"Erase all of this of {org} permanently?"
    output.confirm_act("tenants erase", question, yes=yes, word=org)
    acts = session.acts()
    # The entry in Redis may not name what is erased; who knows the name can still find it.
    digest = hashlib.sha256(tenant.organization_id.encode()).hexdigest()[:16]
    with acts.recorded(
        "tenants erase", None, where=f"organization sha256={digest}", erased=tenant.organization_id
    ) as record:
        acts.write_entry(record, 0)
        erased = erasing.erase(tenant, lambda text: _note(text), kept_entry=record.id)
        acts.write_entry(record, int(erased["jobs"]))
        _forget_in_files(session, org, erased)
    if as_json:
        output.document({"organizationId": org} | erased)
    else:
        typer.echo(f"erased {org}: " + _counts(erased))
    if erased["notRewritten"]:
        _note(f"Redis's own files may still contain this data: {erased['notRewritten']}")
    left = tenant.own_rows.left_alone(session.settings) if tenant.own_rows else None
    if left is not None:
        _note(left)


def _forget_in_files(session: CommandSession, org: str, erased: dict[str, Any]) -> None:
    """Removes the organization from the logs, and from the copy of the audit log."""
    from hsejobs.control.audit import forget
    from hsejobs.watch.forgetting import forget_lines

    home = session.settings.jobs_home
    forget(home, org)
    try:
        erased["logLines"] = forget_lines(home, org)
    except OSError:
        _note("the logs in JOBS_HOME could not be written, so they still name the organization")


def _show(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.document(found)
        return
    rows = [
        (f"{queue}: {state}", f"{number:,}")
        for queue, states in found["jobs"].items()
        for state, number in states.items()
    ]
    rows += [
        (name, f"{found[name]:,}")
        for name in ("files", "bytes", "mails", "circuits", "counters", "platformRows")
    ]
    output.table((found["organizationId"], "count"), rows, right=(1,))


def _counts(erased: dict[str, Any]) -> str:
    return ", ".join(f"{erased[name]:,} {name}" for name in erased if name != "notRewritten")


def _note(text: str) -> None:
    sys.stderr.write(output.safe(text) + "\n")


def export(
    org: Name,
    target: Annotated[
        str | None, typer.Option("--output", help="The file to write; - for standard output.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write all data of an organization into one zip archive."""
    from hsejobs.services.tenants import export as exporting

    session = CommandSession()
    tenant = _tenant(session, org)
    if target == "-":
        if as_json:
            raise InvalidOption(
                "output", "must be a file with --json: - writes the archive to stdout"
            )
        exporting.export(tenant, sys.stdout.buffer)
        return
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    path = Path(target or f"{re.sub(r'[^A-Za-z0-9._-]', '_', org)}-{stamp}.zip")
    if path.exists():
        raise InvalidOption("output", "must be a new file: this one exists already")
    part = path.with_name(f".{path.name}.part")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            manifest = exporting.export(tenant, file)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    rows = sum(one.get("rows", 0) for one in manifest["files"] if one["name"].startswith("jobs/"))
    about = {"file": str(path), "bytes": path.stat().st_size, "jobs": rows}
    if as_json:
        output.document({"organizationId": org} | about | {"entries": len(manifest["files"]) + 1})
    else:
        typer.echo(f"{path}: {rows:,} jobs, {about['bytes']:,} bytes")
