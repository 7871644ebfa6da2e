"""Rules for the fuzzer besides the OpenAPI document: those that JSON Schema cannot express."""

from __future__ import annotations

import re
from typing import Any

import schemathesis

from hsejobs.services.mail.message import MAX_RECIPIENTS
from hsejobs_http.openapi_history import MOMENT
from hsejobs_http.openapi_schemas import CURSOR


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    """Waits for no job: without workers, none would end. Asks for no history that is too old.

    Downloads have media types that the document names in words only: as further types of the answer
    they would give each generated client a page that may be a string.
    """
    query = case.query
    if not isinstance(query, dict):
        return
    if str(query.get("wait", "")).isdigit():
        query["wait"] = min(int(query["wait"]), 0 if int(query["wait"]) <= 60 else 61)
    if query.get("format") in ("csv", "jsonl"):
        query["format"] = "json"
    if query.get("cursor") and re.fullmatch(CURSOR, str(query["cursor"])):
        # Its checksum is wrong, which no pattern can say.
        del query["cursor"]
    for name, instead in (("from", "3h"), ("to", "now")):
        if re.fullmatch(MOMENT, str(query.get(name, ""))):
            query[name] = instead


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Skips mails with more than 50 recipients in to, cc and bcc together."""
    payload = body.get("payload", body) if isinstance(body, dict) else None
    if not isinstance(payload, dict):
        return True
    lists = [payload.get(name) or [] for name in ("to", "cc", "bcc")]
    return sum(len(one) if isinstance(one, list) else 1 for one in lists) <= MAX_RECIPIENTS
