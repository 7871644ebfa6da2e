"""Rules for the fuzzer besides the OpenAPI document: the one that JSON Schema cannot express."""

from __future__ import annotations

from typing import Any

import schemathesis

from hsejobs.services.mail.message import MAX_RECIPIENTS


@schemathesis.hook
def map_query(context: Any, query: Any) -> Any:
    """Waits for no job: without workers, none would end."""
    if isinstance(query, dict) and str(query.get("wait", "")).isdigit():
        query["wait"] = min(int(query["wait"]), 0 if int(query["wait"]) <= 60 else 61)
    return query


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Skips mails with more than 50 recipients in to, cc and bcc together."""
    payload = body.get("payload", body) if isinstance(body, dict) else None
    if not isinstance(payload, dict):
        return True
    lists = [payload.get(name) or [] for name in ("to", "cc", "bcc")]
    return sum(len(one) if isinstance(one, list) else 1 for one in lists) <= MAX_RECIPIENTS
