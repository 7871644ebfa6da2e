"""New jobs and edited copies: the text a person edits, checked and turned into a job."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import unified_diff
from typing import Any

from hsejobs import codec
from hsejobs.control import views
from hsejobs.errors import InvalidPayload, PayloadTooLarge, Refused
from hsejobs.masking import MASK, is_secret_name
from hsejobs.model import PAYLOAD_LIMIT, JobRecord, check_organization, new_job_id
from hsejobs.store.registry import QueueInfo, TaskInfo
from hsejobs.store.write import NewJob
from hsejobs_tui.core.schema import problems

_EMPTY: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [],
                          "object": {}, "null": None}  # fmt: skip


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
    info: QueueInfo, task: TaskInfo, text: str, *, organization_id: str | None,
    sealed: bool, of: JobRecord | None = None, user_id: str | None = None,
) -> NewJob:  # fmt: skip
    """A checked job. ``of``: the stored job that this is an edited copy of.

    A session of one organisation adds for that one only, ``user_id`` for that user.
    ``sealed``: secrets are sealed at rest here, which only the engine can do,
    so a new secret is refused. Raises InvalidPayload, PayloadTooLarge or Refused.
    """
    data = parse(text)
    if wrong := problems(data, task.schema or {}):
        first, *more = wrong[:10]
        raise InvalidPayload(*first, *more)
    if sealed and _has_secret(data, task.secret):
        raise Refused("secret fields are sealed here: add this job with `hsejobs enqueue`")
    if of is not None:
        data = unmasked(data, of.data)
    _check_own(data, organization_id)
    if _still_masked(data):
        raise InvalidPayload("payload", "has *** where no value is stored: write one")
    payload = codec.dumps(data)
    if len(payload) > PAYLOAD_LIMIT:
        raise PayloadTooLarge(
            "payload", f"is {len(payload):,} bytes; {PAYLOAD_LIMIT:,} are allowed"
        )
    return NewJob(
        id=new_job_id(), name=task.name, payload=payload,
        priority=of.priority if of else info.priority,
        attempts=of.attempts if of else info.attempts,
        backoff=of.backoff if of else info.backoff,
        timeout=of.timeout if of else info.timeout,
        organization_id=organization_id or _owner(data, of, "organization"),
        user_id=user_id or _owner(data, of, "user"),
    )  # fmt: skip


def _owner(data: dict[str, Any], of: JobRecord | None, what: str) -> str | None:
    """Whose the job is: as everywhere, whom its payload names; a copy's own where that is as it was."""
    names = (f"{what}Id", f"{what}_id")
    if of is not None and _named(data, names) == _named(of.data, names):
        return of.organization_id if what == "organization" else of.user_id
    return check_organization(_named(data, names), names[0])


def _named(data: Any, names: Iterable[str]) -> str | None:
    values = (data.get(name) for name in names) if isinstance(data, dict) else ()
    return next((value for value in values if isinstance(value, str) and value), None)


def _check_own(data: dict[str, Any], organization_id: str | None) -> None:
    for name in ("organizationId", "organization_id"):
        if organization_id is not None and data.get(name) not in (None, "", organization_id):
            raise InvalidPayload(name, "names another organisation than this session's")


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
