"""Copying fields of a job, and its address, to the clipboard."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from hsejobs import codec
from hsejobs.control import views
from hsejobs.model import JobRecord
from hsejobs_tui.dialogs.choose import Choose
from hsejobs_tui.session.session import Session

Copy = Callable[[str], None]


def address(base: str | None, queue: str, job_id: str) -> str:
    """The address of a job in the dashboard; a path without ``base``, the public URL of the shim."""
    path = f"/api/jobs/dashboard/{quote(queue, safe='')}/jobs/{quote(job_id, safe='')}"
    return f"{(base or '').rstrip('/')}{path}"


def copy_link(session: Session, copy: Copy, queue: str, job_id: str) -> None:
    """Copies and shows the address of a job."""
    base = session.options.public_url
    link = address(base, queue, job_id)
    copy(link)
    note = "" if base else "; JOBS_PUBLIC_URL is not set, so the host is missing"
    session.show_message(f"copied {link}{note}")


def fields(job: JobRecord, lines: list[str], link: str) -> dict[str, str]:
    """What can be copied, by name, in the order of the menu; only what the job has. Masked."""
    newest = job.errors[-1] if job.errors else {}
    found = {
        "id": job.id,
        "payload": codec.pretty(job.data) if job.data is not None else "",
        "error": str(newest.get("error") or ""),
        "traceback": str(newest.get("traceback") or ""),
        "result": codec.pretty(job.result) if job.result is not None else "",
        "log": "\n".join(lines),
        "organization": job.organization_id or "",
        "user": job.user_id or "",
        "link": link,
        "everything as JSON": codec.pretty(views.public(job)),
    }
    return {name: text for name, text in found.items() if text}


async def copy_field(session: Session, copy: Copy, job: JobRecord, lines: list[str]) -> None:
    """Asks for a field and copies it."""
    link = address(session.options.public_url, job.queue, job.id)
    known = await session.read(fields, job, lines, link)
    name = await session.ask(Choose("Copy", list(known)))
    if name:
        copy(known[name])
        session.show_message(f"copied {name}: {len(known[name]):,} characters")
