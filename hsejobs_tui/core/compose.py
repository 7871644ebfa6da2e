"""New jobs and edited copies: the text that a person edits, and the job that it means."""

from __future__ import annotations

from difflib import unified_diff
from typing import Any

from hsejobs import codec
from hsejobs.control import making, views
from hsejobs.control.options import AddOptions
from hsejobs.errors import InvalidPayload, Refused
from hsejobs.masking import MASK, is_secret_name
from hsejobs.model import JobRecord
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob

_EMPTY: dict[str, Any] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "array": [],
    "object": {},
    "null": None,
}


def skeleton(task: TaskInfo) -> str:
    """The JSON to begin with: the fields that the task's schema requires."""
    schema = task.schema or {}
    fields = schema.get("properties", {})
    made = {name: _sample(fields.get(name, {})) for name in schema.get("required", [])}
    return codec.pretty(made)


def _sample(field: dict[str, Any]) -> Any:
    if "default" in field:
        return field["default"]
    if field.get("enum"):
        return field["enum"][0]
    return _EMPTY.get(str(field.get("type")), "")


def pretty(data: Any) -> str:
    """JSON for people."""
    return codec.pretty(data)


def parse(text: str) -> dict[str, Any]:
    """The object that was written. Raises InvalidPayload, which tells the place."""
    data = codec.strict(codec.whole(text).encode())
    if not isinstance(data, dict):
        raise InvalidPayload("payload", "must be a JSON object")
    return data


def diff(before: str, after: str) -> list[str]:
    """What was changed, as lines beginning with + and -."""
    lines = unified_diff(before.splitlines(), after.splitlines(), "before", "after", "", "", 1, "")
    return list(lines)[2:]


def unmasked(edited: Any, stored: Any) -> Any:
    """The edited data, where ``***`` was left alone with the stored value."""
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
) -> NewJob:
    """The job that was written. ``of``: the stored job that this is an edited copy of.

    A session of one organization adds for that one only, ``user_id`` for that user. ``sealed``:
    secrets are sealed at rest here, and this program has no key, so a new secret is refused.
    Raises Refused, and what `making.make` raises.
    """
    data = parse(text)
    if sealed and _has_secret(data, task.secret):
        raise Refused("secret fields are sealed here: add this job with `hsejobs enqueue`")
    if of is not None:
        data = unmasked(data, of.data)
    if _still_masked(data):
        raise InvalidPayload("payload", "has *** where no value is stored: write one")
    _check_own(data, organization_id)
    asked = AddOptions(of.priority, of.attempts, of.backoff, of.timeout) if of else AddOptions()
    return making.make(
        making.described(info, task),
        data,
        asked,
        organization_id=organization_id or _kept(data, of, "organization"),
        user_id=user_id or _kept(data, of, "user"),
    )


def _kept(data: dict[str, Any], of: JobRecord | None, what: str) -> str | None:
    """A copy's owner, where its payload names the same one as before."""
    names = (f"{what}Id", f"{what}_id")
    if of is None or not isinstance(of.data, dict):
        return None
    if making.named(data, *names) != making.named(of.data, *names):
        return None
    return of.organization_id if what == "organization" else of.user_id


def _check_own(data: dict[str, Any], organization_id: str | None) -> None:
    for name in ("organizationId", "organization_id"):
        if organization_id is not None and data.get(name) not in (None, "", organization_id):
            raise InvalidPayload(name, "names another organization than this session's")


def masked_text(record: JobRecord, secret: list[str]) -> str:
    """A stored job's payload as a person may see and edit it."""
    return pretty(views.masked_data(record.data, secret))


def _has_secret(data: Any, paths: list[str], here: str = "") -> bool:
    """Whether a secret field holds anything but the mask."""
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
