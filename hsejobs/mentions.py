"""Whether a value is about an organization: what an erasure looks for in logs."""

from __future__ import annotations

import re
from typing import Any


def mentions(value: Any, organization_id: str) -> bool:
    """Whether a text in a value is the organization, or the id of a job or a circuit of it.

    A value is what JSON holds. An id may stand in a longer text: a path, an error.
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
