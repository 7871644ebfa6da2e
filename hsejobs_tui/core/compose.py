"""New jobs and edited copies: the text that a user edits, and the job made from it."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from hsejobs import codec
from hsejobs.control import making, schema, views
from hsejobs.control.options import NO_OPTIONS, AddOptions
from hsejobs.errors import InvalidPayload, Refused
from hsejobs.masking import MASK, is_secret_name
from hsejobs.model import JobRecord
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob

#: What an editor takes for the end of a line, and JSON does not.
_ENDS = str.maketrans({end: f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"})


def pretty(data: Any) -> str:
    """The data as an indented text that is the same after an editor has shown it."""
    return codec.pretty(data).translate(_ENDS)


def skeleton(task: TaskInfo) -> str:
    """The initial JSON text: the fields that the task's schema requires."""
    return pretty(schema.sample(task.schema or {}))


def parse(text: str) -> dict[str, Any]:
    """Parses the text as a JSON object. Raises InvalidPayload, which names the position."""
    data = codec.strict(codec.whole(text).encode())
    if not isinstance(data, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    return data


def diff(before: str, after: str) -> list[str]:
    """The changed lines, each beginning with + or -."""
    lines = unified_diff(before.splitlines(), after.splitlines(), "before", "after", "", "", 1, "")
    return list(lines)[2:]


def unmasked(edited: Any, stored: Any) -> Any:
    """The edited data, with the stored value wherever ``***`` was left unchanged."""
    if edited == MASK:
        return stored
    if isinstance(edited, dict) and isinstance(stored, dict):
        return {name: unmasked(value, stored.get(name)) for name, value in edited.items()}
    if isinstance(edited, list) and isinstance(stored, list):
        longer = [*stored, *[None] * (len(edited) - len(stored))]
        return [unmasked(value, longer[at]) for at, value in enumerate(edited)]
    return edited


def new_job(
    info: QueueInfo,
    task: TaskInfo,
    text: str,
    *,
    organization_id: str | None,
    sealed: bool,
    of: JobRecord | None = None,
    user_id: str | None = None,
    options: AddOptions = NO_OPTIONS,
) -> NewJob:
    """Makes a job from the edited text. ``of``: the stored job that the text is an edited copy of,
    whose options it has; else ``options``.

    A session of one organization adds jobs for that organization only; ``user_id`` sets the user.
    ``sealed``: secrets are sealed at rest and the TUI has no key, so a new secret is refused.
    Raises Refused, and what `making.make` raises.
    """
    data = parse(text)
    if sealed and _has_secret(data, task.secret):
        raise Refused("secret fields are sealed here: use `hsejobs enqueue` to add this job")
    if of is not None:
        data = unmasked(data, of.data)
    if _still_masked(data):
        raise InvalidPayload("payload", "has *** where no value is stored: enter a value")
    _check_organization(data, organization_id)
    if of is not None:
        options = AddOptions(of.priority, of.attempts, of.backoff, of.timeout)
    return making.make(
        making.described(info, task),
        data,
        options,
        organization_id=organization_id or _owner(data, of, "organization"),
        user_id=user_id or _owner(data, of, "user"),
    )


def _owner(data: dict[str, Any], of: JobRecord | None, what: str) -> str | None:
    """The original's organization or user, if the copy's payload names the same one."""
    names = (f"{what}Id", f"{what}_id")
    if of is None or not isinstance(of.data, dict):
        return None
    if making.named(data, *names) != making.named(of.data, *names):
        return None
    return of.organization_id if what == "organization" else of.user_id


def _check_organization(data: dict[str, Any], organization_id: str | None) -> None:
    for name in ("organizationId", "organization_id"):
        if organization_id is not None and data.get(name) not in (None, "", organization_id):
            raise InvalidPayload(name, "must be this session's organization")


def masked_text(record: JobRecord, secret: list[str]) -> str:
    """A stored job's payload as JSON text, with secrets masked."""
    return pretty(views.masked_data(record.data, secret))


def _has_secret(data: Any, paths: list[str], here: str = "") -> bool:
    """Whether a secret field has a value other than the mask."""
    if isinstance(data, dict):
        for name, value in data.items():
            there = f"{here}.{name}" if here else str(name)
            hidden = there in paths or is_secret_name(str(name))
            if hidden and value not in (None, MASK):
                return True
            if not hidden and _has_secret(value, paths, there):
                return True
    if isinstance(data, list):
        return any(_has_secret(value, paths, here) for value in data)
    return False


def _still_masked(data: Any) -> bool:
    if isinstance(data, dict):
        return any(_still_masked(value) for value in data.values())
    if isinstance(data, list):
        return any(map(_still_masked, data))
    return bool(data == MASK)
