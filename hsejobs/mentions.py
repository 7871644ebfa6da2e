"""Find references to an organization in a value, for erasure from logs."""

from __future__ import annotations

import re
from typing import Any


def mentions(value: Any, organization_id: str) -> bool:
    """Whether a text in a JSON value is the organization's id, or the id of one of its jobs or circuits.

    Job and circuit ids are also found inside a longer text, such as a path or an error.
    """
    if isinstance(value, dict):
        return any(mentions(one, organization_id) for one in value.values())
    if isinstance(value, list):
        return any(mentions(one, organization_id) for one in value)
    if not isinstance(value, str) or organization_id not in value:
        return False
    return value == organization_id or _id_of(organization_id).search(value) is not None


def _id_of(organization_id: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@+-]){re.escape(organization_id)}:")
